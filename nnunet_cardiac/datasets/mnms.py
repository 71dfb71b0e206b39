"""M&Ms (Campello et al., IEEE TMI 2021): `OpenDataset/{Training/{Labeled,Unlabeled},Validation,Testing}/CODE/`.

Image and label map of a patient are 4D, with labels at two frames. The table beside the folders gives these frames,
counted from 0; here, as everywhere in this package, frames count from 1. The table of the release of October 2020 has
neither pathology nor height and weight; that of December 2021 has them. The parts are the challenge's, which tests on
vendors that have no labelled training patients: validation and test stay apart from the training set.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.datasets.image_files import extract_frame, file_volume, read_volume
from nnunet_cardiac.datasets.layout import find_folder, image_in, subfolders, unknown_layout
from nnunet_cardiac.datasets.naming import case_name, patient_name
from nnunet_cardiac.datasets.subject import Case, Collection, ConvertOptions, Loaded, Subject, Volume
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.csv_table import find_table, read_table, whole_number

LAYOUT = "Training/Labeled, Validation and Testing with CODE/CODE_sa.nii.gz and CODE/CODE_sa_gt.nii.gz"
VALUES = {"LV": (1,), "MYO": (2,), "RV": (3,)}
#: Columns of the table in all releases; that of October 2020 has no facts about the patients beside them.
_COLUMNS = ("External code", "Vendor", "Centre", "ED", "ES")
_FACTS = {"height_cm": "Height", "weight_kg": "Weight", "age_years": "Age", "sex": "Sex"}
_PARTS = {"Labeled": "train", "Validation": "val", "Testing": "test"}


def read(source: Path, options: ConvertOptions) -> list[Collection]:
    """Find the patients of all parts.

    Raises:
        UserError: If the layout or the table is not as expected, or a folder has no row.
    """
    parts = {split: find_folder(source, name) for name, split in _PARTS.items()}
    table = find_table(source, "*nformation*.csv", _COLUMNS[0])
    if parts["train"] is None or table is None:
        raise unknown_layout(source, f"a table *information*.csv, and {LAYOUT}")
    rows = {row[_COLUMNS[0]]: row for row in map(_with_any_case, read_table(table, _COLUMNS))}
    folders = [(folder, split) for split, part in parts.items() if part is not None for folder in subfolders(part)]
    unknown = [folder.name for folder, _ in folders if folder.name not in rows]
    if unknown:
        raise UserError(f"{table}: no row for {', '.join(unknown[:5])} ({len(unknown)} in all); expected one a folder.")
    subjects = [_subject(folder, split, table, rows[folder.name]) for folder, split in folders]
    notes = [f"no folder {name}" for name, split in _PARTS.items() if parts[split] is None]
    if not any("Pathology" in row for row in rows.values()):
        notes.append(f"{table.name} has no column Pathology: folds are balanced by vendor alone")
    unlabelled = find_folder(source, "Unlabeled", "Unlabelled")
    if unlabelled is not None and options.cine:
        subjects += [_unlabelled(folder) for folder in subfolders(unlabelled)]
    elif unlabelled is not None:
        notes.append(f"{len(subfolders(unlabelled))} patients without labels left out; --cine writes their frames")
    return [Collection("MnMs", "cineMRI", VALUES, subjects, tuple(notes))]


def _with_any_case(row: dict[str, str]) -> dict[str, str]:
    """The columns that need not be there under the names that are used here."""
    spelling = {name.lower(): name for name in ("Pathology", *_FACTS.values())}
    return {spelling.get(name.lower(), name): cell for name, cell in row.items()}


def _subject(folder: Path, split: str, table: Path, row: dict[str, str]) -> Subject:
    patient = patient_name(folder.name)
    image, label = image_in(folder, f"{folder.name}_sa"), image_in(folder, f"{folder.name}_sa_gt")
    labelled = split == "train" or label.is_file()
    cases = []
    for phase in ("ED", "ES"):
        frame = whole_number(table, row, phase)
        reference = Volume((label,), partial(_labelled_frame, label, frame)) if labelled else None
        name = case_name(patient, frame + 1)
        cases.append(Case(name, file_volume(image, frame), reference, phase, frame + 1))
    vendor, pathology = row["Vendor"], row.get("Pathology", "")
    facts = {name: row[column] for name, column in _FACTS.items() if column in row}
    return Subject(
        patient,
        tuple(cases),
        split,
        group=pathology,
        stratum=f"{vendor} {pathology}".strip(),
        cine=file_volume(image),
        facts=facts | {"vendor": vendor, "centre": row["Centre"]},
        sources=(table,),
    )


def _unlabelled(folder: Path) -> Subject:
    image = image_in(folder, f"{folder.name}_sa")
    return Subject(patient_name(folder.name), (), "unlabelled", cine=file_volume(image))


def _labelled_frame(path: Path, frame: int) -> Loaded:
    """Read one frame of the label map, which is empty in all but two: a table that counts from 1 would miss them."""
    series = read_volume(path)
    if series.image.GetDimension() != 4:
        raise UserError(f"{path}: one volume; expected a 4D label map of all frames.")
    label = extract_frame(series.image, frame, str(path))
    if not sitk.GetArrayViewFromImage(label).any():
        filled = np.flatnonzero(np.any(sitk.GetArrayViewFromImage(series.image), axis=(1, 2, 3))).tolist()
        raise UserError(
            f"{path}: frame {frame} (from 0) has no label; the table says it has, and frames {filled} are labelled. Is "
            "this the table of this release? Its frames count from 0."
        )
    return replace(series, image=label)
