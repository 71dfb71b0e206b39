"""Volumes of structures and the indices a cardiologist derives from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

#: Density of myocardium, the value cardiac MR reports use for mass.
MYOCARDIAL_DENSITY_G_PER_ML = 1.05
MM3_PER_ML = 1000.0


def voxel_volume_ml(spacing_mm: Sequence[float]) -> float:
    """Volume of one voxel in mL from its (z, y, x) size in mm.

    Raises:
        ValueError: If there are not three positive sizes.
    """
    if len(spacing_mm) != 3 or min(spacing_mm) <= 0:
        raise ValueError(f"spacing_mm must hold three positive numbers (z, y, x), got {tuple(spacing_mm)}.")
    return math.prod(spacing_mm) / MM3_PER_ML


def volumes_ml(
    label_map: npt.NDArray[np.integer], labels: Mapping[str, int], spacing_mm: Sequence[float]
) -> dict[str, float]:
    """Volume of each structure as voxels times voxel volume.

    Args:
        label_map: Label map (Z, Y, X).
        labels: Structure -> label value; the background (value 0) is skipped.
        spacing_mm: Voxel size (z, y, x). The slice distance, not the slice thickness: gaps belong to the volume.

    Returns:
        Structure -> volume in mL, in the order of `labels`.

    Raises:
        ValueError: If there are not three positive sizes.
    """
    voxel_ml = voxel_volume_ml(spacing_mm)
    return {
        name: float(np.count_nonzero(label_map == value)) * voxel_ml for name, value in labels.items() if value != 0
    }


def ejection_fraction(edv_ml: float, esv_ml: float) -> float:
    """Ejection fraction 100 · (EDV − ESV) / EDV in percent; NaN if EDV is zero or unknown."""
    return 100.0 * (edv_ml - esv_ml) / edv_ml if edv_ml > 0 else float("nan")


def myocardial_mass_g(volume_ml: float) -> float:
    """Mass of myocardium in grams from its volume in mL."""
    return MYOCARDIAL_DENSITY_G_PER_ML * volume_ml
