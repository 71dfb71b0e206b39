"""Elements of a DICOM dataset as plain values: what is missing, empty or nonsense is None, never an exception.

pydicom converts an element when it is asked for and raises whatever the conversion raises. Files that a tool has
stripped of identifiers hold empty numbers, dates such as `XXXX` and decimal commas; none of that may hide an image.
"""

from __future__ import annotations

import math
from typing import Any


def text(dataset: Any, keyword: str) -> str:
    """Return an element as text; empty if it is missing or cannot be read."""
    return "\\".join(texts(dataset, keyword))


def texts(dataset: Any, keyword: str) -> tuple[str, ...]:
    """Return the values of an element as texts; none if it is missing, empty or cannot be read."""
    value = _value(dataset, keyword)
    if value is None:
        return ()
    values = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
    return tuple(str(one).strip(" \0") for one in values if one is not None and str(one).strip(" \0"))


def number(dataset: Any, keyword: str) -> float | None:
    """Return the first number of an element; None if it is missing, empty or no finite number."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def numbers(dataset: Any, keyword: str) -> tuple[float, ...] | None:
    """Return the numbers of an element; None if it is missing, empty or one of them is no finite number."""
    found = [_number(one) for one in texts(dataset, keyword)]
    known = tuple(one for one in found if one is not None)
    return known if known and len(known) == len(found) else None


def whole(dataset: Any, keyword: str) -> int | None:
    """Return the first number of an element if it is a whole one."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None


def items(dataset: Any, keyword: str) -> list[Any]:
    """Return the items of a sequence; none if it is missing or no sequence."""
    value = _value(dataset, keyword)
    return list(value) if type(value).__name__ == "Sequence" else []


def private(dataset: Any, group: int, creator: str, element: int) -> tuple[float | str, ...]:
    """Return the values of a vendor's element, found by the name of its creator; none if it is not there.

    Args:
        dataset: The file.
        group: Odd group.
        creator: Whose block of elements it is; other vendors use the same numbers for other things.
        element: Number within the block.
    """
    try:
        value = dataset.private_block(group, creator)[element].value
    except Exception:  # no such block, or a value that cannot be converted
        return ()
    if isinstance(value, bytes):  # of a file with implicit types
        if len(value) in (2, 4, 8) and not value.strip().replace(b".", b"").isalnum():
            return (int.from_bytes(value, "little", signed=True),)
        return tuple(_number(part) or part for part in value.decode("latin-1").strip(" \0").split("\\"))
    values = list(value) if type(value).__name__ == "MultiValue" else [value]
    return tuple(float(one) if isinstance(one, int | float) else str(one) for one in values if one is not None)


def _number(value: str) -> float | None:
    try:
        found = float(value.replace(",", ".") if value.count(",") == 1 else value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _value(dataset: Any, keyword: str) -> Any:
    """Return the value of an element, as raw text where pydicom refuses to convert it."""
    try:
        return dataset.get(keyword)
    except Exception:  # each kind of value has errors of its own
        raw = dataset.get_item(keyword)
        value = getattr(raw, "value", None)
        return value.decode("latin-1").split("\\") if isinstance(value, bytes) else None
