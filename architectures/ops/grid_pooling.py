"""Adaptive average pooling to several grids at once, as matrix products.

Equals `torch.nn.functional.adaptive_avg_pool2d` for each grid. Two reasons not to call that: it passes over the map
once for each grid, and its gradient on CUDA is not deterministic.
"""

from collections.abc import Sequence

import torch

__all__ = ["average_grids"]


def average_grids(x: torch.Tensor, grids: Sequence[int]) -> list[torch.Tensor]:
    """Average `x` over the cells of square grids.

    Args:
        x: Maps `(B, C, H, W)`.
        grids: Cells per side of each grid.

    Returns:
        For each g of `grids` a tensor `(B, C, g, g)`.
    """
    height, width = x.shape[2:]
    rows = torch.cat([_averaging(height, cells, x) for cells in grids])  # (sum of grids, H)
    strips = (rows @ x.movedim(1, -1).flatten(2)).unflatten(2, (width, -1))  # (B, sum of grids, W, C)
    return [
        (_averaging(width, cells, x) @ strip).movedim(-1, 1)
        for cells, strip in zip(grids, strips.split(list(grids), dim=1), strict=True)
    ]


def _averaging(length: int, cells: int, like: torch.Tensor) -> torch.Tensor:
    """Weights `(cells, length)`: cell i averages the pixels from ⌊i·length/cells⌋ to ⌈(i+1)·length/cells⌉ - 1."""
    cell = torch.arange(cells, device=like.device)[:, None]
    pixel = torch.arange(length, device=like.device)
    inside = (pixel >= cell * length // cells) & (pixel < -(-(cell + 1) * length // cells))
    return inside.to(like.dtype) / inside.sum(1, keepdim=True)
