"""The two tables of a converted data set: one row a case, one row a patient."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnunet_cardiac.datasets.body_size import body_size
from nnunet_cardiac.datasets.subject import Case, Subject
from nnunet_cardiac.images.content import Print
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, Way, slice_axis


@dataclass(frozen=True)
class Written:
    """What was seen of a case while it was written.

    Attributes:
        subject: Its patient.
        case: The case.
        folder: Folder of the image.
        shape: Voxels (z, y, x).
        spacing_mm: Voxel size (z, y, x).
        volumes_ml: Structure -> volume in the label map; empty without one.
        enclosed: Share of the border of the LV cavity on the myocardium, NaN if it cannot be said.
        content: What the image shows, to find it again under another name; None for frames without a case.
        repairs: What was corrected.
        label_digest: Hash of the label map; empty without one, or if nothing is labelled.
        contradiction: What in the label map contradicts the direction of the header; empty if nothing does.
        stored: Header of the image in the source.
        way: How it was moved.
    """

    subject: Subject
    case: Case
    folder: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    enclosed: float = float("nan")
    content: Print | None = field(default=None, compare=False, repr=False)
    repairs: tuple[str, ...] = ()
    label_digest: str = ""
    contradiction: str = ""
    stored: Header | None = None
    way: Way = IDENTITY

    @property
    def slices(self) -> int:
        """Slices; images that are left as stored may have them along any axis."""
        return self.shape[2 - slice_axis(self.shape[::-1], self.spacing_mm[::-1], np.eye(3))]


def case_row(written: Written) -> dict[str, object]:
    """Return the row of a case in `cases.csv`."""
    case, subject = written.case, written.subject
    row: dict[str, object] = {"case": case.name, "patient": subject.patient, "split": subject.split}
    row |= {"folder": written.folder, "group": subject.group, "phase": case.phase, "frame": case.frame}
    row["labelled"] = int(case.label is not None)
    row |= {f"size_{axis}": n for axis, n in zip("zyx", written.shape, strict=True)}
    row |= {f"spacing_{axis}_mm": round(mm, 4) for axis, mm in zip("zyx", written.spacing_mm, strict=True)}
    if written.slices > 1:  # the area of one slice is no volume
        row |= {f"{name.lower()}_volume_ml": round(ml, 3) for name, ml in written.volumes_ml.items()}
    if np.isfinite(written.enclosed):
        row["lv_border_on_myo"] = round(written.enclosed, 3)
    return row | dict(case.facts)


def patient_row(subject: Subject, fold: int | None, image_group: str = "") -> dict[str, object]:
    """Return the row of a patient in `patients.csv`; frames count from 1.

    Args:
        subject: The patient.
        fold: Number of the fold that validates it.
        image_group: Name of the group of those who share an image; without one there is no such column.
    """
    row: dict[str, object] = {"patient": subject.patient, "split": subject.split, "group": subject.group, "fold": fold}
    for phase in ("ED", "ES"):
        row[f"{phase.lower()}_frame"] = next((case.frame for case in subject.cases if case.phase == phase), None)
    if image_group:
        row["image_group"] = image_group
    return row | dict(subject.facts) | body_size(subject.facts)


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows that need not have the same columns; what is missing or None stays empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
