"""Are the numbers in an image and a label file usable?"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import numpy as np

_SHOWN_VALUES = 8


def image_problem(path: Path, voxels: np.ndarray) -> str | None:
    """Return what makes the intensities of an image unusable, or None."""
    bad = voxels.size - int(np.isfinite(voxels).sum())
    if bad:
        return (
            f"{path}: {bad} of {voxels.size} voxels are NaN or infinite; expected finite intensities. Replace them, "
            "for example with the smallest finite value."
        )
    if voxels.min() == voxels.max():
        return (
            f"{path}: every voxel is {voxels.flat[0]:g}; expected an image. Convert it again, or remove the case with "
            "its label."
        )
    return None


def label_values(voxels: np.ndarray) -> frozenset[float]:
    """Return the distinct values of a label map."""
    return frozenset(np.unique(voxels).tolist())


def label_problem(path: Path, found: Set[float], allowed: Set[int]) -> str | None:
    """Return which values `dataset.json` does not know, or None."""
    foreign = sorted(found - allowed)
    if not foreign:
        return None
    shown = ", ".join(f"{value:g}" for value in foreign[:_SHOWN_VALUES]) + (", ..." if foreign[_SHOWN_VALUES:] else "")
    expected = ", ".join(map(str, sorted(allowed)))
    return (
        f"{path}: values {shown} (of {len(found)} distinct); expected {expected}, as in dataset.json. Renumber the "
        "label file, or name the values in dataset.json; fractions come from resampling a label without nearest "
        "neighbour."
    )
