"""Files that this program wrote: an earlier result is no input of the next run, and nothing else is ever replaced.

A label map is ours if the JSON file beside it is, which names it; a DICOM segmentation says so in its header. While the
files of a result are written, the temporary JSON file is there already, so that those of a run that was killed are
known, too.
"""

from __future__ import annotations

import csv
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunet_cardiac.files import read_json

ENDING = ".nii.gz"
OBJECT_ENDINGS = (".dcm", "_ED.dcm", "_ES.dcm")

#: What `dicom_seg.py` writes as manufacturer, and the class of segmentation objects.
_PROGRAM = "nnunet_cardiac"
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"

_MOST_BYTES = 2**26


def read_record(path: Path) -> dict[str, Any] | None:
    """Content of the JSON file of a result as this program writes it, or None if it is anything else."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        content = read_json(path)
        ours = {"name", "model", "seconds"} <= content.keys() and content["name"] == path.name.removesuffix(".json")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return content if ours else None


def is_interrupted(folder: Path, name: str) -> bool:
    """Whether a run was writing the result of this name when it was killed."""
    return any(True for _ in folder.glob(f".{glob.escape(name)}.json.*.part"))


def is_own(folder: Path, name: str, ending: str) -> bool:
    """Whether a file of a result was written by this program.

    Args:
        folder: Where it lies.
        name: Name of the result.
        ending: What follows in the name of the file.
    """
    if ending == ".json":
        return read_record(folder / f"{name}.json") is not None
    if ending in OBJECT_ENDINGS:
        return is_own_segmentation(folder / f"{name}{ending}")
    return is_interrupted(folder, name) or read_record(folder / f"{name}.json") is not None


def is_own_label_map(path: Path) -> bool:
    """Whether an image file is a label map of an earlier run."""
    return path.name.endswith(ENDING) and is_own(path.parent, path.name.removesuffix(ENDING), ENDING)


def is_own_segmentation(path: Path) -> bool:
    """Whether a DICOM file is a segmentation object of this program."""
    try:
        import pydicom

        asked = ["SOPClassUID", "Manufacturer"]
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=asked, force=True)
        return header.get("SOPClassUID") == _SEGMENTATION and header.get("Manufacturer") == _PROGRAM
    except Exception:  # not installed, no DICOM, or damaged in any way
        return False


def is_own_table(path: Path, columns: Sequence[str]) -> bool:
    """Whether a table begins as those that this program writes."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), None) == list(columns)
    except (OSError, ValueError, csv.Error):
        return False
