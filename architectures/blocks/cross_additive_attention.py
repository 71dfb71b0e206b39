"""Efficient additive attention across anatomies.

Khan et al., CroCNet, ISBI 2024, figure 1(d): each anatomy pools its own queries and meets the keys of all of them.
Differs from the authors' code: every anatomy has its own output layer (there the right ventricle reuses that of the
myocardium and leaves one layer without gradient, which also breaks distributed training), and any number of anatomies.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from nnunet_cardiac.architectures.blocks.additive_attention import AdditiveProjections, TokenNorm, additive_attention

__all__ = ["CrossEfficientAdditiveAttention"]


class CrossEfficientAdditiveAttention(nn.Module):
    """K anatomies attending to each other, linear in the number of tokens; no weight is shared between anatomies.

    Args:
        dim: Channels of the tokens.
        anatomies: K.
        token_norm: `"l2_ref"` or `"l2"`, see `TokenNorm`.
        reference_tokens: Tokens of an image of the training size.

    Raises:
        ValueError: If a number is below 1 or `token_norm` is unknown.

    Shape:
        `(K, B, N, C)` to `(K, B, N, C)`: anatomies, batch, tokens, channels.
    """

    def __init__(
        self, dim: int, anatomies: int, token_norm: str = "l2_ref", reference_tokens: float = 128 * 128
    ) -> None:
        super().__init__()
        if anatomies < 1:
            raise ValueError(f"anatomies must be at least 1, got {anatomies}.")
        self.anatomies = nn.ModuleList(AdditiveProjections(dim, anatomies) for _ in range(anatomies))
        self.token_norm = TokenNorm(token_norm, reference_tokens)

    def forward(self, x: torch.Tensor, scales: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        """Attention of `x` `(K, B, N, C)`, or `x + scale * attention` if K factors `(C,)` are given.

        Raises:
            ValueError: If `x` holds another number of anatomies.
        """
        if len(x) != len(self.anatomies):
            raise ValueError(f"Found tokens of {len(x)} anatomies, expected {len(self.anatomies)}, first axis.")
        projections = cast("Sequence[AdditiveProjections]", self.anatomies)  # torch's list has no type of its entries
        return additive_attention(x, projections, self.token_norm, scales)
