"""Names of outputs that every file system, table and terminal takes, and an order of names as people count."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

#: Python shows bytes of a file name that are not UTF-8 as these characters, which nothing else can write.
_BYTES = range(0xDC80, 0xDD00)


def safe_name(name: str) -> str:
    """Return a name without control characters and without bytes that are not UTF-8; others stay as they are."""
    return "".join(_safe(character) for character in name)


def _safe(character: str) -> str:
    if ord(character) in _BYTES:
        return f"_x{ord(character) - 0xDC00:02X}"
    return "_" if unicodedata.category(character) in ("Cc", "Cs") else character


def is_safe(path: Path) -> bool:
    """Whether libraries in other languages can open a path: all of it is UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def own_name(path: Path) -> str:
    """Name of a file or folder as the user gave it; a link keeps its own. Only `.` and `..` are looked up."""
    return path.name if path.name not in ("", "..") else path.resolve().name


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key by which `sax_2` comes before `sax_10`."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return (*((int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts), (-2, name))


def folded(name: str) -> str:
    """What a file system compares that knows neither case nor the Unicode spelling of an accent."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
