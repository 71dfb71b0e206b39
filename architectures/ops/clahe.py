"""Contrast-limited adaptive histogram equalisation of slices (Zuiderveld, Graphics Gems IV, 1994), on tensors.

Vesal et al. 2020 equalise every slice before z-scoring. nnU-Net's preprocessing cannot be extended from outside, so a
network does it on its input: z-scoring is affine and each slice is first rescaled to [0, 1], so the order is the same.
What differs from doing it on the files: the slice is that of the working grid, and only as much of it as the network
sees, in training as in prediction; and by default each slice is z-scored by itself, so that it is the same in a run of
five slices, as networks are trained on, and in a whole volume.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.ops.eager import eager
from nnunet_cardiac.architectures.ops.mixed_precision import statistics_dtype, without_autocast

__all__ = ["SliceEqualisation", "equalisation", "equalise_slices"]

_ROUNDS = 12  # of spreading what the clip limit cuts off; the rest halves in each


class SliceEqualisation(nn.Module):
    """Equalised slices with mean 0 and standard deviation 1.

    Args:
        clip_limit: Largest share of the pixels of a tile in one bin.
        tiles: Tiles along each side of a slice.
        together: Whether mean and standard deviation are those of all slices of the input that hold an image, as in
            models of earlier versions, instead of those of each slice.

    Shape:
        `(B, C, Z, Y, X)` to the same; slices of a single value, such as those that nnU-Net pads with, become 0.
    """

    def __init__(self, clip_limit: float = 0.01, tiles: int = 8, together: bool = False) -> None:
        super().__init__()
        self.clip_limit = clip_limit
        self.tiles = tiles
        self.axes = (2, 3, 4) if together else (3, 4)

    @torch.no_grad()
    @eager
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Equalise `x`."""
        with without_autocast(x):
            volume = x.to(statistics_dtype(x))
            slices = volume.flatten(0, 2)
            out = equalise_slices(slices, self.clip_limit, self.tiles).view_as(volume)
            used = (slices.amax((1, 2)) > slices.amin((1, 2))).view(*volume.shape[:3], 1, 1)
            pixels = used.expand_as(volume).sum(self.axes, keepdim=True).clamp(min=1)
            mean = (out * used).sum(self.axes, keepdim=True) / pixels
            variance = ((out - mean).square() * used).sum(self.axes, keepdim=True) / pixels
            return ((out - mean) * used / variance.sqrt().clamp(min=1e-6)).to(x.dtype)


def equalisation(clahe: bool | str) -> nn.Module:
    """Module for the argument `clahe` of a network: `"slice"`, true for models of earlier versions, or false.

    Raises:
        ValueError: If it is something else.
    """
    if clahe not in (True, False, "slice"):
        raise ValueError(f"clahe is {clahe!r}, expected 'slice', true or false.")
    return SliceEqualisation(together=clahe is True) if clahe else nn.Identity()


def equalise_slices(slices: torch.Tensor, clip_limit: float = 0.01, tiles: int = 8, bins: int = 256) -> torch.Tensor:
    """Equalise the histograms of tiles and blend them linearly.

    Args:
        slices: `(N, Y, X)`, any range of values.
        clip_limit: Largest share of the pixels of a tile in one bin, before what exceeds it is spread over all bins.
        tiles: Tiles along each side; a side that is no multiple is continued by reflection.
        bins: Bins of the histograms.

    Returns:
        `(N, Y, X)` in [0, 1]; 0 for slices of a single value.
    """
    low, high = slices.amin((1, 2), keepdim=True), slices.amax((1, 2), keepdim=True)
    varies = high > low
    unit = (slices - low) / (high - low).clamp(min=torch.finfo(slices.dtype).tiny)
    sides = [max(n // tiles, 1) for n in slices.shape[1:]]
    bin_of = (unit * bins).long().clamp(max=bins - 1)
    tables = _tables(_padded(bin_of, sides), sides, clip_limit, bins)
    out = _blended(bin_of, tables, sides)
    low, high = out.amin((1, 2), keepdim=True), out.amax((1, 2), keepdim=True)
    return varies * (out - low) / (high - low).clamp(min=1e-6)


def _padded(bin_of: torch.Tensor, sides: list[int]) -> torch.Tensor:
    """Continue `(N, Y, X)` at its far ends by reflection, to whole tiles."""
    (rows, columns), (height, width) = sides, bin_of.shape[1:]
    padding = (0, -width % columns, 0, -height % rows)
    if not any(padding):
        return bin_of
    mode = "reflect" if padding[1] < width and padding[3] < height else "replicate"
    return F.pad(bin_of[:, None].double(), padding, mode=mode)[:, 0].long()


def _tables(bin_of: torch.Tensor, sides: list[int], clip_limit: float, bins: int) -> torch.Tensor:
    """Look-up tables `(N, tile rows, tile columns, bins)`, with the outer tiles repeated on all sides."""
    rows, columns = sides
    blocks = bin_of.unflatten(2, (-1, columns)).unflatten(1, (-1, rows)).transpose(2, 3)
    pixels = blocks.flatten(3)  # (N, tile rows, tile columns, rows * columns)
    counts = torch.zeros(*pixels.shape[:3], bins, device=bin_of.device)
    counts.scatter_add_(3, pixels, torch.ones_like(pixels, dtype=counts.dtype))
    number = rows * columns
    limit = max(int(clip_limit * number), 1)
    for _ in range(_ROUNDS):
        excess = (counts - limit).clamp(min=0).sum(3, keepdim=True)
        counts = counts.clamp(max=limit)
        free = counts < limit
        counts = counts + free * excess / free.sum(3, keepdim=True).clamp(min=1)
    table = (counts.cumsum(3) / number).clamp(max=1)
    return F.pad(table.movedim(3, 1), (1, 1, 1, 1), mode="replicate").movedim(1, 3)


def _blended(bin_of: torch.Tensor, tables: torch.Tensor, sides: list[int]) -> torch.Tensor:
    """Look each pixel `(N, Y, X)` up in the tables of the four nearest tiles, weighted by distance."""
    number, height, width = bin_of.shape
    flat = tables.reshape(number, -1)
    (top, down), (left, right) = (
        _positions(n, side, bin_of.device) for n, side in zip((height, width), sides, strict=True)
    )
    _, _, tile_columns, bins = tables.shape
    out = torch.zeros(number, height, width, device=bin_of.device)
    for row, row_weight in ((top, 1 - down), (top + 1, down)):
        for column, column_weight in ((left, 1 - right), (left + 1, right)):
            tile = row[:, None] * tile_columns + column
            found = flat.gather(1, (tile * bins + bin_of).flatten(1)).view_as(out)
            out += row_weight[:, None] * column_weight * found
    return out


def _positions(length: int, side: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Tile whose centre lies before each pixel, counted with the repeated outer ones, and the way to the next."""
    place = torch.arange(length, device=device) + side // 2
    return place // side, (place % side) / side
