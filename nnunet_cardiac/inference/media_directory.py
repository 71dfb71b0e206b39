"""A DICOMDIR, the table of contents of a CD: the studies in the files that it lists."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from nnunet_cardiac.dicom.headers import import_pydicom
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.own_files import is_own_segmentation
from nnunet_cardiac.inference.studies import Identity, Study, identity_of

logger = logging.getLogger(__name__)


def is_media_directory(path: Path) -> bool:
    """Whether a file is a DICOMDIR by its name, which the standard prescribes."""
    return path.name.upper() in ("DICOMDIR", "DICOMDIR.;1", "DICOMDIR;1")


def read_dicomdir(path: Path, name: str) -> list[Study]:
    """Find the studies that a DICOMDIR lists.

    Args:
        path: The file; what it lists lies below its folder.
        name: What a study is called that is the only one; several are counted.

    Raises:
        UserError: If it cannot be read or lists no file that exists.
    """
    pydicom = import_pydicom()
    try:
        records = pydicom.dcmread(path, force=True).get("DirectoryRecordSequence") or []
        listed = [record.get("ReferencedFileID") for record in records if record.get("ReferencedFileID")]
    except Exception as error:  # damaged in any way
        raise UserError(f"{path}: damaged DICOMDIR ({error}). Give the folder with the images instead.") from error
    names: dict[Path, dict[str, str]] = {}
    located = [_locate(path.parent, [one] if isinstance(one, str) else list(one), names) for one in listed]
    files = [file for file in located if file is not None]
    if not files:
        missing = f"{len(listed)} files, and none of them lies beside it" if listed else "no files"
        raise UserError(f"{path}: lists {missing}. Copy the whole CD, or give the folder with the images.")
    if len(files) < len(listed):
        logger.warning("%s: %d of the %d files that it lists are missing.", path, len(listed) - len(files), len(listed))
    groups: dict[Identity, list[Path]] = {}
    for file in dict.fromkeys(files):
        if not is_own_segmentation(file):
            groups.setdefault(identity_of(file), []).append(file)
    single = len(groups) == 1
    return [
        Study(name if single else f"{name}_{number}", tuple(some), identity.uid)
        for number, (identity, some) in enumerate(groups.items(), 1)
    ]


def _locate(folder: Path, parts: Sequence[str], names: dict[Path, dict[str, str]]) -> Path | None:
    """A file of a DICOMDIR on a disk that may have changed the case of its name; None if it is not there."""
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\\" in part:
            return None
        if not (folder / part).exists():
            if folder not in names:
                names[folder] = {n.casefold(): n for n in os.listdir(folder)} if folder.is_dir() else {}
            known = names[folder]
            part = next((known[n] for n in (part.casefold(), f"{part.casefold()};1") if n in known), part)
        folder = folder / part
    return folder if folder.is_file() else None
