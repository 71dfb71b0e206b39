"""A DICOM study as series to segment: pixels, place in the patient, names that hold no patient's name."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_cardiac.dicom.choice import Choice, choose
from nnunet_cardiac.dicom.pixels import PixelReader
from nnunet_cardiac.dicom.stacks import DicomStack
from nnunet_cardiac.dicom.study import DicomStudy, read_study
from nnunet_cardiac.dicom.table import Row, tabulate
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.orientation import canonical_way, directions
from nnunet_cardiac.images.voxel_size import check_given, implausible
from nnunet_cardiac.inference.private_names import holds_identifier
from nnunet_cardiac.inference.series import Grid, Series

logger = logging.getLogger(__name__)

#: Cosine of the angle up to which two stacks of a study are nearly parallel: 30 degrees.
_NEARLY_PARALLEL = 0.87


@dataclass(frozen=True)
class ReadStudy:
    """The series of a study.

    Attributes:
        series: What is segmented.
        messages: What a reader of the results should know.
        table: What was found in the study, one entry a stack or series, as the JSON file keeps it.
        private: Values that identify patient or examination, for no file but on request.
    """

    series: tuple[Series, ...]
    messages: tuple[str, ...]
    table: tuple[dict[str, Any], ...] = ()
    private: tuple[str, ...] = ()


def read_table(
    paths: Path | Sequence[Path], *, allow_gaps: bool = False, series: str = ""
) -> tuple[DicomStudy, Choice]:
    """Read the headers of a study and decide what is segmented; no pixel is read.

    Args:
        paths: Files and folders of the study.
        allow_gaps: Leave missing slices and frames empty instead of refusing the series.
        series: Number or description of a series, or `all`; empty chooses the short-axis stack.

    Raises:
        UserError: If there is no DICOM file, a file is damaged, or there are several patients.
    """
    study = read_study(paths)
    choice = choose(tabulate(study, allow_gaps), series)
    if series and not choice.used:  # a part of a joined stack, which the user wants alone
        images = tuple(image for image in study.images if series in (str(image.series_number), image.description))
        alone = choose(tabulate(DicomStudy(images), allow_gaps), series)
        choice = alone if alone.used else choice
    return study, choice


def read_dicom(
    name: str,
    paths: Path | Sequence[Path],
    *,
    allow_gaps: bool = False,
    keep_identifiers: bool = False,
    series: str = "",
    pseudonym: str = "",
    spacing_mm: Sequence[float] | None = None,
) -> ReadStudy:
    """Read a study.

    Args:
        name: Name of its folder; replaced by a number if it holds the patient's name or ID.
        paths: Files and folders of the study.
        allow_gaps: Leave missing slices and frames empty instead of refusing the series.
        keep_identifiers: Keep the name whatever it holds.
        series: Number or description of a series, or `all`; empty chooses the short-axis stack.
        pseudonym: What to call it instead; empty takes a hash of its UID.
        spacing_mm: Voxel size (x, y, z) that overrules the files; positions and directions stay.

    Returns:
        Series named `NAME_seriesNUMBER`, or `NAME` if there is but one.

    Raises:
        UserError: If nothing can be segmented; the message says why.
    """
    study, choice = read_table(paths, allow_gaps=allow_gaps, series=series)
    where = paths if isinstance(paths, Path) else paths[0]
    if not choice.used:
        raise UserError(f"{where}: no series that can be segmented. {' '.join(choice.refusals)}")
    for row in choice.rows:
        if not row.used:
            logger.info("%s: %s left out: %s.", name, row.title, row.reason)
    messages = [*study.warnings, *choice.warnings]
    if not keep_identifiers and holds_identifier(name, study.private):
        uid = study.identifiers.get("StudyInstanceUID") or str(where)
        name = pseudonym or "study-" + hashlib.sha256(uid.encode()).hexdigest()[:8]
        messages.append(f"The folder's name holds the patient's name or ID; outputs are called {name}.")
    pixels = PixelReader()
    read = tuple(
        _series(row.stack, label, study.identifiers, pixels, spacing_mm)
        for row, label in zip(choice.used, _names(name, choice.used), strict=True)
        if row.stack is not None
    )
    return ReadStudy(_alike(read), tuple(messages), tuple(row.record() for row in choice.rows), study.private)


def _alike(read: tuple[Series, ...]) -> tuple[Series, ...]:
    """Let stacks that are nearly parallel to the first lie like it, though they may be turned a little against it."""
    if len(read) < 2:
        return read
    header = read[0].header
    first = directions(canonical_way(header).moved(header))
    parallel = [abs(directions(series.header)[:, 2] @ first[:, 2]) > _NEARLY_PARALLEL for series in read]
    return tuple(replace(series, like=first) if near else series for series, near in zip(read, parallel, strict=True))


def _names(name: str, rows: Sequence[Row]) -> Iterator[str]:
    """Names of the outputs: with the number of the series where there are several, of the study where there are two."""
    used: dict[str, int] = {}
    studies = len({row.study for row in rows})
    for row in rows:
        of_study = f"{name}_study{row.study}" if studies > 1 else name
        alone = sum(other.study == row.study for other in rows) == 1
        label = of_study if alone else f"{of_study}_series{row.series[0]}"
        used[label] = used.get(label, 0) + 1
        yield label if used[label] == 1 else f"{label}_{used[label]}"


def _series(
    stack: DicomStack,
    name: str,
    identifiers: dict[str, str],
    pixels: PixelReader,
    spacing_mm: Sequence[float] | None,
) -> Series:
    empty = np.array([[image is None for image in row] for row in stack.images])
    frames = np.zeros((*empty.shape, *stack.first.shape), dtype=np.float32)
    for t, row in enumerate(stack.images):
        for z, image in enumerate(row):
            if image is not None:
                frames[t, z] = pixels.read(image)
    times = stack.times_ms
    return Series(
        name=name,
        frames=frames[:, None],
        grid=_grid(stack, times, _spacing(stack, spacing_mm)),
        dimensions=4 if len(stack.images) > 1 else 3,
        warnings=stack.warnings,
        times_ms=None if None in times or len(times) == 1 else tuple(float(t) for t in times if t is not None),
        empty=empty if empty.any() else None,
        identifiers=identifiers,
        dicom=stack,
    )


def _spacing(stack: DicomStack, given: Sequence[float] | None) -> tuple[float, float, float]:
    """Voxel size (x, y, z) in mm: the user's, or that of the files if a heart can be that large."""
    if given is not None:
        x, y, z = check_given(given)
        return x, y, z
    first, slices = stack.first, len(stack.images[0])
    spacing = (first.pixel_mm[1], first.pixel_mm[0], stack.slice_mm)
    if problem := implausible((first.shape[1], first.shape[0], slices), spacing):
        raise UserError(
            f"{first.path.parent}: series {stack.series_number} has {problem}. Export it again; --spacing X Y Z in mm "
            "gives the true size."
        )
    return spacing


def _grid(stack: DicomStack, times: list[float | None], spacing_mm: tuple[float, float, float]) -> Grid:
    first = stack.first
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(row, column)
    z = next(z for z in range(len(stack.images[0])) if any(frame[z] is first for frame in stack.images))
    origin = np.array(first.position) - z * stack.slice_mm * normal
    direction = np.stack([row, column, normal], axis=1)
    spacing: tuple[float, ...] = spacing_mm
    if len(stack.images) > 1:
        known = [t for t in times if t is not None]
        step = float(np.median(np.diff(known))) if len(known) == len(times) else 1.0
        spacing = (*spacing, step if step > 0 else 1.0)
        origin, direction = np.append(origin, 0.0), np.block([[direction, np.zeros((3, 1))], [np.zeros((1, 3)), 1.0]])
    return Grid(spacing, tuple(origin.tolist()), tuple(direction.ravel().tolist()))
