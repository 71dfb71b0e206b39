"""The one reader of image files: NIfTI, NRRD and MetaImage, read whole and right, or refused with the reason."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.image_names import IMAGE_ENDINGS, image_ending
from nnunet_cardiac.images import meta_image_file, nifti_file, nrrd_file
from nnunet_cardiac.images.direction import REPORTED_DEGREES, nearest_orthonormal
from nnunet_cardiac.images.layout import COPY_AGAIN, Header, Layout
from nnunet_cardiac.images.stored_bytes import check_bytes, read_numbers
from nnunet_cardiac.images.voxel_size import choose_spacing

__all__ = ["Header", "Image", "check_complete", "explained", "read_header", "read_image", "read_layout", "read_voxels"]

_FORMATS: Mapping[str, Callable[[Path], Layout]] = {
    ".nii.gz": nifti_file.read_layout,
    ".nii": nifti_file.read_layout,
    ".nrrd": nrrd_file.read_layout,
    ".mha": meta_image_file.read_layout,
    ".mhd": meta_image_file.read_layout,
}

#: A scanner is smaller: such positions are no positions.
MAX_ORIGIN_MM = 1e5
#: Distances of frames are ms or s; larger numbers say nothing.
MAX_TIME_STEP = 1e6

#: What readers of damaged files raise, besides what a person has to know of.
_ERRORS = (
    *(RuntimeError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError),
    *(OSError, EOFError, MemoryError, struct.error, zlib.error, ImageFileError, HeaderDataError),
)


@dataclass(frozen=True)
class Image:
    """An image in memory.

    Attributes:
        header: Geometry, with a direction that is orthonormal.
        voxels: (z, y, x), (y, x) for a 2D file, (t, z, y, x) for a series; in the type of the file, or float32 where
            whole numbers are scaled.
        repairs: What was corrected or overruled in the header, one sentence each, without names of files.
        nifti: Header of a NIfTI file whose geometry can be written back bit for bit; None otherwise.
    """

    header: Header
    voxels: npt.NDArray[Any]
    repairs: tuple[str, ...] = ()
    nifti: Any = None


def read_image(
    path: Path, spacing_mm: Sequence[float] | None = None, *, unit_matrix: bool = False, any_size: bool = False
) -> Image:
    """Read an image: its place in the patient and all of its voxels.

    Args:
        path: File with one of `IMAGE_ENDINGS`.
        spacing_mm: Voxel size (x, y, z) that overrules the header; directions and origin stay.
        unit_matrix: As for :func:`nnunet_cardiac.images.voxel_size.choose_spacing`, like the next.
        any_size: Sizes that no picture of a human heart has are taken, too.

    Raises:
        UserError: If the file cannot be read, is damaged, is no image of grey values in 2 to 4 dimensions, or does not
            say for certain how large its voxels are.
    """
    layout = read_layout(path)
    with explained(path):
        header, repairs = _geometry(layout, spacing_mm, unit_matrix, any_size)
        return Image(header, _voxels(layout), repairs, layout.nifti if spacing_mm is None else None)


def read_geometry(
    path: Path, spacing_mm: Sequence[float] | None = None, *, unit_matrix: bool = False
) -> tuple[Header, tuple[str, ...]]:
    """Return the geometry that :func:`read_image` finds and what it corrects, without reading voxels."""
    layout = read_layout(path)
    with explained(path):
        return _geometry(layout, spacing_mm, unit_matrix, any_size=False)


def read_header(path: Path) -> Header:
    """Read the geometry as nnU-Net reads it, with SimpleITK; nothing is corrected.

    Raises:
        UserError: If the file cannot be read, is cut short, or does not say for certain how large its voxels are.
    """
    layout = read_layout(path)
    # nnU-Net trains with the sizes of pixdim, which are the true ones in copies of the archive of ACDC. It trains with
    # hearts of any size, of animals too.
    choose_spacing(layout, unit_matrix=True, any_size=True)
    _check_origin(layout, sys.float_info.max)  # SimpleITK reads another number where the file has none
    if layout.stored.encoding == "raw":
        check_complete(path)
    with explained(path):
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        return Header(
            reader.GetSize(),
            reader.GetSpacing(),
            reader.GetOrigin(),
            reader.GetDirection(),
            reader.GetNumberOfComponents(),
            layout.oriented,
        )


def read_voxels(path: Path) -> npt.NDArray[Any]:
    """Read the voxels; shape (z, y, x), (y, x) for a 2D file, (t, z, y, x) for a series.

    Raises:
        UserError: If the file cannot be read, is damaged, or has several values a voxel.
    """
    layout = read_layout(path)
    with explained(path):
        return _voxels(layout)


def check_complete(path: Path) -> None:
    """Refuse a file that is cut short, or holds more voxels than its header says.

    Raises:
        UserError: If voxels are missing or too many, or the file cannot be read.
    """
    layout = read_layout(path)
    with explained(path):
        check_bytes(layout.stored)


def read_layout(path: Path) -> Layout:
    """Read the header of a file; what it says is not compared with anything yet.

    Raises:
        UserError: If the ending is unknown, the file missing, or its header cannot be right.
    """
    read = _FORMATS.get((image_ending(path) or "").lower())
    if read is None:
        raise UserError(f"{path}: no image; expected one of {', '.join(IMAGE_ENDINGS)}.")
    with explained(path):
        return read(path)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn every error of a library into one line, and keep SimpleITK's warnings off the terminal meanwhile."""
    shown = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        with np.errstate(all="ignore"):  # numbers of a damaged header, which are refused by their values
            yield
    except UserError:
        raise
    except _ERRORS as error:
        if "orthonormal" in str(error):
            raise UserError(
                f"{path}: the direction cosines are not orthonormal, as ITK and nnU-Net need them. Rewrite the header "
                "with an orthonormal direction, in the image and its label alike."
            ) from error
        size = f"{path.stat().st_size} bytes; " if path.is_file() else ""
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise UserError(f"{path}: cannot be read as an image ({size}{reason}). {COPY_AGAIN}") from error
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(shown)


