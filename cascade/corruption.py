"""Coarse labels made from reference labels, for a second stage trained before all folds of the first one exist.

Errors are those of real first stages: an outline too large or too small, a structure shifted, a structure missing on a
slice, the outline of a neighbouring slice, a structure that goes on beyond its base or apex, and spurious islands
outside the heart. The last but one is the most frequent: a first stage after a short training painted a structure into
half of the slices just beyond it and more (ACDC, patients of the training set, out of fold). Where simulated labels do
not, the second stage learns to take their word for it that a slice holds a structure. Islands apart from the heart are
hidden where predictions are cropped (`RegionRule.heart_only`), those that touch it are not.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

#: Probability per structure and slice of each error; of the fourth, in slices beside one that holds the structure.
_P_RESIZE, _P_SHIFT, _P_DROP, _P_BEYOND, _P_NEIGHBOUR, _P_ISLAND = 0.4, 0.4, 0.05, 0.5, 0.05, 0.1
_MAX_SHIFT = 2
_MAX_RESIZE = 1

#: Pixels by which what goes on beyond an end is smaller at most.
_MAX_TAPER = 4


def corrupt_labels(labels: np.ndarray) -> np.ndarray:
    """Return a plausible coarse prediction for reference labels.

    Args:
        labels: (Z, Y, X) label map, 0 = background.

    Returns:
        Label map of the same shape and type. Randomness comes from numpy's global generator, which nnU-Net seeds per
        worker.
    """
    out = np.zeros_like(labels)
    structures = [int(v) for v in np.unique(labels) if v > 0]
    for z in range(len(labels)):
        # Random order: where two corrupted structures overlap, neither always wins.
        for value in np.random.permutation(structures):
            out[z][_corrupt_mask(_outline(labels, z, value))] = value
        if structures and np.random.uniform() < _P_ISLAND:
            _add_island(out[z], int(np.random.choice(structures)))
    return out


def _outline(labels: np.ndarray, z: int, value: int) -> np.ndarray:
    """Structure (Y, X) on slice `z`, now and then that of the slice above or below."""
    here = labels[z] == value
    beside = [labels[n] == value for n in (z - 1, z + 1) if 0 <= n < len(labels)]
    if not here.any():
        beside = [mask for mask in beside if mask.any()]
    if not beside or np.random.uniform() >= (_P_NEIGHBOUR if here.any() else _P_BEYOND):
        return here
    neighbour = beside[np.random.randint(len(beside))]
    return neighbour if here.any() else _eroded(neighbour, np.random.randint(_MAX_TAPER + 1))


def _eroded(mask: np.ndarray, pixels: int) -> np.ndarray:
    return ndimage.binary_erosion(mask, iterations=pixels) if pixels else mask  # none would mean without end


def _corrupt_mask(mask: np.ndarray) -> np.ndarray:
    """Corrupt one structure (Y, X) on one slice."""
    if not mask.any() or np.random.uniform() < _P_DROP:
        return np.zeros_like(mask)
    if np.random.uniform() < _P_RESIZE:
        change = ndimage.binary_dilation if np.random.uniform() < 0.5 else ndimage.binary_erosion
        mask = change(mask, iterations=int(np.random.randint(1, _MAX_RESIZE + 1)))
    if np.random.uniform() < _P_SHIFT:
        shift = np.random.randint(-_MAX_SHIFT, _MAX_SHIFT + 1, size=2)
        mask = ndimage.shift(mask.astype(np.uint8), shift, order=0).astype(bool)
    return mask


def _add_island(plane: np.ndarray, value: int) -> None:
    """Paint a false blob of 2 to 5 pixels radius into the background of a slice (Y, X), in place."""
    centre = [np.random.randint(n) for n in plane.shape]
    radius = np.random.randint(2, 6)
    y, x = np.ogrid[: plane.shape[0], : plane.shape[1]]
    blob = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
    plane[blob & (plane == 0)] = value
