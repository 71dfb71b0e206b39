"""The cross-E-2A block of CroCNet (Khan et al., ISBI 2024, figure 1(d)): how the specialists exchange features."""

import torch
from torch import nn

from nnunet_cardiac.architectures.blocks.cross_additive_attention import CrossEfficientAdditiveAttention
from nnunet_cardiac.architectures.blocks.pointwise_mlp import ResidualPointwiseMLP
from nnunet_cardiac.architectures.blocks.token_mixing import MLP_EXPANSION
from nnunet_cardiac.architectures.ops.layout import to_map, to_tokens

__all__ = ["CrossTokenMixing"]


class CrossTokenMixing(nn.Module):
    """Cross-attention and a perceptron per anatomy, each with a skip; 42 C² + 48 C parameters for three anatomies.

    Args:
        channels: C.
        anatomies: K.
        token_norm: `"l2_ref"` or `"l2"`, see `TokenNorm`.
        reference_tokens: Tokens of an image of the training size at this level.
        layer_scale_init: First value of the factors on attention and perceptron.

    Shape:
        `(K, B, C, H, W)` to `(K, B, C, H, W)`.
    """

    def __init__(
        self, channels: int, anatomies: int, *, token_norm: str, reference_tokens: float, layer_scale_init: float = 1e-5
    ) -> None:
        super().__init__()
        self.attention = CrossEfficientAdditiveAttention(channels, anatomies, token_norm, reference_tokens)
        self.attention_scales = nn.ParameterList(
            torch.full((channels,), float(layer_scale_init)) for _ in range(anatomies)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(anatomies))
        self.mlps = nn.ModuleList(
            ResidualPointwiseMLP(channels, MLP_EXPANSION * channels, layer_scale_init) for _ in range(anatomies)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Exchange features between the anatomies of `x` `(K, B, C, H, W)`."""
        tokens = self.attention(to_tokens(x), list(self.attention_scales))  # (K, B, H*W, C)
        maps = to_map(tokens, *x.shape[3:])
        return torch.stack([mlp(norm(one), one) for one, norm, mlp in zip(maps, self.norms, self.mlps, strict=True)])
