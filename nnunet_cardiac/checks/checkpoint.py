"""Is a checkpoint file whole? Looks at the container only, so that nothing is unpickled and no torch is needed."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from nnunet_cardiac.errors import UserError

_FIX = "Copy it again, use checkpoint_best.pth, or train on from an earlier checkpoint with --c."


def check_checkpoint(path: Path) -> None:
    """Check that a checkpoint written by `torch.save` is there and undamaged.

    `torch.save` writes a zip archive whose members carry checksums. nnU-Net writes checkpoints in place, so a training
    killed meanwhile leaves half a file.

    Args:
        path: Such as `fold_0/checkpoint_final.pth`.

    Raises:
        UserError: If the file is missing, truncated, damaged or no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: {_what_is_there(path)}")
    if not zipfile.is_zipfile(path):
        size = path.stat().st_size
        raise UserError(f"{path}: no checkpoint, or truncated ({size} bytes; expected a zip archive). {_FIX}")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            members = archive.namelist()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{path}: damaged ({error}). {_FIX}") from error
    if damaged is not None:
        raise UserError(f"{path}: damaged, the checksum of {damaged} is wrong. {_FIX}")
    if not any(name.endswith("/data.pkl") for name in members):
        raise UserError(f"{path}: a zip archive, but no torch checkpoint (no data.pkl). Give a file checkpoint_*.pth.")


def _what_is_there(path: Path) -> str:
    found = sorted(file.name for file in path.parent.glob("checkpoint_*.pth")) if path.parent.is_dir() else []
    if found:
        return f"no such checkpoint; this folder has {', '.join(found)}. Choose one of them with -chk."
    return "no such checkpoint, and none beside it. Train this fold first, or correct the folder."
