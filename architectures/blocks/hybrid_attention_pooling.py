"""Hybrid attention pooling module (HAPM) of HALSR-Net.

Fakhfakh, Sarry, Clarysse, HALSR-Net, Computerized Medical Imaging and Graphics 123 (2025) 102546, section 3.2.2. The
paper names four branches in parallel and their concatenation; widths and order are ours: C channels in, m = C/4 for
each pooling branch. The branches follow the papers named in their files.
"""

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.atrous_pyramid import AtrousPyramid
from nnunet_cardiac.architectures.blocks.spatial_attention import ExcitePixels
from nnunet_cardiac.architectures.blocks.spatial_pyramid import SpatialPyramid
from nnunet_cardiac.architectures.blocks.squeeze_excite import ExciteChannels
from nnunet_cardiac.architectures.ops.grid_pooling import average_grids
from nnunet_cardiac.architectures.ops.layout import to_map, to_tokens
from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv, pointwise

__all__ = ["HybridAttentionPooling"]

_GRIDS = (1, 2, 3, 6)


class HybridAttentionPooling(nn.Module):
    """Atrous pyramid (ASPP), pyramid of averages (SPP), channel attention and spatial attention in parallel, fused.

    With a the factors of the channels and s those of the pixels, the attention branches are a ⊙ x and s ⊙ x. Both
    only meet 1×1 convolutions, and W (a ⊙ x) = (W diag a) x, W (s ⊙ x) = s ⊙ (W x): neither map need be formed.

    Args:
        channels: Channels C of the map, a multiple of 16.
        fusion: `"concat"`: one 1×1 convolution from [ASPP; SPP; a ⊙ x; s ⊙ x], 2m + 2C channels, to C. `"reduced"`:
            the two attention branches are first reduced to m channels, then 4m to C.
        separable: Whether the dilated convolutions are depthwise separable.
        residual: Whether x is added to the result.

    Raises:
        ValueError: If an argument is outside its range.

    Shape:
        `(B, C, H, W)` to `(B, C, H, W)`.
    """

    def __init__(self, channels: int, fusion: str = "concat", separable: bool = True, residual: bool = False) -> None:
        super().__init__()
        if channels < 16 or channels % 16:
            raise ValueError(f"Found {channels} channels, expected a multiple of 16.")
        if fusion not in ("concat", "reduced"):
            raise ValueError(f"fusion is {fusion!r}, expected 'concat' or 'reduced'.")
        pooled = channels // 4
        attended = channels if fusion == "concat" else pooled
        self.fusion = fusion
        self.residual = residual
        self.aspp = AtrousPyramid(channels, pooled, separable)
        self.spp = SpatialPyramid(channels, pooled, len(_GRIDS))
        self.channel = ExciteChannels(channels)
        self.spatial = ExcitePixels()
        if fusion == "reduced":
            self.reduce = nn.ModuleList(PointwiseConv(channels, pooled, bias=False) for _ in range(2))
            self.reduce_norm = nn.BatchNorm2d(2 * pooled)
        self.fuse = PointwiseConv(2 * pooled + 2 * attended, channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enrich `x` `(B, C, H, W)` with context and attention."""
        grids = average_grids(x, _GRIDS)
        means = grids[0]  # (B, C, 1, 1)
        context = torch.cat((self.aspp(x, means), self.spp(grids, x.shape[2:])), dim=1)  # (B, 2m, H, W)
        join = self._concat if self.fusion == "concat" else self._reduced
        out = F.relu(self.norm(join(x, context, self.channel(means), self.spatial(x))), inplace=True)
        return x + out if self.residual else out

    def _concat(self, x: torch.Tensor, context: torch.Tensor, a: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        sizes = (context.shape[1], x.shape[1], x.shape[1])
        on_context, on_channel, on_pixel = self.fuse.weight.split(sizes, dim=1)
        fused = pointwise(context, on_context) + _scaled_channels(x, on_channel, a)
        return torch.addcmul(fused, s, pointwise(x, on_pixel))

    def _reduced(self, x: torch.Tensor, context: torch.Tensor, a: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        by_channel, by_pixel = cast("Iterable[PointwiseConv]", self.reduce)  # torch's list has no type of its entries
        attended = torch.cat((_scaled_channels(x, by_channel.weight, a), s * by_pixel(x)), dim=1)
        return self.fuse(torch.cat((context, F.relu(self.reduce_norm(attended), inplace=True)), dim=1))


def _scaled_channels(x: torch.Tensor, weight: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """1×1 convolution of `factors * x` with weights `(D, C, 1, 1)`; the factors are `(B, C, 1, 1)`."""
    if x.shape[2:].numel() < len(weight):
        return pointwise(x * factors, weight)  # less to multiply than a matrix of weights for each sample
    weights = weight.flatten(1) * factors.flatten(1)[:, None]  # (B, D, C)
    return to_map(to_tokens(x) @ weights.mT, *x.shape[2:])
