"""Convolution, batch normalisation, ReLU: plain or depthwise separable, with a dilation chosen at each call."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["ConvBNReLU", "double_conv_bn_relu"]


class ConvBNReLU(nn.Module):
    """Bias-free convolution, BatchNorm and ReLU.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd side of the kernel.
        separable: Depthwise convolution, then 1×1 (Chollet, Xception, CVPR 2017), nothing between.

    Shape:
        `(B, in_channels, H, W)` to `(B, out_channels, H, W)`.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, separable: bool = False) -> None:
        super().__init__()
        groups = in_channels if separable else 1
        spatial_out = in_channels if separable else out_channels
        self.spatial = nn.Conv2d(in_channels, spatial_out, kernel_size, bias=False, groups=groups)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False) if separable else nn.Identity()
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor, dilation: int = 1) -> torch.Tensor:
        """Convolve `x` `(B, in_channels, H, W)`; the padding keeps its size."""
        padding = dilation * (self.spatial.kernel_size[0] // 2)
        x = F.conv2d(x, self.spatial.weight, None, 1, padding, dilation, self.spatial.groups)
        return F.relu(self.norm(self.pointwise(x)), inplace=True)


def double_conv_bn_relu(
    in_channels: int, out_channels: int, separable: bool, plain_first: bool = False
) -> nn.Sequential:
    """Two 3×3 `ConvBNReLU`; `plain_first` keeps the first one plain, for an image of few channels."""
    first = ConvBNReLU(in_channels, out_channels, separable=separable and not plain_first)
    return nn.Sequential(first, ConvBNReLU(out_channels, out_channels, separable=separable))
