"""Atrous spatial pyramid pooling with rates that fit the map.

Chen et al., Rethinking atrous convolution for semantic image segmentation, 2017, https://arxiv.org/abs/1706.05587.
Differs: the rates follow the size of the map. The usual 6, 12, 18 on the 8×8 bottleneck of a 128×128 image leave
one tap in nine inside the map (one in four for 6), so the branches would be 1×1 convolutions.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.conv_norm_relu import PointwiseNormReLU, PooledBatchNorm2d
from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv, pointwise
from nnunet_cardiac.architectures.ops.separable_conv import DenseConv, SeparableConv

__all__ = ["AtrousPyramid", "atrous_rates"]

_RATES = {64: (6, 12, 18), 32: (3, 6, 12), 16: (2, 4, 8), 0: (1, 2, 4)}


def atrous_rates(height: int, width: int) -> tuple[int, ...]:
    """Dilation rates for a map: 6, 12, 18 from 64 pixels on the shorter side, 3, 6, 12 from 32, 2, 4, 8 from 16, else
    1, 2, 4; never so large that all outer taps fall outside the map."""
    side = min(height, width)
    rates = next(rates for smallest, rates in _RATES.items() if side >= smallest)
    return tuple(max(1, min(rate, side - 1)) for rate in rates)


class AtrousPyramid(nn.Module):
    """1×1 convolution, three dilated 3×3 convolutions and the mean of the map, joined by a 1×1 convolution.

    The rates follow the size of the map (`atrous_rates`), so a trained network means images of about the training
    patch; the weights have the same shape for every size.

    Args:
        in_channels: Channels C of the map.
        out_channels: Channels m of each branch and of the output.
        separable: Whether the dilated convolutions are depthwise separable.

    Shape:
        Map `(B, C, H, W)` and its means `(B, C, 1, 1)` to `(B, m, H, W)`.
    """

    def __init__(self, in_channels: int, out_channels: int, separable: bool) -> None:
        super().__init__()
        atrous = SeparableConv if separable else DenseConv
        self.pointwise = PointwiseConv(in_channels, out_channels, bias=False)
        self.atrous = nn.ModuleList(atrous(in_channels, out_channels) for _ in range(3))
        # BatchNorm looks at each channel alone: one for the four branches is faster than four of few channels.
        self.local_norm = nn.BatchNorm2d(4 * out_channels)
        self.image = PointwiseNormReLU(in_channels, out_channels, PooledBatchNorm2d)
        self.project = PointwiseConv(5 * out_channels, out_channels, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """Context of `x` `(B, C, H, W)` at several ranges; `means` are its channel means."""
        rates = atrous_rates(*x.shape[2:])
        dilated = (conv(x, dilation=rate) for conv, rate in zip(self.atrous, rates, strict=True))
        local = F.relu(self.local_norm(torch.cat((self.pointwise(x), *dilated), dim=1)), inplace=True)  # (B, 4m, H, W)
        whole = self.image(means)  # (B, m, 1, 1)
        # The mean is the same at every pixel: multiplied first and added, it need not be spread over a map.
        on_local, on_whole = self.project.weight.tensor_split([local.shape[1]], dim=1)
        return F.relu(self.norm(pointwise(local, on_local) + pointwise(whole, on_whole)), inplace=True)
