"""Efficient additive attention.

Shaker et al., SwiftFormer, ICCV 2023, https://arxiv.org/abs/2303.15446; used by CroCNet (Khan et al., ISBI 2024),
equations 1 and 2. Follows the authors' code where their equations are silent: queries and keys have unit length, the
scores unit norm over the tokens, and a second linear layer follows the sum with the query. Differs from it by the
choice of that norm (`token_norm`), one head (every published model uses one), and the order of computation.
"""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import nn

from nnunet_cardiac.architectures.ops.mixed_precision import matmul_dtype, without_autocast
from nnunet_cardiac.architectures.ops.pooled_query import PooledQueryAttention

__all__ = ["AdditiveProjections", "EfficientAdditiveAttention", "TokenNorm", "additive_attention"]


class TokenNorm:
    """How the scores are normalised over the N tokens.

    `l2` divides by their Euclidean norm, as published; the pooled query then grows as √N, so a network trained on one
    image size meets other magnitudes on another. `l2_ref` multiplies by √(reference/N) in addition: the same at the
    reference size, independent of the size elsewhere.

    Args:
        kind: `"l2_ref"` or `"l2"`.
        reference_tokens: Number of tokens at which the two agree.

    Raises:
        ValueError: If `kind` is unknown or `reference_tokens` is below 1.
    """

    KINDS = ("l2_ref", "l2")

    def __init__(self, kind: str, reference_tokens: float) -> None:
        if kind not in self.KINDS:
            raise ValueError(f"token_norm is {kind!r}, expected one of {', '.join(map(repr, self.KINDS))}.")
        if reference_tokens < 1:
            raise ValueError(f"reference_tokens must be at least 1, got {reference_tokens}.")
        self.kind = kind
        self.reference_tokens = reference_tokens

    def factor(self, tokens: int) -> float:
        """The number that multiplies the unit-norm scores of `tokens` tokens."""
        return 1.0 if self.kind == "l2" else (self.reference_tokens / tokens) ** 0.5


class AdditiveProjections(nn.Module):
    """The learned parts of additive attention for one set of queries over `sources` sets of keys.

    Args:
        dim: Channels of the tokens.
        sources: Sets of keys; each has its own mixing layer.

    Raises:
        ValueError: If a number is below 1.
    """

    def __init__(self, dim: int, sources: int = 1) -> None:
        super().__init__()
        if dim < 1 or sources < 1:
            raise ValueError(f"dim and sources must be at least 1, got {dim} and {sources}.")
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.score = nn.Parameter(torch.randn(dim))
        self.mix = nn.ModuleList(nn.Linear(dim, dim) for _ in range(sources))
        self.out = nn.Linear(dim, dim)

    def composed(self, scale: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """The tensors of `PooledQueryAttention`: mixing and scale multiplied into the output layer.

        The products are of C×C matrices; on the tokens they would be three more passes over the map.
        """
        out = self.out.weight if scale is None else scale[:, None] * self.out.weight  # (C, C)
        mix = cast("Iterable[nn.Linear]", self.mix)  # torch's list has no type of its entries
        bias = out @ sum(layer.bias for layer in mix) + (1 if scale is None else scale) * self.out.bias
        return (
            torch.cat((self.query.weight, self.key.weight)),
            torch.cat((self.query.bias, self.key.bias)),
            self.score,
            out,
            torch.stack([out @ layer.weight for layer in mix]),
            bias,
        )


def additive_attention(
    x: torch.Tensor,
    projections: Sequence[AdditiveProjections],
    token_norm: TokenNorm,
    scales: Sequence[torch.Tensor] | None = None,
) -> torch.Tensor:
    """Attend with K sets of tokens to the keys of all K.

    The published factor 1/√d before the normalisation of the scores cancels in it and is left out.

    Args:
        x: Tokens `(K, B, N, C)`.
        projections: K learned parts, each with K sources.
        token_norm: Normalisation of the scores.
        scales: K factors per channel `(C,)`. Given, the result is `x + scale * attention`, else the attention alone.

    Returns:
        Tokens `(K, B, N, C)`.
    """
    factor = token_norm.factor(x.shape[2])
    x = x.to(matmul_dtype(x))
    with without_autocast(x):
        composed = [p.composed(None if scales is None else scales[a]) for a, p in enumerate(projections)]
        stacked = [torch.stack(tensors) for tensors in zip(*composed, strict=True)]
        return PooledQueryAttention.apply(x, *stacked, factor, scales is not None)


class EfficientAdditiveAttention(AdditiveProjections):
    """Attention whose time and memory grow linearly with the number of tokens.

    Every query is scored against one learned vector, the scores pool the queries into a single global query, and the
    global query multiplies each key. No token-by-token matrix is formed.

    Args:
        dim: Channels of the tokens.
        token_norm: `"l2_ref"` or `"l2"`, see `TokenNorm`.
        reference_tokens: Tokens of an image of the training size.

    Raises:
        ValueError: If a number is below 1 or `token_norm` is unknown.

    Shape:
        `(B, N, C)` to `(B, N, C)`: batch, tokens, channels.
    """

    def __init__(self, dim: int, token_norm: str = "l2_ref", reference_tokens: float = 224 * 224) -> None:
        super().__init__(dim)
        self.token_norm = TokenNorm(token_norm, reference_tokens)

    def forward(self, x: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        """Attention of `x` `(B, N, C)`, or `x + scale * attention` if `scale` `(C,)` is given."""
        scales = None if scale is None else [scale]
        return additive_attention(x[None], [self], self.token_norm, scales)[0]
