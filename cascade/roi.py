"""Region of interest from a coarse prediction: largest component, box, margin, fixed window, fallback.

The rule follows the crop of CroCNet (Khan et al., ISBI 2024, section 3.3): the largest connected foreground region,
its bounding box enlarged by a safety margin. Differences, each for a reason:

* a component's size is its voxel count (the authors' code compares box areas, where a thin diagonal streak wins);
* components are 3D, so a stack has one box and an apical slice that the coarse stage missed is still seen;
* every side gets the full margin and is clipped to the image on its own (the authors' code drops the margin on all
  sides when one side leaves the image);
* the window has a fixed size, is centred on the box and reads the full image, so nothing is rescaled.

Everything here is numpy and deterministic. Axes are (z, y, x) or (y, x); boxes are half-open.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any

import numpy as np
from scipy import ndimage

from nnunet_cardiac.boxes import bounding_slices

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Box:
    """Half-open box in voxels; a window may reach outside the image, a region of interest does not.

    Attributes:
        start: First voxel of each axis.
        stop: One past the last voxel of each axis.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    def grown(self, margin: Sequence[int], shape: Sequence[int]) -> Box:
        """Return the box enlarged by `margin` voxels per side, each side clipped to an image of `shape`."""
        start = tuple(max(a - m, 0) for a, m in zip(self.start, margin, strict=True))
        stop = tuple(min(b + m, n) for b, m, n in zip(self.stop, margin, shape, strict=True))
        return Box(start, stop)

    def moved_into(self, other: Box) -> Box:
        """Return the box shifted as little as needed to lie inside `other`, or to hold it where `other` is smaller."""
        start = []
        for a, b, first, last in zip(self.start, self.stop, other.start, other.stop, strict=True):
            low, high = sorted((first, last - (b - a)))
            start.append(min(max(a, low), high))
        return Box(tuple(start), tuple(a + n for a, n in zip(start, self.size, strict=True)))

    def contains(self, other: Box) -> bool:
        """Tell whether `other` lies inside."""
        return all(a <= c and d <= b for a, b, c, d in zip(self.start, self.stop, other.start, other.stop, strict=True))


