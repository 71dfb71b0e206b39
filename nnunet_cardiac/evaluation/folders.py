"""Folders of predicted label maps against a folder of references: the function behind `nnunet_cardiac evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.cases import reference_cases
from nnunet_cardiac.evaluation.labels import find_dataset_json, parse_labels, read_labels
from nnunet_cardiac.evaluation.methods import find_patients, named_folders, named_methods
from nnunet_cardiac.evaluation.patients import PatientTable, read_patient_table
from nnunet_cardiac.evaluation.results import Results, derive
from nnunet_cardiac.evaluation.table import evaluate
from nnunet_cardiac.files import beside
from nnunet_cardiac.patients.cohort import Cohort, read_patients
from nnunet_cardiac.patients.tables import find_tables


def evaluate_folders(
    reference: Path | str,
    predictions: Path | str | Mapping[str, Path | str] | Sequence[str],
    *,
    labels: Mapping[str, int] | Sequence[str] | None = None,
    prediction_labels: Mapping[str, int] | Sequence[str] | None = None,
    map_labels: bool = False,
    check_order: bool = True,
    cases: Sequence[str] | None = None,
    allow_missing: bool = False,
    patients: Path | str | None = None,
    body_surface: str = "mosteller",
    tolerance_mm: float = 2.0,
    workers: int = 1,
    progress: bool = False,
) -> Results:
    """Compare predicted label maps with references.

    Args:
        reference: Folder of the references, such as `labelsTs`.
        predictions: Folder of the predictions, with the same file names; or name of a method -> folder; or
            `NAME=FOLDER` as on the command line, where a name may come twice.
        labels: Structure -> number in the references, also as `NAME=N`; None reads the `dataset.json` in or beside the
            folder.
        prediction_labels: The same for the predictions.
        map_labels: Whether predictions whose `dataset.json` numbers otherwise are translated.
        check_order: Whether to look for exchanged labels.
        cases: Names to evaluate, of 4D files also the name of all frames; None takes all references. Phases and
            indices of the reference follow from all references of the patients in the folder.
        allow_missing: Whether cases without a prediction are left out instead of refused.
        patients: Table of the patients, CSV or Excel; None takes `patients.csv` or `patients.xlsx` in or beside the
            folder, if there is one.
        body_surface: Formula of the body surface area, `mosteller` or `dubois`.
        tolerance_mm: Of surface Dice.
        workers: Processes.
        progress: Whether to show a progress bar.

    Returns:
        Tables and facts; :func:`nnunet_cardiac.evaluation.results.write_results` writes them.

    Raises:
        UserError: If files, labels or tables do not fit.
    """
    reference = Path(reference)
    if not tolerance_mm >= 0:
        raise UserError(f"--tolerance {tolerance_mm}: expected 0 mm or more.")
    path = find_dataset_json(reference)
    if labels:
        known = parse_labels(_assignments(labels), "--labels")
    elif path is not None:
        known = read_labels(path)
    else:
        raise UserError(f"{reference}: no dataset.json in it or beside it. Name the labels: --labels RV=1 MYO=2 LV=3")
    own = None
    if prediction_labels:
        own = parse_labels(_assignments(prediction_labels), "--prediction-labels").structures
    methods = named_methods(_named(predictions), reference, known.structures, own, map_labels=map_labels)
    table = Path(patients) if patients is not None else find_patients(reference)
    about = PatientTable() if table is None else read_patient_table(table)
    cohort = cohort_of(reference, patients)
    cohort.warn(str(reference))
    evaluation = evaluate(
        reference,
        methods,
        known.structures,
        cases=cases,
        patients=about,
        ignore_label=known.ignore,
        names=cohort.cases,
        tolerance_mm=tolerance_mm,
        allow_missing=allow_missing,
        check_order=check_order,
        workers=workers,
        progress=progress,
    )
    facts = {
        "reference": str(reference.resolve()),
        "methods": {method.name: [str(folder.resolve()) for folder in method.folders] for method in methods},
        "translations": {method.name: method.translation for method in methods if method.translation is not None},
        "labels": known.structures,
        "ignore_label": known.ignore,
        "patients_table": None if table is None else str(table.resolve()),
        "surface_dice_tolerance_mm": tolerance_mm,
        "body_surface_area": body_surface,
    }
    return derive(evaluation, facts, about, body_surface)


def cohort_of(reference: Path, patients: Path | str | None) -> Cohort:
    """Return whose the cases of a folder of references are.

    Args:
        reference: The folder.
        patients: Table that the user names; None takes those in and beside the folder, or the names of the cases.
    """
    tables = find_tables(reference, beside(reference)) if patients is None else [Path(patients)]
    return read_patients(reference_cases(reference), tables)


def _assignments(labels: Mapping[str, int] | Sequence[str]) -> list[str]:
    if isinstance(labels, Mapping):
        return [f"{name}={value}" for name, value in labels.items()]
    return list(labels)


def _named(predictions: Path | str | Mapping[str, Path | str] | Sequence[str]) -> dict[str, list[Path]]:
    """Folders of each method, named by the caller or as on the command line."""
    if isinstance(predictions, Mapping):
        return {name: [Path(folder)] for name, folder in predictions.items()}
    if isinstance(predictions, Path):
        return {predictions.resolve().name: [predictions]}
    return named_folders([predictions] if isinstance(predictions, str) else predictions)
