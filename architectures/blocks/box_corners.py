"""Boxes as four numbers between 0 and 1, and back to pixels.

The frame is the image padded to a square, the image in its middle (one pixel more at the far end if the difference is
odd), so that the shape of the heart does not depend on that of the image. With S the side of the square in pixels, a
box is (x_min / S, y_min / S, (x_max + 1) / S, (y_max + 1) / S): x counts columns, y rows, both from the top left.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

__all__ = [
    "corners_of_mask",
    "draw_corners",
    "pad_to_square",
    "pixels_of_corners",
    "placed_corners",
    "roi_rmse",
    "sort_corners",
]


def pad_to_square(x: torch.Tensor) -> torch.Tensor:
    """Pad images `(..., H, W)` with zeros to squares `(..., S, S)`, S = max(H, W), the image in the middle."""
    height, width = x.shape[-2:]
    side = max(height, width)
    left, top = _offset(width, side), _offset(height, side)
    return F.pad(x, (left, side - width - left, top, side - height - top))


def corners_of_mask(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Tight boxes of masks.

    Args:
        mask: Boolean `(B, H, W)`.

    Returns:
        Corners `(B, 4)` in float32, and for each mask whether it holds a pixel `(B,)`; the corners of one that does not
        are 0.
    """
    side = max(mask.shape[1:])
    (x_min, x_max), (y_min, y_max) = (_extent(mask.any(axis), side) for axis in (1, 2))
    present = mask.flatten(1).any(1)
    corners = torch.stack((x_min, y_min, x_max, y_max), dim=1).float() / side
    return corners * present[:, None], present


def sort_corners(corners: torch.Tensor) -> torch.Tensor:
    """Corners `(..., 4)` with the smaller of each pair first."""
    first, second = corners.unflatten(-1, (2, 2)).unbind(-2)
    return torch.cat((torch.minimum(first, second), torch.maximum(first, second)), dim=-1)


def draw_corners(corners: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Masks `(B, H, W)` of the boxes `(B, 4)` in images of `shape` (H, W).

    Edges are rounded to whole pixels and clipped to the image. Every box gets at least one pixel, whatever its size or
    place. Undoes `corners_of_mask` exactly.
    """
    height, width = shape
    x_min, y_min, x_max, y_max = sort_corners(corners).unbind(1)
    side = max(shape)
    return _inside(y_min, y_max, height, side)[:, :, None] & _inside(x_min, x_max, width, side)[:, None, :]


def pixels_of_corners(corners: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Edges of boxes `(B, 4)` in pixels of images of `shape` (H, W), not rounded.

    Returns:
        `(B, 4)`: x_min, y_min, x_max, y_max from the top left edge of the image; outside it where a box is.
    """
    height, width = shape
    side = max(shape)
    offset = torch.tensor([_offset(width, side), _offset(height, side)] * 2, dtype=corners.dtype, device=corners.device)
    return corners * side - offset


def placed_corners(
    corners: torch.Tensor, sample: Sequence[int], held: Sequence[int], image: Sequence[int]
) -> torch.Tensor:
    """Corners of boxes in an image, from those in a sample that holds it in its middle, shrunk or as it is.

    Args:
        corners: `(B, 4)` in the frame of the sample.
        sample: Rows and columns of the sample.
        held: Rows and columns that the image has in the sample.
        image: Rows and columns of the image itself.

    Returns:
        `(B, 4)` in the frame of the image.
    """
    ends = []
    for axis in (1, 0):  # x, then y
        first = _offset(sample[axis], max(sample)) + _offset(held[axis], sample[axis])
        scale = image[axis] / held[axis]
        pixels = (corners[:, 1 - axis :: 2] * max(sample) - first) * scale
        ends.append((pixels + _offset(image[axis], max(image))) / max(image))
    return torch.stack(ends, dim=2).flatten(1)


def roi_rmse(predicted: torch.Tensor, true: torch.Tensor, side: float | torch.Tensor) -> torch.Tensor:
    """Root mean square error of each box, r_i = sqrt(¼ Σ_j (ŷ_ij - y_ij)²), the error that HALSR-Net reports.

    Args:
        predicted: Corners `(B, 4)`; their pairs may be in any order.
        true: Corners `(B, 4)`.
        side: Side of the square, in pixels or millimetres: a number, or a tensor that broadcasts to `(B, 4)`, for
            images of different sizes or pixels that are not square.

    Returns:
        Errors `(B,)` in the unit of `side`.
    """
    return ((sort_corners(predicted) - true) * side).square().mean(1).sqrt()


def _offset(length: int, side: int) -> int:
    return (side - length) // 2


def _extent(profile: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """First and one past the last true entry of each row of `(B, length)`, counted in the square."""
    length = profile.shape[1]
    profile = profile.byte()  # argmax finds the first of equals and does not take booleans
    first, last = profile.argmax(1), length - profile.flip(1).argmax(1)
    return first + _offset(length, side), last + _offset(length, side)


def _inside(low: torch.Tensor, high: torch.Tensor, length: int, side: int) -> torch.Tensor:
    """Which of `length` pixels lie between two edges, `(B, length)`."""
    start, stop = ((edge.float() * side).round() - _offset(length, side) for edge in (low, high))
    start = start.clamp(0, length - 1)
    stop = torch.maximum(stop.clamp(max=length), start + 1)
    pixel = torch.arange(length, device=low.device)
    return (pixel >= start[:, None]) & (pixel < stop[:, None])
