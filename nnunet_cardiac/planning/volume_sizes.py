"""Sizes of the hearts and volumes of a preprocessed data set.

Vesal et al. 2020 print neither the low resolution nor the size of the crop. Here the first is the grid on which the
median volume has 128 pixels in-plane, and the second holds 99 percent of the hearts of the training set with 15 mm
around them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_cardiac.cascade.roi import bounding_box, centred_size, centroid, largest_component
from nnunet_cardiac.planning.hearts import reference_labels, require_hearts

#: Configuration whose plans and preprocessed data those of volumes derive from.
BASE = "3d_fullres"

#: Slices more than this many times farther apart than pixels are not pooled: three poolings of a stack of ten slices
#: would leave one. nnU-Net calls data anisotropic from the same factor on.
_ANISOTROPY = 3.0

#: Around the heart where nobody says.
DEFAULT_MARGIN_MM = 15.0

_LOW_RESOLUTION = 128
_COVERED_PERCENT = 99
_POOLINGS = 3


def keeps_z(spacing: Sequence[float]) -> bool:
    """Tell whether slices lie so far apart that a network should pool in-plane alone ("Keep Z").

    Args:
        spacing: (z, y, x) in mm.
    """
    return spacing[0] > _ANISOTROPY * max(spacing[1:])


def divisor_for(keep_z: bool) -> tuple[int, int, int]:
    """What the sides (z, y, x) of an input of the 3D DR-UNet must be multiples of."""
    side = 2**_POOLINGS
    return (1 if keep_z else side, side, side)


@dataclass(frozen=True)
class VolumeGeometry:
    """Sizes of a preprocessed data set in voxels (z, y, x).

    Attributes:
        spacing: Of the grid, in mm.
        hearts: For each labelled case the smallest box around the centroid of the heart that holds the heart.
        shapes: Image shape of each case.
    """

    spacing: tuple[float, ...]
    hearts: list[tuple[int, ...]]
    shapes: list[tuple[int, ...]]

    def window(self, divisor: Sequence[int], margin_mm: float = DEFAULT_MARGIN_MM) -> tuple[int, ...]:
        """Window, square in-plane, that holds 99 percent of the hearts with a margin; no larger than the volumes.

        Args:
            divisor: What its sides are multiples of.
            margin_mm: On each side of the heart.
        """
        sizes = np.percentile(np.array(self.hearts), _COVERED_PERCENT, axis=0) + 2 * margin_mm / np.array(self.spacing)
        sizes[1:] = sizes[1:].max()
        largest = np.max(self.shapes, axis=0)
        largest[1:] = largest[1:].max()
        return rounded_up(np.minimum(sizes, largest), divisor)

    def patch(self, divisor: Sequence[int], room: float = 1.0) -> tuple[int, ...]:
        """Patch in which every volume fits, with a factor of room for others."""
        return rounded_up(np.max(self.shapes, axis=0) * room, divisor)

    def resampled(self, spacing: Sequence[float]) -> VolumeGeometry:
        """The same volumes on another grid; the hearts are left out."""
        factor = np.array(self.spacing) / np.array(spacing)
        shapes = [tuple(int(n) for n in np.maximum(np.round(np.array(s) * factor), 1)) for s in self.shapes]
        return VolumeGeometry(tuple(spacing), [], shapes)

    def low_resolution(self) -> tuple[float, ...]:
        """Spacing in mm on which the median volume has 128 pixels in-plane, and slices are no closer than pixels."""
        factor = max(1.0, float(np.median(np.array(self.shapes)[:, 1:].max(1))) / _LOW_RESOLUTION)
        in_plane = [round(s * factor, 4) for s in self.spacing[1:]]
        return (max(self.spacing[0], *in_plane), *in_plane)


def measure_volumes(
    folder: Path | str, spacing: Sequence[float], progress: bool = True, ignore: int | None = None
) -> VolumeGeometry:
    """Measure volumes and hearts of a data set preprocessed for `BASE`.

    Args:
        folder: `nnUNet_preprocessed/<dataset>/<data_identifier>`.
        spacing: Of its grid (z, y, x) in mm.
        progress: Whether to show a progress bar.
        ignore: Value of voxels without a reference, which are no heart.

    Raises:
        UserError: If the folder is missing or no case has a label.
    """
    hearts, shapes = [], []
    for labels in reference_labels(folder, BASE, progress, ignore):
        shapes.append(tuple(labels.shape))
        heart = largest_component(labels > 0)
        box = bounding_box(heart)
        if box is not None:
            hearts.append(centred_size(box, centroid(heart)))
    require_hearts(folder, hearts, shapes)
    return VolumeGeometry(tuple(spacing), hearts, shapes)


def rounded_up(sizes: Sequence[float] | np.ndarray, divisor: Sequence[int]) -> tuple[int, ...]:
    """Smallest multiples that are not below `sizes`."""
    return tuple(math.ceil(n / d - 1e-9) * d for n, d in zip(sizes, divisor, strict=True))
