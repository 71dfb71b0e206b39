"""Images in the middle of a sample of a fixed size: smaller ones padded, larger ones shrunk as a whole.

The loader of training samples and the network at prediction place an image with these functions alike, so that a
network that sees whole images sees them the same way in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

__all__ = ["centred_padding", "fitted_size", "pad_centred", "shrunk"]


def centred_padding(shape: Sequence[int], size: Sequence[int]) -> list[tuple[int, int]]:
    """Voxels to add before and behind each axis; the odd one goes behind, none where an axis is long enough."""
    missing = [max(wanted - length, 0) for length, wanted in zip(shape, size, strict=True)]
    return [(n // 2, n - n // 2) for n in missing]


def pad_centred(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Pad the last axes of a tensor with zeros to at least `size`, what was there in the middle."""
    padding = centred_padding(x.shape[-len(size) :], size)
    return F.pad(x, [n for pair in reversed(padding) for n in pair])


def fitted_size(shape: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """Size of an image of `shape` once it fits into `size`: its own, or shrunk by one factor for all axes."""
    factor = min(1.0, *(wanted / length for length, wanted in zip(shape, size, strict=True)))
    return tuple(max(1, min(round(length * factor), n)) for length, n in zip(shape, size, strict=True))


def shrunk(slices: torch.Tensor, size: Sequence[int], labels: bool = False) -> torch.Tensor:
    """Shrink slices `(B, C, H, W)` that are larger than `size` (H, W) as a whole; others stay as they are.

    Args:
        slices: Images, or label maps.
        size: Rows and columns into which they have to fit.
        labels: Whether values are labels, which are not to be averaged.
    """
    wanted = fitted_size(slices.shape[2:], size)
    if wanted == tuple(slices.shape[2:]):
        return slices
    if labels:
        return F.interpolate(slices.float(), wanted, mode="nearest-exact").to(slices.dtype)
    return F.interpolate(slices, wanted, mode="bilinear", align_corners=False, antialias=True)
