"""One table of what was found in a study: a row a stack, with its series, place, time, type, and whether it is used.

The table is made from headers, before a pixel is read. Choices are functions of it (`nnunet_cardiac.dicom.choice`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nnunet_cardiac.dicom.cycles import type_of, with_purpose_of_series
from nnunet_cardiac.dicom.headers import DicomImage
from nnunet_cardiac.dicom.parts import find_parts, frames_of
from nnunet_cardiac.dicom.places import normal_of, places_of
from nnunet_cardiac.dicom.stacks import DicomStack, NotAStackError, build_stack
from nnunet_cardiac.dicom.study import DicomStudy


@dataclass(frozen=True)
class Row:
    """What was found of one stack, or of one series that holds none.

    Attributes:
        study: Number of the study among those of the folder, counted from 1.
        series: Numbers of its series.
        description: What the scanner called it; for the terminal alone.
        type: `cine`, `one image a slice`, or what else it is.
        images: Its images, or the number of images that were left out.
        count: Number of images.
        slices: Number of places.
        frames: Images a place.
        stack: The stack; None if it cannot be built.
        problem: Why it cannot be built, or why the files hold no image to segment.
        used: Whether it is segmented.
        reason: Why it is used or left out.
    """

    study: int
    series: tuple[int, ...]
    description: str
    type: str
    count: int
    slices: int = 0
    frames: int = 0
    images: tuple[DicomImage, ...] = field(default=(), repr=False)
    stack: DicomStack | None = field(default=None, repr=False)
    problem: str = ""
    used: bool = False
    reason: str = ""

    @property
    def normal(self) -> np.ndarray:
        """Direction (3,) in which its slices are counted."""
        return normal_of(self.images)

    @property
    def title(self) -> str:
        """The series, as messages name it; without description, which may hold a name."""
        numbers = ", ".join(map(str, self.series))
        return f"series {numbers}" if len(self.series) == 1 else f"series {self.series[0]} to {self.series[-1]}"

    def chosen(self, reason: str) -> Row:
        """The row of a stack that is segmented."""
        return replace(self, used=True, reason=reason)

    def left_out(self, reason: str) -> Row:
        """The row of what is not segmented."""
        return replace(self, used=False, reason=reason)

    def record(self) -> dict[str, Any]:
        """What the JSON file keeps: nothing that the patient could be known by."""
        kept: dict[str, Any] = {"series": list(self.series), "type": self.type, "images": self.count}
        if self.images:
            first = self.images[0]
            kept |= {"slices": self.slices, "frames": self.frames, "size": list(first.shape)}
            kept |= {"pixel_mm": [round(size, 4) for size in first.pixel_mm]}
            kept |= {"normal": [round(float(value), 3) + 0.0 for value in self.normal]}
        return {"study": self.study, **kept, "used": self.used, "reason": self.reason}


def tabulate(study: DicomStudy, allow_gaps: bool = False) -> list[Row]:
    """Sort what was found in a study into rows, none of them chosen yet.

    Args:
        study: Images and other files.
        allow_gaps: Leave missing slices and frames empty instead of refusing the stack.

    Returns:
        Rows by study and series number.
    """
    uids = sorted({image.study for image in study.images} | {item.study for item in study.left_out})
    number = {uid: count for count, uid in enumerate(uids, start=1)}
    rows = [
        _stack_row(part, number[part[0].study], allow_gaps) for part in find_parts(with_purpose_of_series(study.images))
    ]
    others: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for item in study.left_out:
        others[item.study, item.series, item.reason].append(item)
    for found in others.values():
        first = found[0]
        count = sum(item.images for item in found)
        row = Row(number[first.study], (first.series_number,), first.description, first.reason, count)
        rows.append(replace(row, problem=first.reason))
    return sorted(rows, key=lambda row: (row.study, row.series))


def _stack_row(images: Sequence[DicomImage], study: int, allow_gaps: bool) -> Row:
    places = places_of(images)
    first = min(images, key=lambda image: image.order)
    row = Row(
        study=study,
        series=tuple(sorted({image.series_number for image in images})),
        description=first.description,
        type=type_of(images),
        count=len(images),
        slices=len(places),
        frames=frames_of(images),
        images=tuple(images),
    )
    try:
        return replace(row, stack=build_stack(images, allow_gaps))
    except NotAStackError as error:
        return replace(row, problem=str(error))


def shown(rows: Sequence[Row]) -> str:
    """Return the table as text for the terminal."""
    head = ("series", "slices", "frames", "pixels", "mm", "type", "used", "why", "description")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    numbers = "-".join(str(value) for value in sorted({row.series[0], row.series[-1]}))
    if not row.images:
        return (numbers, "-", str(row.count), "-", "-", row.type, "no", row.reason or row.problem, row.description)
    first = row.images[0]
    step = row.stack.slice_mm if row.stack is not None else first.distance_mm
    size = "x".join(f"{value:.4g}" for value in (*first.pixel_mm, *([step] if step else [])))
    pixels = "x".join(map(str, first.shape))
    used = "yes" if row.used else "no"
    return (numbers, str(row.slices), str(row.frames), pixels, size, row.type, used, row.reason, row.description)
