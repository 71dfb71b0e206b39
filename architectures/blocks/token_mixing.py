"""The E-2A block of CroCNet: local representation, additive attention, perceptron, each with a skip.

Khan et al., ISBI 2024; inner structure after the SwiftFormer encoder (Shaker et al., ICCV 2023), which their code uses.
"""

import torch
from torch import nn

from nnunet_cardiac.architectures.blocks.additive_attention import EfficientAdditiveAttention
from nnunet_cardiac.architectures.blocks.depthwise_residual import DepthwiseResidual
from nnunet_cardiac.architectures.blocks.pointwise_mlp import ResidualPointwiseMLP
from nnunet_cardiac.architectures.ops.layout import to_map, to_tokens

__all__ = ["MLP_EXPANSION", "TokenMixing"]

MLP_EXPANSION = 4  # hidden channels of the perceptron per channel


class TokenMixing(nn.Module):
    """E-2A block, 14 C² + 29 C parameters.

    Args:
        channels: C.
        token_norm: `"l2_ref"` or `"l2"`, see `TokenNorm`.
        reference_tokens: Tokens of an image of the training size at this level.
        local_rep: Whether to put the local representation first.
        layer_scale_init: First value of the factors on attention and perceptron. At 1e-5 both start asleep and wake
            as the factors grow, quickly under Adam, slowly under SGD.

    Shape:
        `(B, C, H, W)` to `(B, C, H, W)`.
    """

    def __init__(
        self,
        channels: int,
        *,
        token_norm: str,
        reference_tokens: float,
        local_rep: bool = True,
        layer_scale_init: float = 1e-5,
    ) -> None:
        super().__init__()
        self.local = DepthwiseResidual(channels, expansion=1) if local_rep else nn.Identity()
        self.attention = EfficientAdditiveAttention(channels, token_norm, reference_tokens)
        self.attention_scale = nn.Parameter(torch.full((channels,), float(layer_scale_init)))
        self.norm = nn.BatchNorm2d(channels)
        self.mlp = ResidualPointwiseMLP(channels, MLP_EXPANSION * channels, layer_scale_init)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the pixels of `x` `(B, C, H, W)`."""
        tokens = to_tokens(self.local(x))  # (B, H*W, C)
        x = to_map(self.attention(tokens, self.attention_scale), *x.shape[2:])
        return self.mlp(self.norm(x), x)
