"""DICOM segmentation objects of DICOM series, one for each phase.

A segmentation object places its frames in space, not in time: the frames of a cine series share their positions, and
a reader could not tell them apart. So a cine series gets one object for end-diastole and one for end-systole; all
frames are in the NIfTI file. The object lies on the grid of the label map and holds all slices of each structure.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.dicom.headers import explained
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import replacing
from nnunet_cardiac.inference.dicom_seg_object import build_object
from nnunet_cardiac.inference.dicom_seg_references import enter_source
from nnunet_cardiac.inference.dicom_seg_source import Source, read_source
from nnunet_cardiac.inference.series import Grid, Series

logger = logging.getLogger(__name__)


def write_segmentations(
    folder: Path,
    labels: npt.NDArray[np.integer],
    series: Series,
    names: Mapping[str, int],
    phases: Mapping[str, int],
) -> tuple[list[Path], list[str]]:
    """Write `NAME.dcm`, or `NAME_ED.dcm` and `NAME_ES.dcm` of a cine series.

    Args:
        folder: Where to write.
        labels: Label maps (T, Z, Y, X).
        series: What was segmented.
        names: Name -> value of the structures.
        phases: `{"ED": frame, "ES": frame}`, counted from 1.

    Returns:
        The files, and messages on what the source, the standard or this program cannot carry.

    Raises:
        UserError: If highdicom is not installed.
    """
    obstacle = _obstacle(series, labels, phases)
    if obstacle:
        return [], [f"No DICOM segmentation: {obstacle}"]
    frames = {"": 0} if len(labels) == 1 else {f"_{phase}": frame - 1 for phase, frame in phases.items()}
    notes = []
    if len(labels) > 1:
        notes.append(
            "DICOM segmentation of end-diastole and end-systole only: the standard cannot tell frames at one "
            "position apart."
        )
    written = []
    for suffix, frame in frames.items():
        path = folder / f"{series.name}{suffix}.dcm"
        try:
            content, more = _encoded(labels[frame], series.dicom.images[frame], series.grid, names)
        except _ObstacleError as reason:
            notes.append(f"No DICOM segmentation{suffix.replace('_', ' of ')}: {reason}")
            continue
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        written.append(path)
        notes += [note for note in more if note not in notes]
    return written, notes


class _ObstacleError(Exception):
    """Why an object cannot be made."""


def _obstacle(series: Series, labels: npt.NDArray[np.integer], phases: Mapping[str, int]) -> str:
    if series.dicom is None:
        return "the input is not DICOM."
    if len(labels) > 1 and not phases:
        return "the standard cannot tell frames at one position apart, and ED and ES are unknown; give --ed and --es."
    return ""


def _encoded(
    label_map: npt.NDArray[np.integer], row: Sequence[Any], grid: Grid, names: Mapping[str, int]
) -> tuple[bytes, list[str]]:
    """Return the file of one object, and notes on it.

    Args:
        label_map: Labels (Z, Y, X).
        row: The source image of each slice, None where it is missing.
        grid: Place of the voxels.
        names: Name -> value of the structures.

    Raises:
        UserError: If highdicom is not installed.
        _ObstacleError: If the object cannot be made.
    """
    _require_highdicom()
    if not label_map.any():
        raise _ObstacleError("the label map is empty.")
    unnamed = np.setdiff1d(label_map, [0, *names.values()])
    if len(unnamed):
        raise _ObstacleError(f"the label map holds the value {unnamed[0]}, which has no name.")
    images = {z: image for z, image in enumerate(row) if image is not None}
    try:
        with explained(next(iter(images.values())).path):
            source = read_source(list(images.values()))
        _check(source)
        segmentation = build_object(label_map, images, grid, names, source)
        notes = enter_source(segmentation, source, list(images))
        stream = io.BytesIO()
        segmentation.save_as(stream)
    except (_ObstacleError, MemoryError):
        raise
    except Exception as error:  # of highdicom and pydicom; their messages may hold what identifies the patient
        logger.debug("no segmentation object", exc_info=True)
        kind = type(error.__cause__ or error).__name__
        raise _ObstacleError(f"it cannot be made from these files ({kind}).") from error
    return stream.getvalue(), notes


def _require_highdicom() -> None:
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise UserError("--dicom-seg needs highdicom. Install it: pip install 'nnunet_cardiac[dicom]'") from error


def _check(source: Source) -> None:
    """Refuse what the standard does not allow to be left out."""
    if not all(source.studies):
        raise _ObstacleError("the files have no StudyInstanceUID, and an object belongs to a study.")
    if len(source.studies) > 1:
        raise _ObstacleError(f"the images are of {len(source.studies)} studies, and an object belongs to one.")
