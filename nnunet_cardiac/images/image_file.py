"""Reads one image file and refuses what is damaged, with a message that names the file and the fix."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import cast

import nibabel
import numpy as np
import SimpleITK
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Pair
from nibabel.spatialimages import HeaderDataError

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.image_names import is_nifti

_CHUNK_BYTES = 2**22


@dataclass(frozen=True)
class Header:
    """Geometry of an image file in the order of SimpleITK: x, y, z.

    Attributes:
        size: Voxels along each axis.
        spacing: Voxel size along each axis in mm.
        origin: Position of the first voxel's centre in mm.
        direction: Row-major direction cosines, one column an axis.
        components: Values a voxel; 1 for a grey image.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    components: int


def read_header(path: Path) -> Header:
    """Read the geometry without the voxels.

    Raises:
        UserError: If the file cannot be read or ends too early.
    """
    with explained(path):
        reader = _open(path)
    if path.suffix == ".nii":
        _check_length(path)
    return Header(
        reader.GetSize(),
        reader.GetSpacing(),
        reader.GetOrigin(),
        reader.GetDirection(),
        reader.GetNumberOfComponents(),
    )


def read_voxels(path: Path) -> np.ndarray:
    """Read the voxels; shape (z, y, x), or (y, x) for a 2D file.

    Raises:
        UserError: If the file cannot be read or is damaged.
    """
    check_complete(path)
    with explained(path):
        if is_nifti(path):
            # ITK's NIfTI reader turns NaN and infinity into 0 and says nothing.
            return np.asarray(load_nifti(path).dataobj).T
        return SimpleITK.GetArrayFromImage(_open(path).Execute())


def load_nifti(path: Path) -> Nifti1Pair:
    """Open a NIfTI file without reading its voxels; call it for files of which `is_nifti` is true."""
    # `nibabel.load` is typed for every kind of image, and the name says that this one is NIfTI.
    return cast(Nifti1Pair, nibabel.load(path))


def check_complete(path: Path) -> None:
    """Refuse a truncated file, which ITK would fill with zeros without a word.

    Raises:
        UserError: If a compressed file, or an uncompressed NIfTI file, ends too early.
    """
    if path.suffix == ".gz":
        _check_gzip(path)
    elif path.suffix == ".nii":
        _check_length(path)


def _open(path: Path) -> SimpleITK.ImageFileReader:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a library's errors into one line, and keep SimpleITK's warnings off the terminal meanwhile."""
    shown = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    except (RuntimeError, ValueError, ImageFileError, HeaderDataError) as error:
        if "orthonormal" in str(error):
            raise UserError(
                f"{path}: the direction cosines are not orthonormal, as ITK and nnU-Net need them. Rewrite the header "
                "with an orthonormal direction, in the image and its label alike."
            ) from error
        reason = str(error).strip().splitlines()[-1]
        raise UserError(
            f"{path}: cannot be read as an image ({path.stat().st_size} bytes; {reason}). Copy or convert it again."
        ) from error
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(shown)


def _check_length(path: Path) -> None:
    """Compare an uncompressed NIfTI file with its header; ITK fills what is missing with zeros and says nothing."""
    with explained(path):
        header = load_nifti(path).header
    expected = int(header["vox_offset"]) + prod(header.get_data_shape()) * int(header["bitpix"]) // 8
    found = path.stat().st_size
    if found < expected:
        raise UserError(f"{path}: truncated, {found} bytes; expected {expected}. Copy or convert it again.")


def _check_gzip(path: Path) -> None:
    """Decompress to the end, where the checksum is; ITK reads a truncated file as zeros and says nothing."""
    try:
        with gzip.open(path) as file:
            while file.read(_CHUNK_BYTES):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: truncated or damaged ({error}). Copy or convert it again.") from error
