"""Training samples that follow the coarse region, for nnU-Net's own data loader.

nnU-Net's loader draws a patch anywhere, or around a foreground voxel. A cropping configuration needs the patch that
its network will see at inference: the window around the coarse heart. :class:`RegionDataset` lies between nnU-Net's
dataset and its loader and gives each case already cut to that region, so that loader and augmentation stay
nnU-Net's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunet_cardiac.cascade.crop import in_last_axes
from nnunet_cardiac.cascade.roi import Box, RegionRule, find_region
from nnunet_cardiac.cascade.simulation import CoarseSimulation

#: `class_locations` key under which the loader finds the centre of the region.
_CENTRE = 1


def sample_jitter(size: Sequence[int]) -> tuple[int, ...]:
    """Draw a shift of up to `size` voxels per axis from numpy's global generator, which nnU-Net seeds per worker."""
    return tuple(int(np.random.randint(-n, n + 1)) for n in size)


@dataclass(frozen=True)
class _Regions:
    """What is kept of the regions of a case.

    Attributes:
        windows: Window and enlarged box of each slice, (y, x); one pair (z, y, x) for a volume.
        heart: Their components in the axes of the coarse prediction, eight voxels a byte; None to show all of it.
    """

    windows: list[tuple[Box, Box]]
    heart: np.ndarray | None

    def seen(self, coarse: Any) -> Any:
        """Coarse labels (Z, Y, X) as the network sees them."""
        if self.heart is None:
            return coarse
        labels = np.asarray(coarse[:])
        return labels * np.unpackbits(self.heart, count=labels.size).reshape(labels.shape).astype(labels.dtype)


class RegionDataset:
    """A dataset of regions: cases cut to a fixed size around the coarse heart.

    Args:
        with_coarse: nnU-Net dataset of the cases whose coarse prediction exists.
        without_coarse: nnU-Net dataset of cases without one; their coarse labels are simulated from the reference,
            anew for each draw.
        rule: How the window is found; the same object that the network uses at inference.
        size: In-plane (or z, y, x) size of a sample: the loader's patch before augmentation.
        jitter: Largest random shift of the region per window axis, in voxels.
        simulation: What the first stage makes, for cases without a prediction of it.

    Attributes:
        identifiers: Case names, sorted, as nnU-Net's loader expects.
    """

    def __init__(
        self,
        with_coarse: nnUNetBaseDataset,
        without_coarse: nnUNetBaseDataset,
        rule: RegionRule,
        size: Sequence[int],
        jitter: Sequence[int] | int = 0,
        simulation: CoarseSimulation | None = None,
    ) -> None:
        axes = len(rule.window)
        self._with_coarse = with_coarse
        self._without_coarse = without_coarse
        self._simulated = frozenset(without_coarse.identifiers)
        self._simulation = simulation or CoarseSimulation()
        self._rule = rule
        self._size = tuple(int(n) for n in size)
        self._jitter = (jitter,) * axes if isinstance(jitter, int) else tuple(jitter)
        self._regions: dict[str, _Regions] = {}
        self.identifiers = sorted([*with_coarse.identifiers, *without_coarse.identifiers])

    def __getitem__(self, identifier: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Same as :meth:`load_case`, as in nnU-Net's datasets."""
        return self.load_case(identifier)

    def load_case(self, identifier: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Load one region.

        Returns:
            Image (C, Z, Y, X), reference labels (1, Z, Y, X), coarse labels (Z, Y, X) and nnU-Net's properties, whose
            `class_locations` hold the centre of the region. With a window of two entries Z is 1: one slice, drawn
            from all slices of the stack with equal probability. Where a region is larger than the window, as with a
            large heart or with all slices of a deep image (`all_slices`), a window inside it is drawn.
        """
        simulated = identifier in self._simulated
        dataset = self._without_coarse if simulated else self._with_coarse
        image, reference, coarse, properties = dataset.load_case(identifier)
        if simulated:
            coarse = self._simulation.without_errors(reference[0])
        regions = self._found_regions(identifier, coarse)
        z = int(np.random.randint(len(regions.windows)))
        window, enlarged = regions.windows[z]
        box = self._draw_box(window, reference.shape[1:], z)
        image = crop_and_pad_nd(image, box, 0)
        labels = crop_and_pad_nd(reference, box, -1)
        if simulated:
            coarse = self._simulation.sample(coarse, box, self._rule.heart_only)
        else:
            coarse = crop_and_pad_nd(regions.seen(coarse), box, 0)
        if self._rule.mask_outside:
            image, coarse = (_masked(part, box, enlarged) for part in (image, coarse))
        centre = np.array([[0, *(n // 2 for n in image.shape[1:])]])
        return image, labels, coarse, {**properties, "class_locations": {_CENTRE: centre}}

    def _found_regions(self, identifier: str, coarse: Any) -> _Regions:
        """Regions of a case; found once, kept in memory."""
        if identifier not in self._regions:
            mask = np.asarray(coarse[:]) > 0
            if self._rule.per_slice:
                found = [find_region(one, self._rule) for one in mask]
                windows, heart = [(one.window, one.box) for one in found], np.stack([one.heart for one in found])
            else:
                region = find_region(mask, self._rule)
                windows, heart = [(region.window, region.box)], region.heart
                if len(self._rule.window) == 2:
                    windows *= len(mask)
            self._regions[identifier] = _Regions(windows, np.packbits(heart) if self._rule.heart_only else None)
        return self._regions[identifier]

    def _draw_box(self, region: Box, shape: Sequence[int], z: int) -> list[list[int]]:
        """Draw the box (z, y, x) of a sample from a region: of slice `z` of a stack of this shape, or of the volume."""
        sides = zip(region.start, region.stop, self._rule.window, sample_jitter(self._jitter), strict=True)
        middle = []
        for start, stop, n, shift in sides:
            room = stop - start - n
            first = start + (int(np.random.randint(room + 1)) if room > 0 else shift)
            middle.append(first + n // 2)
        if self._rule.clamp:
            middle = self._clamped(middle, shape[-len(middle) :])
        box = [[m - n // 2, m - n // 2 + n] for m, n in zip(middle, self._size, strict=True)]
        return box if len(box) == 3 else [[z, z + 1], *box]

    def _clamped(self, middle: list[int], shape: Sequence[int]) -> list[int]:
        """Move the middle of a window so that the window lies in the image, as it will at inference."""
        start = tuple(m - n // 2 for m, n in zip(middle, self._rule.window, strict=True))
        window = Box(start, tuple(a + n for a, n in zip(start, self._rule.window, strict=True)))
        moved = window.moved_into(Box((0,) * len(start), tuple(shape)))
        return [(a + b) // 2 for a, b in zip(moved.start, moved.stop, strict=True)]


def _masked(part: np.ndarray, box: Sequence[Sequence[int]], enlarged: Box) -> np.ndarray:
    """Zero a sample (..., *size of the box) outside the enlarged box of the heart."""
    axes = len(enlarged.start)
    out = np.zeros_like(part)
    inside = tuple(
        slice(max(a - first, 0), max(b - first, 0))
        for a, b, (first, _) in zip(enlarged.start, enlarged.stop, list(box)[-axes:], strict=True)
    )
    index = in_last_axes(inside)
    out[index] = part[index]
    return out