@dataclass(frozen=True)
class RegionRule:
    """How a window is found in a coarse prediction.

    Attributes:
        window: Fixed size of the window in voxels of the working grid. Two entries (y, x) keep every slice of a
            stack; three entries (z, y, x) crop along z too.
        margin: Safety margin in voxels added on each side of the box, a number or one per window axis (15 pixels
            in CroCNet).
        multiple: A heart whose enlarged box exceeds the window gets the next multiple of this, a number or one per
            window axis; the divisor of the network that works inside.
        per_slice: One box per slice, the literal rule of the paper for its single-slice images, instead of one per
            stack. Needs a window of two entries.
        mask_outside: Set voxels of the window outside the enlarged box to 0, as the authors' code does.
        centre: What the window is centred on: `box`, or `centroid` of the component's voxels, for a coarse prediction
            that marks the middle of the heart and not its outline (3D DR-UNet).
        clamp: Shift a window that reaches outside the image into it; where the image is smaller, the window holds it.
        heart_only: Show the network in the window only the component that the window was made for, and none of the
            others that the coarse prediction may have: a second stage keeps much of what it is shown.
        all_slices: Where an image has more slices than a window of three entries, the window gets all of them: for
            a window that held every stack of the training set, or that has fewer slices in training than at prediction.

    Raises:
        ValueError: If a number is out of range or the lengths do not fit.
    """

    window: tuple[int, ...] = (128, 128)
    _: KW_ONLY
    margin: int | tuple[int, ...] = 15
    multiple: int | tuple[int, ...] = 16
    per_slice: bool = False
    mask_outside: bool = False
    centre: str = "box"
    clamp: bool = False
    heart_only: bool = True
    all_slices: bool = False

    def __post_init__(self) -> None:
        """Turn JSON lists into tuples, single numbers into one per axis, and check them."""
        object.__setattr__(self, "window", tuple(int(n) for n in self.window))
        if len(self.window) not in (2, 3):
            raise ValueError(f"window needs 2 entries (y, x) or 3 (z, y, x), got {self.window}.")
        for name, lowest in (("margin", 0), ("multiple", 1)):
            values = _per_axis(getattr(self, name), len(self.window))
            if len(values) != len(self.window) or min(values) < lowest:
                raise ValueError(f"{name} needs {len(self.window)} entries of at least {lowest}, got {values}.")
            object.__setattr__(self, name, values)
        if any(n < 1 or n % m for n, m in zip(self.window, self.multiples, strict=True)):
            raise ValueError(f"window {self.window} must consist of positive multiples of {self.multiple}.")
        if self.centre not in ("box", "centroid"):
            raise ValueError(f"centre is {self.centre!r}, expected 'box' or 'centroid'.")
        if self.per_slice and len(self.window) == 3:
            raise ValueError(f"per_slice needs a window of 2 entries, got {self.window}.")
        if self.all_slices and len(self.window) == 2:
            raise ValueError(f"all_slices needs a window of 3 entries, got {self.window}.")

    @property
    def margins(self) -> tuple[int, ...]:
        """Safety margin along each axis of the window."""
        return _per_axis(self.margin, len(self.window))

    @property
    def multiples(self) -> tuple[int, ...]:
        """What the window is a multiple of along each of its axes."""
        return _per_axis(self.multiple, len(self.window))

    @classmethod
    def from_plans(cls, arguments: Mapping[str, Any]) -> RegionRule:
        """Return the rule that arguments of `CropFromCoarse` in a plans file describe; others are left out."""
        return cls(**{one.name: arguments[one.name] for one in fields(cls) if one.name in arguments})

    def to_plans(self) -> dict[str, Any]:
        """Return the rule as arguments of `CropFromCoarse`, JSON-ready; what plans need not say is left out."""
        written: dict[str, Any] = {
            "window": list(self.window),
            "margin": _one_or_list(self.margins),
            "multiple": _one_or_list(self.multiples),
            "per_slice": self.per_slice,
            "mask_outside": self.mask_outside,
        }
        if self.centre != "box" or self.clamp:
            written |= {"centre": self.centre, "clamp": self.clamp}
        if not self.heart_only:
            written["heart_only"] = False
        if self.all_slices:
            written["all_slices"] = True
        return written

    def least_size(self, image: Box) -> tuple[int, ...]:
        """Size of the window in an image, before it grows with the heart."""
        if not self.all_slices:
            return self.window
        slices = math.ceil(image.size[0] / self.multiples[0]) * self.multiples[0]
        return (max(self.window[0], slices), *self.window[1:])


def _per_axis(values: int | Iterable[int], axes: int) -> tuple[int, ...]:
    return (values,) * axes if isinstance(values, int) else tuple(int(v) for v in values)


def _one_or_list(values: Sequence[int]) -> int | list[int]:
    return values[0] if len(set(values)) == 1 else list(values)


