"""Header of a NIfTI file (`.nii`, `.nii.gz`), checked field by field before a voxel is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.quaternions import quat2mat

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.direction import in_plane
from nnunet_cardiac.images.layout import COPY_AGAIN, Layout, Stored
from nnunet_cardiac.images.stored_bytes import first_bytes, is_gzip

_CLASSES = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
#: Byte of the magic number in the header, by length of the header; bytes 344 and 4.
_MAGIC = {348: (344, b"n+1\0", b"ni1\0"), 540: (4, b"n+2\0", b"ni2\0")}
_TYPES = {
    **{2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8"},
    **{256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"},
}
_REFUSED = {
    **{1: "single bits", 32: "complex numbers", 128: "colours (RGB)", 1536: "floats of 128 bits"},
    **{1792: "complex numbers", 2048: "complex numbers", 2304: "colours (RGBA)"},
}
#: Unit of length -> factor to mm. Code 0 says nothing; every program takes mm then.
_UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
#: Meanings of a file whose further axis holds the parts of one value: matrices, vectors, points, colours.
_COMPONENTS = {1004, 1005, 1006, 1007, 1008, 1009, 2003, 2004, 2005}
#: ITK counts towards left and posterior, NIfTI towards right and anterior.
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
#: Products of unit axes below which they count as orthogonal: single precision, with some room.
_ORTHOGONAL = 1e-4

Matrix = npt.NDArray[np.float64]


def read_layout(path: Path) -> Layout:
    """Read the header.

    Raises:
        UserError: If the header cannot be right.
        ValueError: If the file is no NIfTI file.
    """
    header, length = _header(path)
    shape, order, dimensions, components = _shape(path, header)
    stored = Stored(
        path,
        (path,),
        shape,
        _dtype(path, header),
        0,
        "gzip" if is_gzip(path) else "raw",
        _offset(path, header, length),
    )
    slope, intercept = _scaling(path, header)
    unit_mm = _UNITS.get(int(header["xyzt_units"]) & 7)
    factor = unit_mm or 1.0
    axes, origin = _place(header)
    if dimensions == 2:
        axes, origin = in_plane(axes), origin[:2]
    return Layout(
        stored,
        order,
        dimensions,
        {name: tuple(factor * size for size in sizes) for name, sizes in _claims(path, header).items()},
        tuple((factor * origin).tolist()),
        axes,
        "" if unit_mm else f"number {int(header['xyzt_units']) & 7} (xyzt_units)",
        _time_step(header, order),
        components,
        slope,
        intercept,
        _template(header, order) if factor == 1.0 else None,
        oriented=dimensions > 2 and bool(header["qform_code"] > 0 or header["sform_code"] > 0),
    )


def _header(path: Path) -> tuple[Any, int]:
    head = first_bytes(path, 540)
    if len(head) < 352:
        raise ValueError("a NIfTI header has at least 352")
    for order in ("<", ">"):
        length = int(np.frombuffer(head, f"{order}i4", 1)[0])
        if length in _MAGIC and len(head) >= length:
            place, alone, pair = _MAGIC[length]
            magic = head[place : place + 4]
            if magic == pair:
                raise UserError(f"{path}: the header of a pair .hdr/.img. Convert the pair into one file .nii.gz.")
            if magic == alone:
                return _CLASSES[length](head[:length], order, check=False), length
    raise ValueError("it does not begin like a NIfTI file")


def _shape(path: Path, header: Any) -> tuple[tuple[int, ...], tuple[int, ...], int, int]:
    """Shape as stored, axes of x, y, z and time, dimensions of the image, and values a voxel."""
    dim = [int(number) for number in header["dim"]]
    count = dim[0]
    if not 1 <= count <= 7 or min(dim[1 : count + 1]) < 1:
        raise UserError(f"{path}: the header has dim {dim}; expected 2 to 4 dimensions and sizes from 1. {COPY_AGAIN}")
    shape = tuple(dim[1 : count + 1])
    further = [axis for axis in range(3, count) if shape[axis] > 1]
    if int(header["intent_code"]) in _COMPONENTS:
        return shape, tuple(range(min(count, 3))), min(count, 3), math.prod(shape[3:])
    if count < 2 or len(further) > 1:
        sizes = " x ".join(map(str, shape))
        raise UserError(f"{path}: has {count} dimensions, {sizes}; expected 3 (a stack) or 4 (stacks over time).")
    order = (*range(min(count, 3)), *further)
    return shape, order, len(order), 1


def _dtype(path: Path, header: Any) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code not in _TYPES:
        found = _REFUSED.get(code, f"an unknown type ({code})")
        raise UserError(
            f"{path}: its voxels are {found}; expected grey values, whole numbers or floats. Export the magnitude, or "
            "each channel as a file of its own."
        )
    return np.dtype(f"{header.endianness}{_TYPES[code]}")


def _offset(path: Path, header: Any, length: int) -> int:
    """Byte of the first voxel; 0 means right behind the header and its four flags of extensions."""
    offset, least = float(header["vox_offset"]), length + 4
    if offset == 0:
        return least
    if not math.isfinite(offset) or offset != int(offset) or offset < least:
        raise UserError(f"{path}: voxels begin at byte {offset:g} (vox_offset); expected {least} or more. {COPY_AGAIN}")
    return int(offset)


def _scaling(path: Path, header: Any) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0:
        return 1.0, 0.0  # the standard's way to say that nothing is scaled
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise UserError(
            f"{path}: intensities are scaled by {slope:g} and {intercept:g} (scl_slope, scl_inter); expected finite "
            "numbers. Export the image again."
        )
    return slope, intercept


def _claims(path: Path, header: Any) -> dict[str, tuple[float, ...]]:
    """Return the voxel size of pixdim and of the sform. The qform takes its sizes from pixdim."""
    codes = {name: int(header[name]) for name in ("qform_code", "sform_code")}
    if not all(0 <= code <= 5 for code in codes.values()):
        raise UserError(f"{path}: the header has {codes}; expected codes from 0 to 5. {COPY_AGAIN}")
    pixdim = tuple(abs(float(size)) for size in header["pixdim"][1:4])
    sform = tuple(np.linalg.norm(_sform(header)[:, :3], axis=0).tolist())
    if codes["sform_code"]:
        return {"pixdim": pixdim, "sform": sform}
    if any(size not in (0.0, 1.0) for size in sform):  # left over when a program set the code to 0
        return {"pixdim": pixdim, "sform (sform_code 0)": sform}
    if not codes["qform_code"] and pixdim == (1.0, 1.0, 1.0):
        return {}  # what software writes that knows neither size nor position
    return {"pixdim": pixdim}


def _place(header: Any) -> tuple[Matrix, Matrix]:
    """Directions and origin towards left, posterior, superior, chosen as ITK does.

    The sform counts if there is no qform, if it has the position in the scanner, or if both say the same; else the
    qform. An sform with oblique axes is used only where there is no qform.
    """
    from_sform, from_qform = header["sform_code"] > 0, header["qform_code"] > 0
    qform = _qform(header) if from_qform else None
    if from_sform:
        matrix = _sform(header)
        lengths = np.linalg.norm(matrix[:, :3], axis=0)
        if not np.isfinite(matrix).all():
            return np.eye(3), np.full(3, math.nan)  # no place, whatever the qform says: the reader refuses it
        usable = bool((lengths > 0).all())
        axes = matrix[:, :3] / lengths if usable else np.eye(3)
        if qform is None:
            return _RAS_TO_LPS @ axes, _RAS_TO_LPS @ (matrix[:, 3] if usable else np.zeros(3))
        alike = np.allclose(axes, qform[0], atol=1e-3)
        if usable and _orthogonal(axes) and (alike or header["sform_code"] == 1):
            return _RAS_TO_LPS @ axes, _RAS_TO_LPS @ matrix[:, 3]
    if qform is not None:
        return _RAS_TO_LPS @ qform[0], _RAS_TO_LPS @ qform[1]
    return np.eye(3), np.zeros(3)


def _orthogonal(axes: Matrix) -> bool:
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() < _ORTHOGONAL)


def _sform(header: Any) -> Matrix:
    return np.array([header[f"srow_{axis}"] for axis in "xyz"], float)


def _qform(header: Any) -> tuple[Matrix, Matrix]:
    b, c, d = (float(header[f"quatern_{letter}"]) for letter in "bcd")
    square = b * b + c * c + d * d
    a = math.sqrt(1 - square) if square < 1 else 0.0
    mirror = -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    origin = np.array([header[f"qoffset_{axis}"] for axis in "xyz"], float)
    return quat2mat([a, b, c, d]) * [1.0, 1.0, mirror], origin


def _time_step(header: Any, order: tuple[int, ...]) -> float:
    step = abs(float(header["pixdim"][order[3] + 1])) if len(order) == 4 else 1.0
    return step if math.isfinite(step) and step > 0 else 1.0


def _template(header: Any, order: tuple[int, ...]) -> Any:
    """A copy of the header whose geometry can be written back: sizes above 0, time on the fourth axis."""
    copy = header.copy()
    copy["pixdim"][1:4] = np.abs(copy["pixdim"][1:4])
    copy["pixdim"][4:] = np.where(np.isfinite(copy["pixdim"][4:]), copy["pixdim"][4:], 1.0)
    if len(order) == 4 and order[3] != 3:
        copy["pixdim"][4] = header["pixdim"][order[3] + 1]
    return copy
