"""What NRRD and MetaImage share: a header in text, units of length, and lists of files with the voxels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.layout import COPY_AGAIN

#: A header of text is shorter; what follows are voxels.
_LONGEST = 2**20
#: Unit of length -> factor to mm.
_UNITS = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres", ""), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometre"), 0.001),
}


def header_text(path: Path) -> bytes:
    """Return the beginning of a file, in which the header is."""
    with path.open("rb") as file:
        return file.read(_LONGEST)


def factor_to_mm(unit: str) -> float | None:
    """Return the millimetres of a unit of length; None if nobody knows it. An empty unit is mm."""
    return _UNITS.get(unit.strip().strip('"').strip().lower())


def numbers(path: Path, name: str, text: str, count: int | None = None) -> tuple[float, ...]:
    """Read numbers that spaces or commas separate.

    Raises:
        UserError: If one is none, or there are not `count`.
    """
    words = text.replace(",", " ").split()
    try:
        found = tuple(float(word) for word in words)
    except ValueError as error:
        raise UserError(f"{path}: {name} is {text!r}; expected numbers. {COPY_AGAIN}") from error
    if count is not None and len(found) != count:
        raise UserError(f"{path}: {name} is {text!r}; expected {count} numbers. {COPY_AGAIN}")
    return found


def whole_numbers(path: Path, name: str, text: str, count: int | None = None) -> tuple[int, ...]:
    """Read whole numbers; errors as :func:`numbers`."""
    found = numbers(path, name, text, count)
    if not all(math.isfinite(value) and value == int(value) for value in found):
        raise UserError(f"{path}: {name} is {text!r}; expected whole numbers. {COPY_AGAIN}")
    return tuple(int(value) for value in found)


def sizes(path: Path, name: str, text: str, count: int) -> tuple[int, ...]:
    """Read the voxels along each axis, from 1; errors as :func:`numbers`."""
    found = whole_numbers(path, name, text, count)
    if min(found, default=0) < 1:
        raise UserError(f"{path}: {name} is {text!r}; expected sizes from 1. {COPY_AGAIN}")
    return found


def numbered_files(path: Path, words: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of a pattern such as `slice%03d.raw 1 12 1`: first, last and step.

    Raises:
        UserError: If the pattern cannot be used.
    """
    text = " ".join(words)
    first, last, *rest = whole_numbers(path, "the range of data files", " ".join(words[1:4]))
    step = rest[0] if rest else 1
    if step == 0 or not 1 <= len(range(first, last + (1 if step > 0 else -1), step)) <= 100_000:
        raise UserError(f"{path}: no data file fits {text!r}. Convert it into one file.")
    try:
        names = [words[0] % number for number in range(first, last + (1 if step > 0 else -1), step)]
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {text!r} is no pattern of file names ({error}). Convert it into one file.") from error
    return tuple(path.parent / name for name in names)