@dataclass(frozen=True)
class Region:
    """A window and the enlarged box it was made for.

    Attributes:
        window: What is cut out; may reach outside the image.
        box: Enlarged box of the heart, clipped to the image.
        found: False if the coarse prediction was empty and the window is the centre of the image.
        heart: The component in all axes of the coarse prediction; all False if there was none.
    """

    window: Box
    box: Box
    found: bool
    heart: np.ndarray = field(repr=False, compare=False)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Keep the connected component with the most voxels.

    Voxels that touch by a corner are connected in-plane (8-neighbourhood of a 2D mask, 26-neighbourhood of a 3D one),
    so that a thin myocardium does not fall apart. Of equally large components the first in array order stays.

    Args:
        mask: Boolean array of 2 or 3 axes.

    Returns:
        Boolean array of the same shape; all False if `mask` is.
    """
    out = np.zeros_like(mask, dtype=bool)
    box = bounding_box(mask)
    if box is None:
        return out
    inside = tuple(slice(a, b) for a, b in zip(box.start, box.stop, strict=True))  # hearts are small, volumes are not
    components, count = ndimage.label(mask[inside], structure=np.ones((3,) * mask.ndim, dtype=bool))
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    out[inside] = components == 1 + int(sizes.argmax())
    return out


def bounding_box(mask: np.ndarray) -> Box | None:
    """Return the tight box around the True voxels, or None if there are none."""
    slices = bounding_slices(mask)
    if not all(s.stop for s in slices):
        return None
    return Box(tuple(s.start for s in slices), tuple(s.stop for s in slices))


def fixed_window(
    box: Box, window: Sequence[int], multiple: Sequence[int], centre: Sequence[float] | None = None
) -> Box:
    """Centre a window on a box, or on a point in it.

    Args:
        box: What has to be inside.
        window: Least size per axis.
        multiple: Where the box does not fit, the window gets the next multiple of this instead.
        centre: Point in voxel edges (the middle of the first voxel is 0.5); None takes the middle of the box.

    Returns:
        The window; it reaches outside the image where the box lies near a border.
    """
    if centre is None:
        centre = [(a + b) / 2 for a, b in zip(box.start, box.stop, strict=True)]
    needed = centred_size(box, centre)
    size = [max(n, math.ceil(b / m) * m) for n, b, m in zip(window, needed, multiple, strict=True)]
    start = tuple(math.floor(c - n / 2) for c, n in zip(centre, size, strict=True))
    return Box(start, tuple(a + n for a, n in zip(start, size, strict=True)))


def centred_size(box: Box, centre: Sequence[float]) -> tuple[int, ...]:
    """Size of the smallest box with this centre, in voxel edges, that holds `box`; rounded up to whole voxels."""
    return tuple(math.ceil(2 * max(c - a, b - c)) for a, b, c in zip(box.start, box.stop, centre, strict=True))


def centroid(mask: np.ndarray) -> tuple[float, ...]:
    """Mean position of the True voxels in voxel edges: a single voxel at index i gives i + 0.5."""
    return tuple(float(axis.mean()) + 0.5 for axis in np.nonzero(mask))


def find_region(mask: np.ndarray, rule: RegionRule, image: Box | None = None) -> Region:
    """Find the window around the heart in a coarse foreground mask.

    Args:
        mask: Boolean foreground, (z, y, x) for a stack or (y, x) for a slice.
        rule: Size, margin and enlargement. With a window of two entries the region spans all slices of a stack;
            `per_slice` is the caller's business (it passes one slice at a time).
        image: Part of the mask that is image and no padding, in the axes of `rule.window`, for the rule's `clamp` and
            the fallback; None means all.

    Returns:
        The region, in the axes of `rule.window`. An empty mask gives the centre of the image and a logged warning.

    Raises:
        ValueError: If mask and rule have different numbers of axes.
    """
    axes = len(rule.window)
    if mask.ndim < axes or mask.ndim > 3:
        raise ValueError(f"a window of {axes} entries does not fit a mask of shape {mask.shape}.")
    shape = mask.shape[-axes:]
    image = Box((0,) * axes, tuple(shape)) if image is None else image
    least = rule.least_size(image)
    component = largest_component(mask)
    box = bounding_box(component)
    if box is None:
        logger.warning(
            "Empty coarse prediction (mask of shape %s): the window is taken at the centre of the image. "
            "Check the result of the previous stage for this case.",
            mask.shape,
        )
        start = tuple((a + b - w) // 2 for a, b, w in zip(image.start, image.stop, least, strict=True))
        window = Box(start, tuple(c + w for c, w in zip(start, least, strict=True)))
        return Region(window=window, box=image, found=False, heart=component)
    enlarged = Box(box.start[-axes:], box.stop[-axes:]).grown(rule.margins, shape)
    centre = centroid(component)[-axes:] if rule.centre == "centroid" else None
    window = fixed_window(enlarged, least, rule.multiples, centre)
    window = window.moved_into(image) if rule.clamp else window
    return Region(window=window, box=enlarged, found=True, heart=component)
