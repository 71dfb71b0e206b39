"""Directions of the axes, and those that are not quite at right angles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError

#: A direction is corrected up to this turn; beyond it the axes are sheared on purpose, or the header is nonsense.
MAX_REPAIR_DEGREES = 5.0

#: Turns that rounding of a header explains are made without a word.
REPORTED_DEGREES = 0.01

Matrix = npt.NDArray[np.float64]


def nearest_orthonormal(path: Path, axes: Matrix) -> tuple[Matrix, float]:
    """Return the orthonormal directions nearest to axes that may be sheared, and how far they were turned.

    The polar factor of the unit axes: of all rotations (and reflections) the one closest to them.

    Args:
        path: For the message.
        axes: One axis a column, of any length; shape (n, n).

    Returns:
        Directions of shape (n, n), and the largest turn of an axis in degrees.

    Raises:
        UserError: If an axis has no length or would have to be turned by more than `MAX_REPAIR_DEGREES`.
    """
    lengths = np.linalg.norm(axes, axis=0)
    if not np.isfinite(axes).all() or not (lengths > 0).all():
        shown = ", ".join(f"{length:.6g}" for length in lengths)
        raise UserError(f"{path}: axes of the header have the lengths {shown}; expected all above 0. Correct it.")
    units = axes / lengths
    if np.abs(units.T @ units - np.eye(len(axes))).max() < 1e-6:
        return units, 0.0
    left, _, right = np.linalg.svd(units)
    direction = left @ right
    cosines = np.clip((direction * units).sum(axis=0), -1.0, 1.0)
    degrees = float(np.degrees(np.arccos(cosines)).max())
    if degrees > MAX_REPAIR_DEGREES:
        raise UserError(
            f"{path}: the axes of the header are {degrees:.1f} degrees away from right angles, not orthonormal; "
            f"expected at most {MAX_REPAIR_DEGREES:g}, which rounding explains. Correct the header, or resample the "
            "image."
        )
    return direction, degrees


def in_plane(axes: Matrix) -> Matrix:
    """Return the directions (2, 2) of a single slice; the axes of the picture where the slice is oblique in space."""
    part = axes[:2, :2]
    return part if np.abs(part.T @ part - np.eye(2)).max() < 1e-3 else np.eye(2)
