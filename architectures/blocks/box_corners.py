"""Boxes as four fractions of a square: from masks, and back to masks.

HALSR-Net (Fakhfakh et al. 2025) regresses the lower left and upper right corner of the region of interest on a slice
that was padded to a square. Corners are (x_min, y_min, x_max + 1, y_max + 1) over the side of that square; x runs along
columns, and the padding is the same on both sides (one pixel more at the end if it is odd).
"""

import torch
import torch.nn.functional as F

__all__ = ["corners_of_mask", "draw_corners", "pad_to_square"]


def pad_to_square(x: torch.Tensor) -> torch.Tensor:
    """Pad `(B, C, H, W)` with zeros to `(B, C, S, S)`, S the longer side."""
    top, left, side = _frame(x.shape[-2], x.shape[-1])
    return F.pad(x, (left, side - x.shape[-1] - left, top, side - x.shape[-2] - top))


def corners_of_mask(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners of the tight boxes of masks.

    Args:
        mask: Boolean `(B, H, W)`.

    Returns:
        Corners `(B, 4)` in float32, zeros where a mask is empty, and whether there is a box `(B,)`.
    """
    height, width = mask.shape[1:]
    top, left, side = _frame(height, width)
    x_min, x_stop = _extent(mask.any(1))
    y_min, y_stop = _extent(mask.any(2))
    present = mask.flatten(1).any(1)
    corners = torch.stack((x_min + left, y_min + top, x_stop + left, y_stop + top), dim=1).float() / side
    return corners * present[:, None], present


def draw_corners(corners: torch.Tensor, size: tuple[int, int] | torch.Size) -> torch.Tensor:
    """Fill boxes; the inverse of `corners_of_mask` for rectangles.

    Args:
        corners: `(B, 4)`; a pair in the wrong order is swapped, a box without area or outside the image gets the
            nearest pixel of the image.
        size: (H, W) of the image.

    Returns:
        Boolean `(B, H, W)`.
    """
    height, width = size
    top, left, side = _frame(height, width)
    x, y = (corners.float()[:, axis::2].sort(dim=1).values * side for axis in (0, 1))
    columns, rows = _inside(x - left, width), _inside(y - top, height)
    return rows[:, :, None] & columns[:, None, :]


def _frame(height: int, width: int) -> tuple[int, int, int]:
    """Rows above, columns left of the image in its square, and the side of the square."""
    side = max(height, width)
    return (side - height) // 2, (side - width) // 2, side


def _extent(line: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First index and one past the last of the True entries of each row `(B, N)`."""
    line = line.to(torch.uint8)
    return line.argmax(1), line.shape[1] - line.flip(1).argmax(1)


def _inside(interval: torch.Tensor, length: int) -> torch.Tensor:
    """Which of `length` pixels lie in the intervals `(B, 2)`, rounded to whole pixels, one at least: `(B, length)`."""
    start, stop = interval.round().unbind(1)
    start = start.clamp(0, length - 1)
    stop = torch.maximum(stop.clamp(max=length), start + 1)
    pixels = torch.arange(length, device=interval.device)
    return (pixels >= start[:, None]) & (pixels < stop[:, None])
