"""Cut a window out of a tensor and put it back: exact inverses of each other.

A window may reach outside the image: the crop holds a fill value there, and pasting drops those voxels. So
`crop(paste(t, w, s), w)` is `t` wherever the window lies inside the image, and `paste(crop(x, w), w, s, background=x)`
is `x`.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import EllipsisType

import torch

from nnunet_cardiac.cascade.roi import Box


def in_last_axes(slices: Iterable[slice]) -> tuple[EllipsisType | slice, ...]:
    """Return the index that takes slices of the last axes of an array and all of the axes before."""
    return (..., *slices)


def _overlap(window: Box, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the voxels shared by window and image, as slices of the image and of the window."""
    inside = window.grown((0,) * len(shape), shape)
    image = tuple(slice(a, max(a, b)) for a, b in zip(inside.start, inside.stop, strict=True))
    patch = tuple(slice(s.start - a, s.stop - a) for s, a in zip(image, window.start, strict=True))
    return image, patch


def crop(tensor: torch.Tensor, window: Box, fill: float = 0.0) -> torch.Tensor:
    """Cut a window out of the last axes of a tensor.

    Args:
        tensor: (..., *spatial), as many spatial axes as the window has.
        window: What to cut; may reach outside.
        fill: Value of voxels outside the image.

    Returns:
        New tensor (..., *window.size); never a view of the input.
    """
    axes = len(window.start)
    image, patch = _overlap(window, tuple(tensor.shape[-axes:]))
    out = tensor.new_full((*tensor.shape[:-axes], *window.size), fill)
    out[in_last_axes(patch)] = tensor[in_last_axes(image)]
    return out


def paste(patch: torch.Tensor, window: Box, background: torch.Tensor) -> torch.Tensor:
    """Write a cropped patch back into a background, in place.

    Args:
        patch: (..., *window.size).
        window: Where it was cut.
        background: (..., *spatial) with the same leading axes; voxels inside the window are overwritten.

    Returns:
        `background`.

    Raises:
        ValueError: If the patch has not the size of the window.
    """
    axes = len(window.start)
    if tuple(patch.shape[-axes:]) != window.size:
        raise ValueError(f"patch of size {tuple(patch.shape[-axes:])} does not fit a window of size {window.size}.")
    image, inner = _overlap(window, tuple(background.shape[-axes:]))
    background[in_last_axes(image)] = patch[in_last_axes(inner)].to(background.dtype)
    return background
