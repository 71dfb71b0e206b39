"""`splits_final.json`: how many folds there are, and whether it fits the data. Imports no torch and no nnU-Net.

nnU-Net trains a fold that the file lacks on a random part of the cases, which puts frames of one patient on both sides.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.patients.cohort import Cohort, read_patients
from nnunet_cardiac.patients.repeated import patient_groups, read_pairs, shown_groups
from nnunet_cardiac.patients.splits import separated
from nnunet_cardiac.patients.tables import find_tables
from nnunet_cardiac.workflow.folders import dataset_number

FILE_NAME = "splits_final.json"

#: Folds that are drawn where there is no file, as nnU-Net does.
DRAWN_FOLDS = 5

Folds = Sequence[Mapping[str, list[str]]]

_SHOWN = 5


def read_folds(preprocessed: Path) -> Folds | None:
    """Read the folds of a data set; None if none were written yet.

    Raises:
        UserError: If the file is not in nnU-Net's form.
    """
    path = preprocessed / FILE_NAME
    if not path.is_file():
        return None
    try:
        folds = read_json(path)
    except ValueError as error:
        raise UserError(
            f"{path}: cannot be read as JSON ({error}). Correct it, or remove it and plan again."
        ) from error
    if (
        not isinstance(folds, list)
        or not folds
        or not all(isinstance(f, dict) and {"train", "val"} <= f.keys() for f in folds)
    ):
        raise UserError(
            f'{path}: expected nnU-Net\'s form, a list of {{"train": [...], "val": [...]}}, one a fold. Correct it, or '
            "remove it and plan again."
        )
    return folds


def count_folds(preprocessed: Path) -> int:
    """Number of folds of a data set, those that will be drawn if there are none yet."""
    folds = read_folds(preprocessed)
    return DRAWN_FOLDS if folds is None else len(folds)


def check_fold(preprocessed: Path, fold: int | str) -> None:
    """Refuse a fold that the data set does not have.

    Raises:
        UserError: With the folds that there are.
    """
    number = count_folds(preprocessed)
    if fold != "all" and int(fold) >= number:
        path = preprocessed / FILE_NAME
        origin = (
            f"{path} has {number} folds" if path.is_file() else f"{number} folds will be drawn for {preprocessed.name}"
        )
        raise UserError(
            f"Fold {fold}: {origin}, 0 to {number - 1}. nnU-Net would train it on a random part of the cases, with "
            "frames of one patient on both sides. Choose one of these folds, or `all`."
        )


def known_cases(preprocessed: Path) -> set[str]:
    """Training cases of a data set, from the references that nnU-Net copies when it plans."""
    description = preprocessed / "dataset.json"
    if not description.is_file():
        return set()
    ending = read_json(description)["file_ending"]
    return {file.name.removesuffix(ending) for file in (preprocessed / "gt_segmentations").glob(f"*{ending}")}


def preprocessed_cases(folder: Path) -> set[str]:
    """Cases whose data nnU-Net has written into the folder of a configuration."""
    if not folder.is_dir():
        return set()
    names = os.listdir(folder)
    packed = {name.removesuffix(".b2nd") for name in names if name.endswith(".b2nd") and not name.endswith("_seg.b2nd")}
    return packed | {name.removesuffix(".npz") for name in names if name.endswith(".npz")}


def raw_tables(dataset: str, environ: Mapping[str, str]) -> list[Path]:
    """`cases.csv` and `patients.csv` of a raw data set, if nnU-Net's raw folder is known."""
    raw = environ.get("nnUNet_raw")
    return find_tables(Path(raw) / dataset) if raw else []


def read_cohort(preprocessed: Path, environ: Mapping[str, str], cases: Iterable[str] = ()) -> Cohort:
    """Say whose the training cases are, by the tables of the raw data set or by their names."""
    everything = known_cases(preprocessed) | set(cases)
    return read_patients(everything, raw_tables(preprocessed.name, environ))


def check_data(preprocessed: Path, configuration: str, data_identifier: str, plans: str) -> None:
    """Refuse a configuration whose data are not there, or not of all cases of the folds.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        configuration: Name in the plans.
        data_identifier: Its folder.
        plans: Name of the plans file without ending.

    Raises:
        UserError: If a fold names an unknown case, or data are missing, with the command that makes them.
    """
    folder = preprocessed / data_identifier
    there = preprocessed_cases(folder)
    _refuse_unknown(preprocessed, there)
    folds = read_folds(preprocessed)
    wanted = known_cases(preprocessed) if folds is None else _cases_of(folds)
    missing = sorted(wanted - there)
    if missing or not there:
        number = dataset_number(preprocessed)
        found = f"lacks {len(missing)} of {len(wanted)} cases ({_shown(missing)})" if there else "has no data yet"
        raise UserError(
            f"{folder}: {configuration} {found}. Preprocess it before training: "
            f"nnUNetv2_preprocess -d {number} -c {configuration} -plans_name {plans}"
        )


def _cases_of(folds: Folds) -> set[str]:
    return {case for fold in folds for part in ("train", "val") for case in fold[part]}


def _refuse_unknown(preprocessed: Path, there: set[str]) -> None:
    known = known_cases(preprocessed) | there
    for number, fold in enumerate(read_folds(preprocessed) or ()):
        unknown = sorted({*fold["train"], *fold["val"]} - known)
        if unknown and known:
            raise UserError(
                f"{preprocessed / FILE_NAME}: fold {number} names {len(unknown)} cases that the data set does not have "
                f"({_shown(unknown)}); its cases are called {_shown(sorted(known))}. Correct the file, or remove it "
                "and plan again for folds by patient."
            )


def shared_patients(folds: Folds, patients: Mapping[str, str]) -> list[str]:
    """Return the patients that a fold has in training and validation at once, sorted.

    Args:
        folds: As in `splits_final.json`.
        patients: Case -> patient.
    """
    shared: set[str] = set()
    for fold in folds:
        train, val = ({patients[case] for case in fold[part] if case in patients} for part in ("train", "val"))
        shared |= train & val
    return sorted(shared)


def fold_warnings(preprocessed: Path, cohort: Cohort) -> Iterator[str]:
    """Yield what is unusual in the folds: patients on both sides, and patients that no fold uses or validates.

    Patients who share an image are known where `plan` has noted them.
    """
    folds = read_folds(preprocessed)
    if folds is None:
        return
    path = preprocessed / FILE_NAME
    if shared := shared_patients(folds, cohort.by_case):
        yield (
            f"{path}: {len(shared)} patients ({_shown(shared)}) are in training and validation of the same fold, so "
            "validation results are too good. Remove the file and plan again for folds by patient; trained folds have "
            "to be trained anew."
        )
    groups = patient_groups(read_pairs(preprocessed) or (), cohort.by_case)
    apart = {name: group for fold in folds for name, group in separated(fold, cohort.by_case, groups).items()}
    if apart:
        yield (
            f"{path}: {shown_groups(apart)} show the same images and are on both sides of a fold, so validation "
            "results are too good. Remove the file and plan again for folds that keep them together; trained folds "
            "have to be trained anew."
        )
    used = _cases_of(folds)
    validated = {case for fold in folds for case in fold["val"]}
    for left_out, what in (
        (set(cohort.cases) - used, "are in no fold: no network is trained or validated on them"),
        ((set(cohort.cases) & used) - validated, "are validated in no fold, so no network predicts them out of fold"),
    ):
        if left_out:
            patients = sorted({cohort.patient(case) for case in left_out})
            yield f"{path}: {len(left_out)} cases of {len(patients)} patients ({_shown(patients)}) {what}."


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
