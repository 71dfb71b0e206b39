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
    temporary = temporary_path(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """Return the name under which this process writes a file before it takes the place of `path`."""
    # Not tempfile.mkstemp: its files are private to the user, and a lab shares its checkpoints.
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def write_json(path: Path | str, content: Any) -> None:
    """Write JSON atomically, indented as nnU-Net does and without sorting keys."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
