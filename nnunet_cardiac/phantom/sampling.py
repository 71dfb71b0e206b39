"""Partial volume: average the heart over the points of each voxel and decide its label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nnunet_cardiac.phantom.region import Array
from nnunet_cardiac.phantom.tissue import STRUCTURES, Samples

#: Points of a pixel along each axis, and planes of a slice.
IN_PLANE, THROUGH_PLANE = 2, 3


@dataclass(frozen=True)
class Voxels:
    """Averages over the points of each voxel, shape (Y, X).

    Attributes:
        water: Signal of water, from the covered part.
        fat: Signal of fat, from the covered part.
        cover: Part of the voxel that belongs to the heart.
        occupancy: Part of the voxel in each structure, shape (3, Y, X), in the order of `STRUCTURES`.
    """

    water: Array
    fat: Array
    cover: Array
    occupancy: Array


def subpixels(pixel_mm: float) -> Array:
    """Offsets in mm of the points of a pixel along one axis."""
    return pixel_mm * ((np.arange(IN_PLANE) + 0.5) / IN_PLANE - 0.5)


def subslices(thickness_mm: float) -> Array:
    """Offsets in mm of the planes of a slice."""
    return thickness_mm * ((np.arange(THROUGH_PLANE) + 0.5) / THROUGH_PLANE - 0.5)


def average(samples: Samples) -> Voxels:
    """Average samples of shape (planes, Y * IN_PLANE, X * IN_PLANE) over each voxel."""
    return Voxels(
        pool_points(samples.water),
        pool_points(samples.fat),
        pool_points(samples.cover),
        np.stack([pool_points(mask) for mask in samples.structures]),
    )


def decide_labels(occupancy: Array, values: Mapping[str, int]) -> Array:
    """Label map from occupancies.

    A voxel is heart if at least half of it lies in any structure, and then takes the structure with the greatest part.
    Deciding in this order keeps the wall closed where a slice is cut by the base. With so few points in a voxel ties
    are common: neighbours decide them in turn, as on a chessboard, else one side would gain volume along its border.

    Args:
        occupancy: Part of each voxel in RV, MYO and LV, shape (3, Y, X).
        values: Structure to label value.

    Returns:
        uint8, shape (Y, X).
    """
    black = np.indices(occupancy.shape[1:]).sum(axis=0) % 2 == 0
    heart = occupancy.sum(axis=0)
    covered = (heart > 0.5) | ((heart == 0.5) & black)
    wall, cavity = (_greatest(occupancy, values, *order) for order in (("MYO", "LV", "RV"), ("LV", "RV", "MYO")))
    return np.where(covered, np.where(black, wall, cavity), np.uint8(values["background"])).astype(np.uint8)


def _greatest(occupancy: Array, values: Mapping[str, int], *order: str) -> Array:
    """Value of the structure with the greatest part; at a tie the first in `order` wins."""
    ordered = occupancy[[STRUCTURES.index(name) for name in order]]
    return np.array([values[name] for name in order], np.uint8)[ordered.argmax(axis=0)]


def pool_points(points: Array) -> Array:
    """Mean over the points of each voxel: (planes, Y * IN_PLANE, X * IN_PLANE) to (Y, X), float32."""
    planes, rows, columns = points.shape
    blocks = points.reshape(planes, rows // IN_PLANE, IN_PLANE, columns // IN_PLANE, IN_PLANE)
    return blocks.mean(axis=(0, 2, 4), dtype=np.float32)
