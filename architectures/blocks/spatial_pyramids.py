"""Context at several scales: dilated convolutions (ASPP) and pooling grids (SPP).

Chen et al., DeepLab v3, https://arxiv.org/abs/1706.05587; He et al., Spatial pyramid pooling, ECCV 2014; Zhao et al.,
PSPNet, CVPR 2017 (grids 1, 2, 3, 6). HALSR-Net uses both (Fakhfakh et al. 2025); rates and grids are not in its paper.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.conv_bn_relu import ConvBNReLU

__all__ = ["AtrousPyramid", "PooledPyramid", "dilation_rates"]

#: Least side of the map -> rates. The usual 6, 12, 18 see little but padding on small maps: of the nine taps of rate 12
#: on an 8×8 map only the central one ever falls inside.
_RATES = ((64, (6, 12, 18)), (32, (3, 6, 12)), (16, (2, 4, 8)), (0, (1, 2, 4)))


def dilation_rates(height: int, width: int) -> tuple[int, int, int]:
    """The three rates for a map of `height` × `width` pixels."""
    return next(rates for side, rates in _RATES if min(height, width) >= side)


class AtrousPyramid(nn.Module):
    """1×1, three dilated 3×3 convolutions and the image mean in parallel, concatenated and projected.

    Args:
        in_channels: C.
        channels: Channels m of each branch and of the output.
        separable: Whether the dilated convolutions are depthwise separable.

    Shape:
        `(B, C, H, W)` to `(B, m, H, W)`.
    """

    def __init__(self, in_channels: int, channels: int, separable: bool) -> None:
        super().__init__()
        self.point = ConvBNReLU(in_channels, channels, 1)
        self.dilated = nn.ModuleList(ConvBNReLU(in_channels, channels, 3, separable) for _ in range(3))
        self.image = ConvBNReLU(in_channels, channels, 1)
        self.project = ConvBNReLU(5 * channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Gather context for each pixel of `x` `(B, C, H, W)`."""
        rates = dilation_rates(*x.shape[2:])
        image = self.image(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        dilated = [conv(x, rate) for conv, rate in zip(self.dilated, rates, strict=True)]
        return self.project(torch.cat((self.point(x), *dilated, image), dim=1))


class PooledPyramid(nn.Module):
    """Means over grids of cells, each reduced by a 1×1 convolution and interpolated back to the map.

    Args:
        in_channels: C.
        channels: Channels m of the output, a multiple of the number of grids.
        grids: Cells along each side.

    Shape:
        `(B, C, H, W)` to `(B, m, H, W)`.
    """

    def __init__(self, in_channels: int, channels: int, grids: tuple[int, ...] = (1, 2, 3, 6)) -> None:
        super().__init__()
        self.grids = grids
        self.reduce = nn.ModuleList(ConvBNReLU(in_channels, channels // len(grids), 1) for _ in grids)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Describe the surroundings of each pixel of `x` `(B, C, H, W)`."""
        pooled = (reduce(F.adaptive_avg_pool2d(x, grid)) for grid, reduce in zip(self.grids, self.reduce, strict=True))
        return torch.cat([F.interpolate(p, x.shape[2:], mode="bilinear") for p in pooled], dim=1)
