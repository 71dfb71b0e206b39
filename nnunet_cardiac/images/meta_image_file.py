"""Header of a MetaImage file (`.mha`, or `.mhd` with the voxels in files of their own)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.layout import COPY_AGAIN, Layout, Stored
from nnunet_cardiac.images.text_header import (
    factor_to_mm,
    header_text,
    numbered_files,
    numbers,
    sizes,
    whole_numbers,
)

_TYPES = {
    **{"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4"},
    **{"MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8"},
    **{"MET_FLOAT": "f4", "MET_DOUBLE": "f8"},
}
_LAST = "ElementDataFile"
#: Names of the directions of the axes, the last of them in the header counts.
_DIRECTIONS = ("Orientation", "Rotation", "TransformMatrix")


def read_layout(path: Path) -> Layout:
    """Read the header.

    Raises:
        UserError: If the header cannot be right.
        ValueError: If the file is no MetaImage file.
    """
    fields, begin = _fields(path)
    count = whole_numbers(path, "NDims", fields.get("NDims", "missing"), 1)[0]
    if not 2 <= count <= 4:
        raise UserError(f"{path}: has {count} dimensions, expected 3 (a stack) or 4 (stacks over time).")
    size = sizes(path, "DimSize", fields.get("DimSize", ""), count)
    components = whole_numbers(path, "ElementNumberOfChannels", fields.get("ElementNumberOfChannels", "1"), 1)[0]
    if components < 1:
        raise UserError(f"{path}: ElementNumberOfChannels is {components}; expected 1. {COPY_AGAIN}")
    vector = components > 1
    stored = _stored(path, fields, (components, *size) if vector else size, begin)
    space = min(count, 3)
    claims, unit = _claims(path, fields, count)
    axes, origin = _place(path, fields, count)
    step = numbers(path, "ElementSpacing", fields["ElementSpacing"], count)[3:] if "ElementSpacing" in fields else ()
    return Layout(
        stored,
        tuple(range(vector, count + vector)),
        count,
        claims,
        tuple(((factor_to_mm(fields.get("DistanceUnits", "")) or 1.0) * origin[:space]).tolist()),
        axes[:space, :space],
        unit,
        next((value for value in step if np.isfinite(value) and value > 0), 1.0),
        components,
        numbers(path, "the slope", fields.get("ElementToIntensityFunctionSlope", "1"), 1)[0],
        numbers(path, "the offset", fields.get("ElementToIntensityFunctionOffset", "0"), 1)[0],
        oriented=count > 2 and any(name in fields for name in _DIRECTIONS),
    )


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields, and the byte behind the header, which the name of the data file ends."""
    head = header_text(path)
    last = re.search(rb"^[ \t]*ElementDataFile[ \t]*=[^\n]*(\n|\Z)", head, re.MULTILINE)
    text = head[: last.end() if last else 2**12].decode("utf-8", "replace")
    pairs = [line.partition("=") for line in text.splitlines()]
    fields = {name.strip(): value.strip() for name, equals, value in pairs if equals}
    if "NDims" not in fields:
        raise ValueError("it does not begin like a MetaImage file")
    if last is None:
        raise UserError(f"{path}: truncated, the header has no end. {COPY_AGAIN}")
    if fields[_LAST].upper().startswith("LIST"):
        fields["list of files"] = head[last.end() :].decode("utf-8", "replace")
    return fields, last.end()


def _stored(path: Path, fields: dict[str, str], shape: tuple[int, ...], begin: int) -> Stored:
    name = fields.get("ElementType", "missing").upper().removesuffix("_ARRAY")
    if name not in _TYPES:
        raise UserError(f"{path}: ElementType is {name}; expected one of {', '.join(_TYPES)}. Convert it.")
    big = _true(fields, "BinaryDataByteOrderMSB") or _true(fields, "ElementByteOrderMSB")
    dtype = np.dtype((">" if big else "<") + _TYPES[name])
    files = _data_files(path, fields)
    start: int | None = begin if files is None else 0
    skip = whole_numbers(path, "HeaderSize", fields.get("HeaderSize", "0"), 1)[0]
    if files is not None and skip:
        start = None if skip < 0 else skip
    encoding = "raw"
    if fields.get("BinaryData", "True").lower() in ("false", "0"):
        encoding = "text"
    elif _true(fields, "CompressedData"):
        encoding, start = "zlib", start or 0
    return Stored(path, files or (path,), shape, dtype, start, encoding)


def _true(fields: dict[str, str], name: str) -> bool:
    return fields.get(name, "False").lower() in ("true", "1")


def _data_files(path: Path, fields: dict[str, str]) -> tuple[Path, ...] | None:
    name = fields[_LAST]
    if name.upper() == "LOCAL":
        return None
    if "list of files" in fields:
        files = tuple(path.parent / line.strip() for line in fields["list of files"].splitlines() if line.strip())
    elif "%" in name:
        files = numbered_files(path, name.split())
    else:
        files = (path.parent / name,) if name else ()
    if not files:
        raise UserError(f"{path}: names no file with its voxels. {COPY_AGAIN}")
    return files


def _claims(path: Path, fields: dict[str, str], count: int) -> tuple[dict[str, tuple[float, ...]], str]:
    """Voxel size and a unit that nobody knows. ElementSize is the size of the sensitive spot, not the distance."""
    unit = fields.get("DistanceUnits", "").strip("?")
    factor = factor_to_mm(unit)
    if factor is None:
        return {}, repr(unit)
    if "ElementSpacing" not in fields:
        return {}, ""
    found = numbers(path, "ElementSpacing", fields["ElementSpacing"], count)[:3]
    return {"ElementSpacing": tuple(factor * abs(value) for value in found)}, ""


def _place(path: Path, fields: dict[str, str], count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    axes, origin = np.eye(count), np.zeros(count)
    for name in _DIRECTIONS:
        if name in fields:
            axes = np.reshape(numbers(path, name, fields[name], count * count), (count, count)).T
    for name in ("Origin", "Position", "Offset"):
        if name in fields:
            origin = np.array(numbers(path, name, fields[name], count))
    return axes, origin
