"""Learned steps between the levels of a U-shaped network."""

import torch
from torch import nn

from nnunet_cardiac.architectures.blocks.double_conv import Activation, DoubleConv, InplaceReLU

__all__ = ["DownConv", "UpMerge"]


class DownConv(nn.Sequential):
    """Strided 3×3 convolution and BatchNorm, no activation: `(B, C, H, W)` to `(B, 2C, H/2, W/2)`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1), nn.BatchNorm2d(out_channels))


class UpMerge(nn.Module):
    """Transposed convolution, concatenation with the skip, two convolutions.

    Args:
        in_channels: Channels of the lower level.
        out_channels: Channels of the skip and of the output.
        activation: See `DoubleConv`.

    Shape:
        `(B, in_channels, H/2, W/2)` and skip `(B, out_channels, H, W)` to `(B, out_channels, H, W)`.
    """

    def __init__(self, in_channels: int, out_channels: int, activation: Activation = InplaceReLU) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        self.merge = DoubleConv(2 * out_channels, out_channels, activation)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Bring `x` to the level of `skip`."""
        return self.merge(torch.cat((self.up(x), skip), dim=1))
