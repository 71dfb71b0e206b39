"""Header of an NRRD file: axes by their kinds, voxel size by their vectors, voxels in the file or in others."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
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
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    **{"float": "f4", "double": "f8"},
}
_ENCODINGS = {
    **{"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2", "hex": "hex"},
    **dict.fromkeys(("txt", "text", "ascii"), "text"),
}
#: Fields that may be written in two ways.
_ALIASES = {"datafile": "data file", "byteskip": "byte skip", "lineskip": "line skip"}
#: Kinds of axes along the three directions of space, along time, and those of which nothing is known.
_SPACE, _TIME, _UNKNOWN = ("domain", "space"), ("time", "list"), ("", "???", "none", "stub", "scalar")
#: Space -> signs that turn its axes towards left, posterior and superior.
_TO_LPS = {
    **dict.fromkeys(("left-posterior-superior", "lps", "lpst"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("right-anterior-superior", "ras", "rast"), (-1.0, -1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las", "last"), (1.0, -1.0, 1.0)),
}


@dataclass(frozen=True)
class _Axes:
    """Axes of the file, by number: space, then time, if there is one; components of a voxel."""

    space: tuple[int, ...]
    time: int | None
    components: tuple[int, ...]


def read_layout(path: Path) -> Layout:
    """Read the header.

    Raises:
        UserError: If the header cannot be right or means something else than an image.
        ValueError: If the file is no NRRD file.
    """
    fields, keys, begin = _fields(path)
    dimension = whole_numbers(path, "dimension", _required(path, fields, "dimension"), 1)[0]
    if not 1 <= dimension <= 16:
        raise UserError(f"{path}: has {dimension} dimensions, expected 3 (a stack) or 4 (stacks over time).")
    shape = sizes(path, "sizes", _required(path, fields, "sizes"), dimension)
    vectors = _vectors(path, fields, dimension)
    axes = _sorted_axes(path, fields, keys, shape, vectors)
    stored = _stored(path, fields, shape, begin)
    claims, unit = _claims(path, fields, axes, vectors)
    order = (*axes.space, *(() if axes.time is None else (axes.time,)))
    directions, origin = _place(path, fields, axes, vectors)
    return Layout(
        stored,
        order,
        len(order),
        claims,
        origin,
        directions,
        unit,
        _time_step(path, fields, axes, vectors),
        math.prod(shape[axis] for axis in axes.components),
        oriented=len(axes.space) == 3 and vectors is not None and _is_known(fields),
    )


def _fields(path: Path) -> tuple[dict[str, str], dict[str, str], int]:
    """Fields, further keys with their values, and the byte behind the header."""
    head = header_text(path)
    if not re.match(rb"NRRD000[1-9]\r?\n", head):
        raise ValueError("it does not begin like an NRRD file")
    end = re.search(rb"\n\r?\n", head)
    text = head[: end.start() if end else len(head)].decode("utf-8", "replace")
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    lines = text.splitlines()[1:]
    for number, line in enumerate(lines):
        if line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon:
            continue
        if value.startswith("="):
            keys[name.strip()] = value[1:].strip()
            continue
        name = name.strip().lower()
        fields[_ALIASES.get(name, name)] = value.strip()
        if _ALIASES.get(name, name) == "data file" and value.strip().upper().startswith("LIST"):
            fields["list of files"] = "\n".join(lines[number + 1 :])
            break
    if end is None and "data file" not in fields:
        raise UserError(f"{path}: truncated, the header has no end. {COPY_AGAIN}")
    return fields, keys, end.end() if end else len(head)


def _required(path: Path, fields: dict[str, str], name: str) -> str:
    if name not in fields:
        raise UserError(f"{path}: the header has no field '{name}'. {COPY_AGAIN}")
    return fields[name]


def _stored(path: Path, fields: dict[str, str], shape: tuple[int, ...], begin: int) -> Stored:
    kind = _TYPES.get(" ".join(_required(path, fields, "type").lower().split()))
    encoding = _ENCODINGS.get(_required(path, fields, "encoding").lower())
    if kind is None or encoding is None:
        found = f"type '{fields['type']}' in the encoding '{fields['encoding']}'"
        raise UserError(f"{path}: its voxels are of {found}; expected numbers, raw or compressed. Convert it to raw.")
    order = fields.get("endian", "").lower()
    if order not in ("little", "big") and kind[1] != "1" and encoding != "text":
        raise UserError(
            f"{path}: the header does not give the order of bytes (endian: {order or 'missing'}). {COPY_AGAIN}"
        )
    skip = whole_numbers(path, "byte skip", fields.get("byte skip", "0"), 1)[0]
    lines = whole_numbers(path, "line skip", fields.get("line skip", "0"), 1)[0]
    files = _data_files(path, fields)
    start: int | None = begin if files is None else 0
    if lines:
        start = _behind_lines(path, (files or (path,))[0], start or 0, lines)
    if encoding in ("raw", "text", "hex") and skip:
        start, skip = (None, 0) if skip < 0 else ((start or 0) + skip, 0)
    if skip < 0 or lines < 0:
        raise UserError(f"{path}: byte skip {skip}, line skip {lines}; expected none below 0. {COPY_AGAIN}")
    dtype = np.dtype((">" if order == "big" else "<") + kind)
    return Stored(path, files or (path,), shape, dtype, start, encoding, skip)


def _behind_lines(path: Path, file: Path, start: int, lines: int) -> int:
    with file.open("rb") as opened:
        opened.seek(start)
        for _ in range(lines):
            if not opened.readline(2**20):
                raise UserError(f"{path}: line skip is {lines}, and {file.name} has fewer lines. {COPY_AGAIN}")
        return opened.tell()


def _data_files(path: Path, fields: dict[str, str]) -> tuple[Path, ...] | None:
    if "data file" not in fields:
        return None
    if "list of files" in fields:
        files = tuple(path.parent / line.strip() for line in fields["list of files"].splitlines() if line.strip())
    elif "%" in fields["data file"]:
        files = numbered_files(path, fields["data file"].split())
    else:
        return (path.parent / fields["data file"],)
    if not files:
        raise UserError(f"{path}: names no file with its voxels. {COPY_AGAIN}")
    return files


def _vectors(path: Path, fields: dict[str, str], dimension: int) -> list[npt.NDArray[np.float64] | None] | None:
    """The direction of each axis in space, None for one that is none; None if the header has none at all."""
    if "space directions" not in fields:
        return None
    found: list[npt.NDArray[np.float64] | None] = []
    for word in re.findall(r"none|\([^)]*\)", fields["space directions"], re.IGNORECASE):
        vector = None if word.lower() == "none" else np.array(numbers(path, "space directions", word[1:-1]))
        # Some programs write an axis outside space as a vector of NaN.
        found.append(None if vector is not None and np.isnan(vector).all() else vector)
    lengths = {len(vector) for vector in found if vector is not None}
    if len(found) != dimension or len(lengths) != 1 or not lengths <= {2, 3, 4}:
        raise UserError(
            f"{path}: space directions are {fields['space directions']!r}; expected one vector, or none, for each of "
            f"{dimension} axes. {COPY_AGAIN}"
        )
    return found


def _kinds(path: Path, fields: dict[str, str], dimension: int) -> list[str]:
    kinds = fields.get("kinds", "").lower().split() or [""] * dimension
    if len(kinds) != dimension:
        raise UserError(f"{path}: kinds are {fields['kinds']!r}; expected {dimension} words. {COPY_AGAIN}")
    return kinds


def _sorted_axes(
    path: Path,
    fields: dict[str, str],
    keys: dict[str, str],
    shape: tuple[int, ...],
    vectors: list[npt.NDArray[np.float64] | None] | None,
) -> _Axes:
    """Find out which axes are x, y, z, which is time, and which hold the parts of one value."""
    kinds = _kinds(path, fields, len(shape))
    every = range(len(shape))
    known = any(kind in _SPACE for kind in kinds)
    if vectors is not None:
        space = [axis for axis in every if vectors[axis] is not None and kinds[axis] not in _TIME]
    elif known:
        space = [axis for axis in every if kinds[axis] in _SPACE]
    else:
        space = [axis for axis in every if kinds[axis] in _UNKNOWN]
    frames: list[int] = []
    if len(space) == 4:  # as ITK writes a series: four axes of one kind, time last
        frames.append(space.pop())
    others = [axis for axis in every if axis not in space and axis not in frames and shape[axis] > 1]
    frames += [axis for axis in others if kinds[axis] in _TIME or (kinds[axis] in _UNKNOWN and axis == len(shape) - 1)]
    components = tuple(axis for axis in others if axis not in frames)
    single = [axis for axis in every if shape[axis] == 1 and kinds[axis] in _TIME and axis not in space]
    frames = frames or single[:1]
    if keys.get("modality", "").upper() == "DWMRI" or any(re.match(r"Segment\d+_", key) for key in keys):
        what = "a diffusion series" if "modality" in keys else "layers of a segmentation"
        if frames:
            raise UserError(f"{path}: its {shape[frames[0]]} volumes are {what}, not frames over time.")
    if len(space) not in (2, 3) or len(frames) > 1 or (frames and len(space) == 2):
        found = " x ".join(map(str, shape))
        raise UserError(
            f"{path}: has {len(shape)} dimensions, {found} (kinds {fields.get('kinds', 'not given')}); expected 3 (a "
            "stack) or 4 (stacks over time)."
        )
    return _Axes(tuple(space), frames[0] if frames else None, components)


def _claims(
    path: Path, fields: dict[str, str], axes: _Axes, vectors: list[npt.NDArray[np.float64] | None] | None
) -> tuple[dict[str, tuple[float, ...]], str]:
    """Voxel sizes by the field that gives them, and a unit that nobody knows."""
    claims: dict[str, tuple[float, ...]] = {}
    words = [*_space_units(fields, len(axes.space)), *_units_of_axes(fields, axes)]
    factors = [factor_to_mm(word) for word in words]
    if None in factors:
        return {}, repr(words[factors.index(None)])
    if vectors is not None:
        scale = _space_factors(fields, len(axes.space))
        found = [vectors[axis] for axis in axes.space]
        claims["space directions"] = tuple(
            float(np.linalg.norm(vector[: len(scale)] * scale[: len(vector)])) for vector in found if vector is not None
        )
    if "spacings" in fields:
        dimension = len(fields["sizes"].split())
        given = numbers(path, "spacings", fields["spacings"], dimension)
        units = _quoted(fields.get("units", "")) or [""] * dimension
        factor = {axis: factor_to_mm(units[axis]) or 1.0 for axis in axes.space if axis < len(units)}
        claims["spacings"] = tuple(abs(given[axis]) * factor.get(axis, 1.0) for axis in axes.space)
    return claims, ""


def _units_of_axes(fields: dict[str, str], axes: _Axes) -> list[str]:
    units = _quoted(fields.get("units", ""))
    return [units[axis] for axis in axes.space if axis < len(units)]


def _space_units(fields: dict[str, str], count: int) -> list[str]:
    """Units of the directions of space; that of time, the fourth, is of no concern."""
    return _quoted(fields.get("space units", ""))[:count]


def _space_factors(fields: dict[str, str], count: int) -> npt.NDArray[np.float64]:
    units = [factor_to_mm(word) or 1.0 for word in _space_units(fields, count)]
    return np.array([*units, *[1.0] * (count - len(units))])


def _quoted(text: str) -> list[str]:
    return [quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', text)]


def _is_known(fields: dict[str, str]) -> bool:
    """Whether it is known where the directions point; ITK writes those of a series without a name."""
    return _space(fields) in _TO_LPS or fields.get("space dimension", "").strip() == "4"


def _space(fields: dict[str, str]) -> str:
    return fields.get("space", "").lower().removesuffix("-time")


def _place(
    path: Path, fields: dict[str, str], axes: _Axes, vectors: list[npt.NDArray[np.float64] | None] | None
) -> tuple[npt.NDArray[np.float64], tuple[float, ...]]:
    """Directions in columns, and the origin in mm, towards left, posterior and superior."""
    count = len(axes.space)
    signs = np.array(_TO_LPS.get(_space(fields), (1.0, 1.0, 1.0)))[:count]
    if vectors is None:
        return np.eye(count), (0.0,) * count
    found = np.stack([vector[:count] for axis in axes.space if (vector := vectors[axis]) is not None], axis=1)
    if found.shape[0] < count:
        raise UserError(
            f"{path}: the vectors of its axes have {found.shape[0]} numbers; expected {count}. {COPY_AGAIN}"
        )
    scale = _space_factors(fields, count)
    origin = np.zeros(count)
    if "space origin" in fields:
        origin = np.array(numbers(path, "space origin", fields["space origin"].strip("() "))[:count])
        if len(origin) < count:
            raise UserError(
                f"{path}: space origin is {fields['space origin']!r}; expected {count} numbers. {COPY_AGAIN}"
            )
    return signs[:, None] * scale[:, None] * found, tuple((signs * scale * origin).tolist())


def _time_step(
    path: Path, fields: dict[str, str], axes: _Axes, vectors: list[npt.NDArray[np.float64] | None] | None
) -> float:
    step = math.nan
    if axes.time is not None and "spacings" in fields:
        step = abs(numbers(path, "spacings", fields["spacings"])[axes.time])
    elif axes.time is not None and vectors is not None and (vector := vectors[axes.time]) is not None:
        step = float(np.linalg.norm(vector))
    return step if math.isfinite(step) and step > 0 else 1.0
