"""Convolution without bias, normalisation, ReLU: the unit that whole networks are made of."""

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv
from nnunet_cardiac.architectures.ops.separable_conv import DenseConv, SeparableConv

__all__ = ["ConvNormReLU", "PointwiseNormReLU", "PooledBatchNorm2d"]


class ConvNormReLU(nn.Module):
    """3×3 convolution, normalisation, ReLU.

    Args:
        in_channels: Channels of all inputs together.
        out_channels: Channels of the output.
        separable: Whether the convolution is depthwise separable.
        dilation: Distance of the taps of the kernel, in pixels.
        norm: Class of the normalisation, called with the channels.

    Shape:
        Maps `(B, C_i, H, W)`, ΣC_i = `in_channels`, to `(B, out_channels, H, W)`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        separable: bool = False,
        dilation: int = 1,
        norm: type[nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv = (SeparableConv if separable else DenseConv)(in_channels, out_channels)
        self.norm = norm(out_channels)

    def forward(self, *maps: torch.Tensor) -> torch.Tensor:
        """Convolve, normalise and rectify `maps`, stacked along their channels."""
        return F.relu(self.norm(self.conv(*maps, dilation=self.dilation)), inplace=True)


class PooledBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm for maps pooled to a few values, down to one.

    One value per channel (a global average, batch size 1) has no variance, and torch refuses to train on it. Such a
    map is normalised by the running statistics, in training as in inference, and leaves them unchanged.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x` `(B, C, H, W)`."""
        if x.numel() > x.shape[1]:
            return super().forward(x)
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class PointwiseNormReLU(nn.Sequential):
    """1×1 convolution, BatchNorm, ReLU.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        norm: Class of the normalisation, called with the channels.

    Shape:
        `(B, in_channels, H, W)` to `(B, out_channels, H, W)`.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__(
            PointwiseConv(in_channels, out_channels, bias=False), norm(out_channels), nn.ReLU(inplace=True)
        )
