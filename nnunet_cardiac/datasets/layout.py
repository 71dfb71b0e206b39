"""Finds the parts of an archive, and shows what is there if they are not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.image_names import image_stem

_SHOWN = 15


def find_folder(source: Path, *names: str, depth: int = 3) -> Path | None:
    """Find a folder by name (case does not matter): the source itself, or up to `depth` levels below it."""
    wanted = {name.lower() for name in names}
    level = [source]
    for _ in range(depth + 1):
        for folder in level:
            if folder.name.lower() in wanted:
                return folder
        level = [child for folder in level for child in subfolders(folder)]
    return None


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder, by name."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__MACOSX")))


def image_in(folder: Path, stem: str) -> Path:
    """Return `stem.nii.gz`, or `stem.nii` where the archive was unpacked so; the first if neither is there."""
    packed, plain = unpacked(folder / f"{stem}.nii.gz"), unpacked(folder / f"{stem}.nii")
    return plain if plain.is_file() and not packed.is_file() else packed


def unpacked(path: Path) -> Path:
    """Return the file, or the one in a folder of its name: some programs unpack `x.nii` as `x.nii/x.nii`.

    The file within may have another name if it is the only image there.
    """
    if not path.is_dir():
        return path
    if (path / path.name).is_file():
        return path / path.name
    images = [file for file in sorted(path.iterdir()) if file.is_file() and image_stem(file) is not None]
    return images[0] if len(images) == 1 else path


def unknown_layout(source: Path, expected: str) -> UserError:
    """Return the error for a source that is not laid out as its authors publish it.

    Args:
        source: What the user gave.
        expected: The layout, in one line.
    """
    return UserError(
        f"{source}: expected {expected}; found {_listing(source)}. Give the folder of the unpacked archive; "
        "docs/datasets.md shows the layout, and `convert generic` takes any other."
    )


def _listing(source: Path) -> str:
    if not source.is_dir():
        return "a file"
    entries = list(_entries(source))
    shown = ", ".join(entries[:_SHOWN]) or "an empty folder"
    return shown + (f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else "")


def _entries(source: Path) -> Iterable[str]:
    for child in sorted(source.iterdir()):
        if child.name.startswith("."):
            continue
        yield child.name + "/" * child.is_dir()
        if child.is_dir():
            yield from (f"{child.name}/{grandchild.name}" for grandchild in sorted(child.iterdir())[:3])