def _geometry(
    layout: Layout, spacing_mm: Sequence[float] | None, unit_matrix: bool, any_size: bool
) -> tuple[Header, tuple[str, ...]]:
    path, count = layout.stored.path, layout.dimensions
    spacing = choose_spacing(layout, spacing_mm, unit_matrix=unit_matrix, any_size=any_size)
    direction, degrees = nearest_orthonormal(path, layout.axes)
    repairs: tuple[str, ...] = ()
    if degrees > REPORTED_DEGREES:
        repairs += (f"direction made orthonormal, axes turned by up to {degrees:.2g} degrees",)
    if spacing_mm is not None:
        repairs += (f"voxel size {' x '.join(f'{size:.6g}' for size in spacing)} mm as given, not from the header",)
    _check_origin(layout, MAX_ORIGIN_MM)
    whole = np.eye(count)
    whole[: len(direction), : len(direction)] = direction
    time = (layout.time_step if layout.time_step < MAX_TIME_STEP else 1.0,) * (count - 3)
    origin = (*layout.origin[: min(count, 3)], *(0.0,) * (count - 3))
    cosines = tuple(whole.ravel().tolist())
    return Header(layout.size, (*spacing, *time), origin, cosines, layout.components, layout.oriented), repairs


def _check_origin(layout: Layout, limit_mm: float) -> None:
    if not all(abs(value) <= limit_mm for value in layout.origin):  # nor NaN
        shown = ", ".join(f"{value:.6g}" for value in layout.origin)
        raise UserError(
            f"{layout.stored.path}: the first voxel is at ({shown}) mm; expected a place in a scanner. Correct it."
        )


def _voxels(layout: Layout) -> npt.NDArray[Any]:
    path = layout.stored.path
    if layout.components != 1:
        raise UserError(
            f"{path}: has {layout.components} values a voxel (colour or vector), expected one grey value a voxel. Give "
            "each channel as a file of its own, NAME_0000, NAME_0001, ..."
        )
    numbers = read_numbers(layout.stored).reshape(layout.stored.shape[::-1]).T
    rest = tuple(axis for axis in range(numbers.ndim) if axis not in layout.order)
    voxels = numbers.transpose((*layout.order, *rest)).reshape(layout.size)
    return np.ascontiguousarray(_scaled(path, voxels.T, layout.slope, layout.intercept))


def _scaled(path: Path, stored: npt.NDArray[Any], slope: float, intercept: float) -> npt.NDArray[Any]:
    """Apply the factor of the header with the rounding of ITK, and so of nnU-Net: in double precision, then single."""
    if (slope, intercept) == (1.0, 0.0):
        return stored
    if not (np.isfinite(slope) and np.isfinite(intercept)) or slope == 0:
        raise UserError(f"{path}: intensities are scaled by {slope:g} and {intercept:g}; expected finite numbers.")
    kind = np.float64 if stored.dtype == np.float64 else np.float32
    single = stored.astype(kind).astype(np.float64)
    single *= slope
    single += intercept
    return single.astype(kind)
