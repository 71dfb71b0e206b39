"""Pyramid of average pooling (Zhao et al., Pyramid scene parsing network, CVPR 2017,
https://arxiv.org/abs/1612.01105)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.conv_norm_relu import PointwiseNormReLU, PooledBatchNorm2d

__all__ = ["SpatialPyramid"]


class SpatialPyramid(nn.Module):
    """Reduce each grid of averages by a 1×1 convolution, enlarge it to the map, stack.

    Args:
        in_channels: Channels C of the map.
        out_channels: Channels m of the output; each grid gives an equal share.
        grids: Number of grids.

    Shape:
        Grids `(B, C, g, g)` to `(B, m, H, W)`.
    """

    def __init__(self, in_channels: int, out_channels: int, grids: int) -> None:
        super().__init__()
        share = out_channels // grids
        self.reduce = nn.ModuleList(PointwiseNormReLU(in_channels, share, PooledBatchNorm2d) for _ in range(grids))

    def forward(self, grids: Sequence[torch.Tensor], size: Sequence[int]) -> torch.Tensor:
        """Maps of `size` (rows, columns) from grids `(B, C, g, g)` of averages."""
        # A grid of one cell has no memory format to pass to its map, so it is named.
        reduced = [f(grid).to(memory_format=torch.channels_last) for f, grid in zip(self.reduce, grids, strict=True)]
        return torch.cat([F.interpolate(y, tuple(size), mode="bilinear", align_corners=False) for y in reduced], dim=1)
