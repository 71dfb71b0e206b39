"""Stacks of slices as one batch of slices, without those that only fill a stack up.

nnU-Net fills short stacks up with slices of zeros, in training and at prediction, and small images with rows and
columns of zeros. A z-scored slice is not zero everywhere, so the zeros themselves say what is real; what augments
intensities has to leave them alone (`nnunet_cardiac.trainers.recipe.augmentation.ZerosStayZero`).
"""

import torch

__all__ = ["content_box", "pack", "real_slices", "unpack"]


def real_slices(x: torch.Tensor) -> torch.Tensor:
    """Which slices of stacks `(B, C, Z, H, W)` hold anything but zeros, `(B, Z)`.

    A stack of zeros alone counts as real as a whole: an output is expected of it, and statistics of no slice at all
    do not exist.
    """
    real = (x != 0).any(1).flatten(2).any(2)
    return real | ~real.any(1, keepdim=True)


def content_box(x: torch.Tensor) -> tuple[slice, slice]:
    """Rows and columns of `(..., H, W)` outside which all is zero; all of them if all is zero."""
    held = (x != 0).flatten(0, -3).any(0)
    return _extent(held.any(1)), _extent(held.any(0))


def _extent(held: torch.Tensor) -> slice:
    indices = held.nonzero().flatten().tolist() or [0, len(held) - 1]
    return slice(indices[0], indices[-1] + 1)


def pack(x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Take the real slices `(S, C, H, W)` out of stacks `(B, C, Z, H, W)`, stack by stack."""
    return x.movedim(2, 1)[real]


def unpack(packed: torch.Tensor, real: torch.Tensor, fill: torch.Tensor) -> torch.Tensor:
    """Put slices back into their stacks.

    Args:
        packed: Slices `(S, C, ...)`.
        real: Which slices of the stacks they are, `(B, Z)` with S true entries.
        fill: Values `(C,)` of every pixel of the other slices.

    Returns:
        `(B, C, Z, ...)`.
    """
    shape = (*real.shape, *packed.shape[1:])
    stacks = fill.to(packed.dtype).view(-1, *[1] * (packed.ndim - 2)).expand(shape).clone()
    stacks[real] = packed
    return stacks.movedim(1, 2)
