"""Depthwise convolution and pointwise perceptron with a skip: local context before attention.

SwiftFormer (Shaker et al., ICCV 2023, https://arxiv.org/abs/2303.15446) uses it twice: as local representation
(hidden layer as wide as the map) and as convolutional encoder (four times as wide).
"""

import torch
from torch import nn

from nnunet_cardiac.architectures.blocks.pointwise_mlp import ResidualPointwiseMLP

__all__ = ["DepthwiseResidual"]


class DepthwiseResidual(nn.Module):
    """`x + scale * PW(GELU(PW(BN(DW x))))` with a 3×3 depthwise convolution DW and 1×1 convolutions PW.

    Args:
        channels: Channels of the map.
        expansion: Hidden channels per channel.

    Shape:
        `(B, C, H, W)` to `(B, C, H, W)`.
    """

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.BatchNorm2d(channels)
        self.mlp = ResidualPointwiseMLP(channels, expansion * channels, scale_init=1.0)
        nn.init.trunc_normal_(self.depthwise.weight, std=0.02)
        if self.depthwise.bias is not None:
            nn.init.zeros_(self.depthwise.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add local context to `x` `(B, C, H, W)`."""
        return self.mlp(self.norm(self.depthwise(x)), x)
