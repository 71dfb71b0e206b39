"""3×3 convolutions whose dilation is chosen at each call: dense, and depthwise separable.

Depthwise separable: Chollet, Xception, CVPR 2017, https://arxiv.org/abs/1610.02357. No biases, because batch
normalisation follows. Both take several maps for one with their channels stacked, so that nobody has to stack them.
"""

import functools

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv, pointwise
from nnunet_cardiac.architectures.ops.polyphase import join_phases, split_phases

__all__ = ["DenseConv", "SeparableConv"]


class DenseConv(nn.Conv2d):
    """3×3 convolution that keeps the size.

    Args:
        in_channels: Channels of all inputs together.
        out_channels: Channels of the output.

    Shape:
        Maps `(B, C_i, H, W)`, ΣC_i = `in_channels`, to `(B, out_channels, H, W)`.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, *maps: torch.Tensor, dilation: int = 1) -> torch.Tensor:
        """Convolve the stack of `maps` with taps `dilation` pixels apart."""
        weights = self.weight.split([x.shape[1] for x in maps], dim=1)
        parts = [F.conv2d(x, w, padding=dilation, dilation=dilation) for x, w in zip(maps, weights, strict=True)]
        return functools.reduce(torch.add, parts)


class SeparableConv(nn.Module):
    """3×3 convolution of each channel, then a 1×1 convolution across them.

    Args:
        in_channels: Channels of all inputs together.
        out_channels: Channels of the output.

    Shape:
        Maps `(B, C_i, H, W)`, ΣC_i = `in_channels`, to `(B, out_channels, H, W)`.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise = PointwiseConv(in_channels, out_channels, bias=False)

    def forward(self, *maps: torch.Tensor, dilation: int = 1) -> torch.Tensor:
        """Convolve the stack of `maps` with taps `dilation` pixels apart."""
        channels = [x.shape[1] for x in maps]
        each, across = self.depthwise.weight.split(channels), self.pointwise.weight.split(channels, dim=1)
        return functools.reduce(torch.add, map(_separable, maps, each, across, [dilation] * len(maps)))


def _separable(x: torch.Tensor, each: torch.Tensor, across: torch.Tensor, dilation: int) -> torch.Tensor:
    """Depthwise weights `(C, 1, 3, 3)`, then pointwise weights `(D, C, 1, 1)`, on `x` `(B, C, H, W)`."""
    if dilation == 1:
        return pointwise(F.conv2d(x, each, padding=1, groups=len(each)), across)
    if x.device.type == "cpu" and torch.is_grad_enabled():
        phases = pointwise(F.conv2d(split_phases(x, dilation), each, padding=1, groups=len(each)), across)
        return join_phases(phases, dilation, x.shape[2:])
    # Padded beforehand, because oneDNN leaves its fast path when it has to add more than a few pixels itself.
    return pointwise(F.conv2d(F.pad(x, [dilation] * 4), each, dilation=dilation, groups=len(each)), across)
