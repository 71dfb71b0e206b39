"""A temporary folder for what an input needs before it can be read; it is gone when the command ends."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.archives import extract
from nnunet_cardiac.inference.safe_names import is_safe


class Workspace:
    """Extracted archives, and links under plain names to files that libraries cannot open under their own.

    Nothing is made before it is needed. The folder can be read by its owner only. It is removed at the end of the
    block, after an interruption, too.

    Args:
        parent: Where the folder is made; None takes the one of the system.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent
        self._folder: Path | None = None
        self._used = 0

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def extracted(self, archive: Path) -> Path:
        """Return a new folder with the content of a zip archive.

        Raises:
            UserError: See :func:`nnunet_cardiac.inference.archives.extract`.
        """
        folder = self._new()
        try:
            extract(archive, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def readable(self, path: Path) -> Path:
        """Return the path, or a link to it if its name is not UTF-8: libraries in other languages would crash.

        Raises:
            UserError: If no link can be made.
        """
        if is_safe(path):
            return path
        link = self._new() / ("file" + "".join(path.suffixes[-2:]) if path.is_file() else "folder")
        if not is_safe(link):
            link = link.with_name("file")
        try:
            link.symlink_to(path.absolute())
        except OSError as error:
            raise UserError(f"{path}: the name is not UTF-8. Rename the file or its folder.") from error
        return link

    def _new(self) -> Path:
        if self._folder is None:
            if self._parent is not None:
                self._parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=".nnunet_cardiac-", dir=self._parent))
        self._used += 1
        folder = self._folder / str(self._used)
        folder.mkdir()
        return folder
