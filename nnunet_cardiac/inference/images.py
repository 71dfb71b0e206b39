"""Image files: NIfTI, NRRD, MetaImage; stacks, cine series and single slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.image_names import is_nifti
from nnunet_cardiac.images.image_file import Header, load_nifti, read_header, read_voxels
from nnunet_cardiac.inference.series import Grid, Series

#: What `dimensions` may promise -> dimensions of a file that keep the promise.
PROMISES = {"auto": (2, 3, 4), "3d": (2, 3), "4d": (4,)}

#: Tolerance of the products of direction cosines; NIfTI stores them in single precision.
_ORTHONORMAL = 1e-3

_NOT_FINITE = "(NaN or infinite). Export the image again, or fill them"


def read_series(name: str, paths: Sequence[Path], promise: str = "auto") -> Series:
    """Read one case.

    Args:
        name: Name of the outputs.
        paths: One file a channel, in the order of the training data.
        promise: `3d`, `4d` or `auto`; what the user said the files are.

    Raises:
        UserError: If a file is damaged, has an unexpected number of dimensions or values that are not finite, or the
            channels lie on different grids.
    """
    headers = [read_header(path) for path in paths]
    for path, header in zip(paths, headers, strict=True):
        _check_header(path, header, promise)
        _check_same_grid(paths[0], headers[0], path, header)
    first = headers[0]
    dimensions = len(first.size)
    # (Y, X), (Z, Y, X) and (T, Z, Y, X) become (T, Z, Y, X); nibabel keeps axes of length 1 that ITK drops.
    shape = (1,) * (4 - dimensions) + first.size[::-1]
    stacked = np.stack([_read_finite(path).reshape(shape) for path in paths], axis=1)
    nifti = load_nifti(paths[0]).header if is_nifti(paths[0]) else None
    grid = Grid(first.spacing, first.origin, first.direction, nifti)
    return Series(name, stacked, grid, dimensions)


def _check_header(path: Path, header: Header, promise: str) -> None:
    dimensions = len(header.size)
    if header.components != 1:
        raise UserError(
            f"{path}: has {header.components} values a voxel (colour or vector), expected one grey value. Give each "
            "channel as a file of its own, NAME_0000, NAME_0001, ..."
        )
    if dimensions not in PROMISES["auto"]:
        raise UserError(f"{path}: has {dimensions} dimensions, expected 3 (a stack) or 4 (stacks over time).")
    if dimensions not in PROMISES[promise]:
        found = f"{dimensions}D, {' x '.join(map(str, header.size))}"
        advice = "split it, or leave --dimensions out" if promise == "3d" else "leave --dimensions out"
        raise UserError(f"{path}: is {found}, and --dimensions says {promise}; {advice}.")
    cosines = np.array(header.direction).reshape(dimensions, dimensions)
    if not np.allclose(cosines.T @ cosines, np.eye(dimensions), atol=_ORTHONORMAL):
        raise UserError(
            f"{path}: the direction cosines {np.round(cosines, 3).tolist()} are not orthonormal; the voxels are no "
            "boxes. Rewrite the header with an orthonormal direction, or resample the image."
        )


def _check_same_grid(first_path: Path, first: Header, path: Path, header: Header) -> None:
    for what in ("size", "spacing", "origin", "direction"):
        mine, other = getattr(header, what), getattr(first, what)
        if len(mine) != len(other) or not np.allclose(mine, other, rtol=1e-4, atol=1e-2):
            raise UserError(
                f"{path}: {what} is {mine}, and {first_path.name} has {other}. The channels of a case must lie on one "
                "grid; resample one to the other."
            )


def _read_finite(path: Path) -> np.ndarray:
    array = read_voxels(path)
    if array.dtype.kind == "f":
        wrong = int(np.count_nonzero(~np.isfinite(array)))
        if wrong:
            raise UserError(f"{path}: {wrong} of {array.size} values are not finite {_NOT_FINITE}.")
        if is_nifti(path):  # the rounding of nnU-Net's reader, where values are scaled
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return array.astype(np.float32)
