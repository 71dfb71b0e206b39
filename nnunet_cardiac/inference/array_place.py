"""The place of an array in the patient: from NIfTI's affine or ITK's directions to voxel size and axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.direction import Matrix, nearest_orthonormal
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.voxel_size import ROUNDING

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def placed(
    spacing_mm: Sequence[float] | None, affine: npt.ArrayLike | None, direction: npt.ArrayLike | None
) -> tuple[tuple[float, ...], Matrix | None]:
    """Return voxel size (z, y, x) in mm and direction cosines (3, 3), one axis x, y, z a column; None if unknown.

    Args:
        spacing_mm: Voxel size (z, y, x), if given.
        affine: NIfTI's matrix (4, 4), if given.
        direction: ITK's direction cosines, if given.

    Raises:
        UserError: If neither gives a voxel size, two contradict each other, or the axes are no axes.
    """
    if affine is not None and direction is not None:
        raise UserError("affine and direction are both given; expected one of them.")
    if affine is not None:
        matrix = _matrix("affine", affine, (4, 4))
        steps = _RAS_TO_LPS @ matrix[:3, :3]
        sizes = tuple(np.linalg.norm(steps, axis=0)[::-1].tolist())
        axes, _ = nearest_orthonormal(Path("affine"), steps)
        if spacing_mm is not None and not _agree(spacing_mm, sizes):
            shown = " x ".join(f"{size:.6g}" for size in sizes)
            raise UserError(f"spacing_mm is {tuple(spacing_mm)}, and affine has {shown} mm (z, y, x); leave one out.")
        return sizes if spacing_mm is None else tuple(spacing_mm), axes
    if spacing_mm is None:
        raise UserError("spacing_mm is missing; expected the voxel size (z, y, x) in mm, or an affine.")
    if direction is None:
        return tuple(spacing_mm), None
    axes, _ = nearest_orthonormal(Path("direction"), _matrix("direction", direction, (3, 3)))
    return tuple(spacing_mm), axes


def header_of(shape: Sequence[int], spacing_mm: Sequence[float], axes: Matrix) -> Header:
    """Return the geometry of an array (Z, Y, X).

    Args:
        shape: (Z, Y, X).
        spacing_mm: Voxel size (z, y, x).
        axes: Direction cosines (3, 3), one axis x, y, z a column.
    """
    cosines = tuple(np.ravel(axes).tolist())
    return Header(tuple(shape[::-1]), tuple(spacing_mm[::-1]), (0.0, 0.0, 0.0), cosines, 1)


def _agree(given: Sequence[float], sizes: Sequence[float]) -> bool:
    return len(given) == len(sizes) and bool(np.allclose(given, sizes, rtol=ROUNDING, atol=0))


def _matrix(name: str, given: npt.ArrayLike, shape: tuple[int, int]) -> Matrix:
    try:
        matrix = np.asarray(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} is {given!r}; expected a matrix of shape {shape}.") from error
    if matrix.size != shape[0] * shape[1]:
        raise UserError(f"{name} has shape {matrix.shape}; expected {shape}.")
    return matrix.reshape(shape)
