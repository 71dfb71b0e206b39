"""Zip archives are extracted where nothing of them can leave, with a limit to what they may hold."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from nnunet_cardiac.dicom.recognise import is_system_name
from nnunet_cardiac.errors import UserError

#: Extracted size of one archive. A study has a few GB at most; what says more is no study.
MOST_BYTES = 64 * 1024**3
MOST_FILES = 500_000
#: Bytes that stay free on the disk.
_SPARE_BYTES = 512 * 1024**2

_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive by its name."""
    return path.suffix.lower() == ".zip"


def extract(archive: Path, folder: Path) -> None:
    """Extract the files of an archive, without those of an operating system.

    Args:
        archive: Zip file.
        folder: Empty folder.

    Raises:
        UserError: If it is damaged, encrypted or too large, or has links or names that lead out of the folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = list(_members(archive, opened))
            _check_size(archive, [info for info, _ in members], folder)
            for info, parts in members:
                target = folder.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(info) as source, target.open("xb") as copy:
                    shutil.copyfileobj(source, copy, 2**20)
    except UserError:
        raise
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{archive}: two of its files have one name ({_inside(error, folder)}). Extract it.") from error
    except _DAMAGED as error:
        raise UserError(f"{archive}: damaged zip archive ({error}). Copy or download it again.") from error


def _inside(error: OSError, folder: Path) -> str:
    return os.path.relpath(error.filename or folder, folder)


def _members(archive: Path, opened: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, tuple[str, ...]]]:
    """Files to extract and the parts of their paths."""
    for info in opened.infolist():
        name = info.filename.replace("\\", "/")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or ":" in name.split("/", 1)[0]:
            raise UserError(f"{archive}: the file {info.filename!r} leads out of the archive. Extract it yourself.")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UserError(f"{archive}: {info.filename!r} is a link or a device, no file. Extract it yourself.")
        if info.flag_bits & 1:
            raise UserError(f"{archive}: is encrypted. Extract it with its password and give the folder.")
        if path.parts and not info.is_dir() and not any(is_system_name(part) for part in path.parts):
            yield info, path.parts


def _check_size(archive: Path, members: list[zipfile.ZipInfo], folder: Path) -> None:
    size = sum(info.file_size for info in members)
    if size > MOST_BYTES or len(members) > MOST_FILES:
        raise UserError(
            f"{archive}: holds {len(members)} files of {size / 1024**3:.1f} GiB, more than any study. Extract what you "
            "need and give the folder."
        )
    free = max(shutil.disk_usage(folder).free - _SPARE_BYTES, 0)
    if size > free:
        raise UserError(
            f"{archive}: needs {size / 1024**3:.1f} GiB, and {folder.parent} has {free / 1024**3:.1f} GiB to spare. "
            "Extract it elsewhere and give the folder, or let TMPDIR name a larger disk."
        )
