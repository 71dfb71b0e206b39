"""Files that are never half-written."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Give a temporary name beside `path`; it takes the place of `path` if the block ends well, else it is removed.

    Args:
        path: Final name; its folder must exist.

    Yields:
        Temporary path in the same folder, so that the rename is atomic.
    """
    path = Path(path)
    # Not tempfile.mkstemp: its files are private to the user, and a lab shares its checkpoints.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def beside(folder: Path | str) -> Path:
    """Return the folder in which a folder is, also of `.` and `..`; links are not followed."""
    return Path(os.path.abspath(folder)).parent


def split_name(word: str) -> tuple[str, Path]:
    """Read `PATH` or `NAME=PATH`, where both may hold an equals sign: what exists decides.

    Args:
        word: As a user writes it.

    Returns:
        Name and path. The name is empty if the whole word is a path that exists, or if it has no name. Otherwise the
        path is the longest part after an equals sign that exists, or the part after the first one if none does.
    """
    parts = word.split("=")
    if len(parts) == 1 or Path(word).exists():
        return "", Path(word)
    splits = [("=".join(parts[:k]), Path("=".join(parts[k:]))) for k in range(1, len(parts)) if parts[0] and parts[k]]
    found = next((split for split in splits if split[1].exists()), splits[0] if splits else ("", Path(word)))
    # Where nothing exists, `runs/lr=0.01` is a path rather than a name: the message then shows it whole.
    return found if found[1].exists() or not {"/", os.sep} & set(found[0]) else ("", Path(word))


def write_json(path: Path | str, content: Any) -> None:
    """Write JSON atomically, indented as nnU-Net does and without sorting keys."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
