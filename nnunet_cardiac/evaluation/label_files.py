"""Files of label maps in a folder, and the cases in them: one a file, or one a frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.image_names import IMAGE_ENDINGS, image_stem
from nnunet_cardiac.images.image_file import read_layout


@dataclass(frozen=True)
class LabelFile:
    """Where the label map of a case is.

    Attributes:
        path: The file.
        stem: Its name without ending.
        frames: Number of frames of a 4D file, None for one volume.
        frame: That of the case, counted from 0, or None.
    """

    path: Path
    stem: str
    frames: int | None = None
    frame: int | None = None


def label_files(folder: Path, cases: Iterable[str] | None = None) -> dict[str, LabelFile]:
    """Find the label maps of a folder.

    Args:
        folder: With files named CASE.nii.gz and so on.
        cases: Those that are needed: only their files are opened to look for frames; None needs all.

    Returns:
        Case -> file. The frames of a 4D file NAME are the cases NAME_frame01, NAME_frame02 and so on.

    Raises:
        UserError: If the folder is missing or holds no label map, or a case exists twice.
    """
    opened = None if cases is None else {name for case in cases for name in (case, case.rpartition("_frame")[0])}
    found: dict[str, LabelFile] = {}
    for stem, path in _paths(folder).items():
        frames = _frames(path) if opened is None or stem in opened else None
        for frame in (None,) if frames is None else range(frames):
            case = stem if frame is None else frame_name(stem, frame, frames or 0)
            if case in found:
                raise UserError(
                    f"{folder}: {found[case].path.name} and {path.name} both hold the case {case}; remove one."
                )
            found[case] = LabelFile(path, stem, frames, frame)
    return found


def frame_name(stem: str, frame: int, frames: int) -> str:
    """Name the case of a frame of a 4D file.

    Args:
        stem: Name of the file without ending.
        frame: Counted from 0; the names count from 1.
        frames: Number of frames.
    """
    return f"{stem}_frame{frame + 1:0{max(2, len(str(frames)))}d}"


def _paths(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected a folder of label maps ({', '.join(IMAGE_ENDINGS)}).")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = image_stem(path)
        if stem is None:
            continue
        if any("\ud800" <= c <= "\udfff" for c in stem):  # how Python keeps bytes that are no text
            raise UserError(
                f"{folder}: the file name {path.name!a} cannot be written into a table; expected a name in UTF-8. "
                "Rename it."
            )
        if stem in found:
            raise UserError(f"{folder}: {found[stem].name} and {path.name} are one case in two formats; remove one.")
        found[stem] = path
    if not found:
        raise UserError(f"{folder}: no label map in it; expected files ending in {', '.join(IMAGE_ENDINGS)}.")
    return found


def _frames(path: Path) -> int | None:
    """Number of frames of a 4D file with several; None for other files, and for those that cannot be read."""
    try:
        state = path.stat()
    except OSError:  # a link to nowhere, for example
        return None
    return _frames_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=10_000)
def _frames_of(path: Path, modified: int, size_bytes: int) -> int | None:
    """The same; an evaluation asks several times for each of its files."""
    try:
        size = read_layout(path).size
    except UserError:
        return None  # whoever reads its voxels says what is wrong with it
    return size[3] if len(size) == 4 and size[3] > 1 else None
