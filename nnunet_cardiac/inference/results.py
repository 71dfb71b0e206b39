"""What the user asked for, and what became of each series."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.own_files import ENDING as ENDING

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictOptions:
    """What the user asked for.

    Attributes:
        output: Folder for the results.
        existing: `refuse`, `overwrite` or `resume`.
        dimensions: `auto`, `3d` or `4d`; what the input files are.
        ed: End-diastolic frame, counted from 1; None finds it.
        es: End-systolic frame.
        allow_gaps: Leave missing slices and frames without labels instead of refusing the series.
        keep_identifiers: Write names and numbers of the patient into the JSON file and keep them in file names.
        dicom_seg: Also write DICOM segmentation objects of DICOM input.
        spacing_mm: Voxel size (x, y, z) that holds whatever the files say; None takes theirs.
        inputs: Names in the folder for the results that are inputs of this run and never replaced.
        series: Number or description of the series of a DICOM study, or `all`; empty chooses the short-axis stack.
        before: Set where a case is tried again: names of the files that were in the folder before the run. Whatever
            else is there comes from an attempt that was cut short, and `existing` does not apply to it.
    """

    output: Path
    existing: str = "refuse"
    dimensions: str = "auto"
    ed: int | None = None
    es: int | None = None
    allow_gaps: bool = False
    keep_identifiers: bool = False
    dicom_seg: bool = False
    spacing_mm: tuple[float, float, float] | None = None
    inputs: frozenset[str] = frozenset()
    series: str = ""
    before: frozenset[str] | None = None


@dataclass(frozen=True)
class Result:
    """What became of one series, or of a case that could not be read.

    Attributes:
        name: Name of the outputs.
        status: `done`, `skipped` (was finished before) or `failed`.
        seconds: Wall time.
        message: Why it failed.
        sidecar: Content of its JSON file; None if it failed.
    """

    name: str
    status: str
    seconds: float = 0.0
    message: str = ""
    sidecar: dict[str, Any] | None = field(default=None, repr=False)


def done(content: dict[str, Any]) -> Result:
    """A series whose files are written, by the content of its JSON file."""
    return Result(content["name"], "done", sum(content["seconds"].values()), sidecar=content)


def failed(name: str, error: BaseException, where: object = None) -> Result:
    """Report a failure in the log and as a result.

    Args:
        name: Of the case or series.
        error: What was raised.
        where: The file, for errors that do not name it.
    """
    message = _explained(error, where or name)
    logger.error("%s failed: %s", name, message)
    logger.debug("%s", "".join(traceback.format_exception(error)).rstrip())
    return Result(name, "failed", message=message)


def _explained(error: BaseException, where: object) -> str:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or where}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"{where}: the memory of this machine is too small for it. {error}".rstrip()
    return f"{where}: {type(error).__name__}: {error} (--debug shows where)"
