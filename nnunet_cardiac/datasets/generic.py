"""One's own data: a CSV file of image, label, patient and phase.

Columns: `image`, `label`, `patient`, and if wanted `phase` (ED, ES), `frame` (counted from 1), `split` (train, val,
test) and `group`; every other column goes to `patients.csv`. Paths are relative to the CSV file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nnunet_cardiac.datasets.image_files import file_volume
from nnunet_cardiac.datasets.layout import unpacked
from nnunet_cardiac.datasets.naming import case_name, patient_name
from nnunet_cardiac.datasets.subject import FOLDER_OF_SPLIT, Case, Collection, ConvertOptions, Subject, Volume
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.csv_table import read_table, whole_number

_KNOWN = ("image", "label", "patient", "phase", "frame", "split", "group")


def read(source: Path, options: ConvertOptions) -> list[Collection]:
    """Read the table.

    Raises:
        UserError: If labels are not named, the table lacks a column, a patient is in two splits or groups, or an image
            is in two rows.
    """
    if options.labels is None:
        raise UserError(
            "convert generic needs --labels: what do the values of your label maps mean? For example --labels LV=1 "
            "MYO=2 RV=3, or a JSON file with such names and values."
        )
    if not source.is_file():
        raise UserError(
            f"{source}: a folder; expected a table (CSV or Excel) with the columns image, label, patient, phase."
        )
    rows = read_table(source, _KNOWN[:3])
    rows = [{key.lower() if key.lower() in _KNOWN else key: value for key, value in row.items()} for row in rows]
    _refuse_repeated(source, rows)
    by_patient: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if not row.get("patient") or not row.get("image"):
            raise UserError(f"{source}: the row {row} lacks image or patient; expected both in every row.")
        by_patient.setdefault(patient_name(row["patient"]), []).append(row)
    subjects = [_subject(source, patient, own, options.spacing_mm) for patient, own in by_patient.items()]
    return [Collection("Cardiac", "MRI", options.labels, subjects)]


def _subject(source: Path, patient: str, rows: list[dict[str, str]], spacing_mm: tuple[float, ...] | None) -> Subject:
    names = {row["patient"] for row in rows}
    if len(names) > 1:
        raise UserError(f"{source}: patients {', '.join(sorted(names))} would both be called {patient}; rename one.")
    split = _one(source, patient, rows, "split") or "train"
    if split not in FOLDER_OF_SPLIT:
        raise UserError(f"{source}: {patient} has the split {split!r}; expected train, val or test.")
    facts = {key: value for row in rows for key, value in row.items() if key not in _KNOWN}
    return Subject(
        patient,
        tuple(_case(source, patient, row, split, len(rows) == 1, spacing_mm) for row in rows),
        split,
        group=_one(source, patient, rows, "group"),
        facts=facts,
    )


def _case(
    source: Path,
    patient: str,
    row: Mapping[str, str],
    split: str,
    alone: bool,
    spacing_mm: tuple[float, ...] | None,
) -> Case:
    frame = whole_number(source, dict(row), "frame") if row.get("frame") else None
    phase = row.get("phase", "").upper()
    if frame is None and not phase and not alone:
        raise UserError(
            f"{source}: {patient} has several rows; expected a phase or a frame in each to tell them apart."
        )
    if frame is not None and frame < 1:
        raise UserError(f"{source}: {patient} has frame {frame}; frames count from 1.")
    if phase not in ("", "ED", "ES"):
        raise UserError(f"{source}: {patient} has the phase {phase!r}; expected ED or ES. Give others by their frame.")
    if not row.get("label") and split == "train":
        raise UserError(
            f"{source}: {row['image']} has no label; training needs one. Say split=test, or remove the row."
        )
    label = _volume(source, row["label"], frame, spacing_mm) if row.get("label") else None
    image = _volume(source, row["image"], frame, spacing_mm)
    return Case(case_name(patient, frame, phase), image, label, phase, frame)


def _volume(source: Path, text: str, frame: int | None, spacing_mm: tuple[float, ...] | None) -> Volume:
    path = unpacked(source.parent / text)
    return file_volume(path, None if frame is None else frame - 1, True, spacing_mm, unit_matrix=False)


def _one(source: Path, patient: str, rows: list[dict[str, str]], column: str) -> str:
    found = {row.get(column, "") for row in rows}
    if len(found) > 1:
        shown = " and ".join(sorted(repr(value) for value in found))
        leak = " A patient in two splits leaks." if column == "split" else ""
        raise UserError(f"{source}: {patient} has the {column} {shown}; expected one a patient.{leak}")
    return found.pop()


def _refuse_repeated(source: Path, rows: list[dict[str, str]]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for row in rows:
        key = (str(Path(row.get("image", ""))), row.get("frame", ""))
        if key in seen:
            raise UserError(
                f"{source}: image {key[0]} is in two rows, for {seen[key]} and {row.get('patient')}; expected each "
                "image once. One heart under two names would leak from training into validation."
            )
        seen[key] = row.get("patient", "")
