"""A DICOM study as series to segment: pixels, place in the patient, names that hold no patient's name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_cardiac.dicom.headers import read_study
from nnunet_cardiac.dicom.pixels import PixelReader
from nnunet_cardiac.dicom.stacks import DicomStack, find_stacks
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.series import Grid, Series

#: Words shorter than this are no evidence of a patient's name in a folder's name.
_SHORTEST_NAME = 3


@dataclass(frozen=True)
class ReadStudy:
    """The series of a study, and what was left out of it."""

    series: tuple[Series, ...]
    messages: tuple[str, ...]


def read_dicom(
    name: str, path: Path, *, allow_gaps: bool = False, keep_identifiers: bool = False, pseudonym: str = ""
) -> ReadStudy:
    """Read a study.

    Args:
        name: Name of its folder; replaced by a number if it holds the patient's name or ID.
        path: Folder, or one file.
        allow_gaps: Leave missing slices and frames empty instead of refusing the series.
        keep_identifiers: Keep the name whatever it holds.
        pseudonym: What to call it instead; empty takes a hash of its UID.

    Returns:
        Series named `NAME_seriesNUMBER`, or `NAME` if there is but one.

    Raises:
        UserError: If nothing can be segmented; the message says why.
    """
    study = read_study(path)
    stacks, messages = find_stacks(study.images, allow_gaps)
    if not stacks:
        raise UserError(f"{path}: no series that can be segmented. " + " ".join(messages))
    messages = [*study.warnings, *messages]
    if not keep_identifiers and _names_patient(name, study.identifiers):
        uid = study.identifiers.get("StudyInstanceUID") or str(path)
        name = pseudonym or "study-" + hashlib.sha256(uid.encode()).hexdigest()[:8]
        messages.append(f"The folder's name holds the patient's name or ID; outputs are called {name}.")
    pixels = PixelReader()
    series = tuple(
        _series(stack, label, study.identifiers, pixels)
        for stack, label in zip(stacks, _names(name, stacks), strict=True)
    )
    return ReadStudy(series, tuple(messages))


def _names(name: str, stacks: list[DicomStack]) -> Iterator[str]:
    used: dict[str, int] = {}
    for stack in stacks:
        label = name if len(stacks) == 1 else f"{name}_series{stack.series_number}"
        used[label] = used.get(label, 0) + 1
        yield label if used[label] == 1 else f"{label}_{used[label]}"


def _names_patient(name: str, identifiers: dict[str, str]) -> bool:
    """Whether a name holds the ID or a part of the name of the patient."""
    words = [identifiers.get("PatientID", ""), *re.split(r"[\^\s=,_-]+", identifiers.get("PatientName", ""))]
    return any(len(word) >= _SHORTEST_NAME and word.lower() in name.lower() for word in words)


def _series(stack: DicomStack, name: str, identifiers: dict[str, str], pixels: PixelReader) -> Series:
    empty = np.array([[image is None for image in row] for row in stack.images])
    frames = np.zeros((*empty.shape, *stack.first.shape), dtype=np.float32)
    for t, row in enumerate(stack.images):
        for z, image in enumerate(row):
            if image is not None:
                frames[t, z] = pixels.read(image)
    times = [next((i.time_ms for i in row if i is not None), None) for row in stack.images]
    return Series(
        name=name,
        frames=frames[:, None],
        grid=_grid(stack, times),
        dimensions=4 if len(stack.images) > 1 else 3,
        warnings=stack.warnings,
        times_ms=None if None in times or len(times) == 1 else tuple(float(t) for t in times if t is not None),
        empty=empty if empty.any() else None,
        identifiers=identifiers,
        dicom=stack,
    )


def _grid(stack: DicomStack, times: list[float | None]) -> Grid:
    first = stack.first
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(row, column)
    z = next(z for z in range(len(stack.images[0])) if any(frame[z] is first for frame in stack.images))
    origin = np.array(first.position) - z * stack.slice_mm * normal
    direction = np.stack([row, column, normal], axis=1)
    spacing: tuple[float, ...] = (first.pixel_mm[1], first.pixel_mm[0], stack.slice_mm)
    if len(stack.images) > 1:
        known = [t for t in times if t is not None]
        step = float(np.median(np.diff(known))) if len(known) == len(times) else 1.0
        spacing = (*spacing, step if step > 0 else 1.0)
        origin, direction = np.append(origin, 0.0), np.block([[direction, np.zeros((3, 1))], [np.zeros((1, 3)), 1.0]])
    return Grid(spacing, tuple(origin.tolist()), tuple(direction.ravel().tolist()))
