"""Where a converted data set comes from: every source file with its hash, the versions, and what was corrected."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

from nnunet_cardiac.version import installed_versions

_PACKAGES = ("nnunet_cardiac", "python", "nnunetv2", "SimpleITK", "nibabel", "numpy", "scipy")
_CHUNK_BYTES = 2**22


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def hashes(paths: Iterable[Path], root: Path) -> dict[str, str]:
    """Return path -> SHA-256, the paths relative to `root` where they lie below it."""
    return {(p.relative_to(root) if p.is_relative_to(root) else p).as_posix(): sha256(p) for p in paths}


def versions() -> dict[str, str]:
    """Return the versions that took part in a conversion."""
    return installed_versions(*_PACKAGES)


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
