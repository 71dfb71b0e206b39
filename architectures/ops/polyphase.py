"""A map as its phases: the d × d maps of every d-th pixel.

A convolution with dilation d is an ordinary one on the phases. On a CPU the gradient of a depthwise convolution takes
torch about ten times as long with dilation as without, so the way round is the shorter one.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

__all__ = ["join_phases", "split_phases"]


def split_phases(x: torch.Tensor, step: int) -> torch.Tensor:
    """Phases of `x` `(B, C, H, W)`: `(B * step², C, ⌈H/step⌉, ⌈W/step⌉)`, filled up with zeros at the far ends."""
    height, width = x.shape[2:]
    pixels = F.pad(x.movedim(1, -1), (0, 0, 0, -width % step, 0, -height % step))
    pixels = pixels.unflatten(2, (-1, step)).unflatten(1, (-1, step))  # (B, h, step, w, step, C)
    return pixels.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).movedim(-1, 1)


def join_phases(phases: torch.Tensor, step: int, size: Sequence[int]) -> torch.Tensor:
    """Map `(B, C, H, W)` of `size` (H, W) from its phases: the inverse of `split_phases`."""
    pixels = phases.movedim(1, -1).unflatten(0, (-1, step, step)).permute(0, 3, 1, 4, 2, 5)
    return pixels.flatten(3, 4).flatten(1, 2)[:, : size[0], : size[1]].movedim(-1, 1)
