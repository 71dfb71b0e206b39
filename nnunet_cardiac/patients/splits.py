"""Cross-validation folds by patient.

nnU-Net's own split draws cases. A cardiac data set holds two frames of each patient, so in most validation cases of
that split the other frame of the same heart was trained on and the reported Dice is too high.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.cohort import read_names


def patient_splits(
    cases: Iterable[str], folds: int = 5, seed: int = 12345, patients: Mapping[str, str] | None = None
) -> list[dict[str, list[str]]]:
    """Make folds in which no patient is on both sides, in the form of nnU-Net's `splits_final.json`.

    Args:
        cases: Case names.
        folds: Number of folds.
        seed: Seed of the shuffle.
        patients: Case -> patient; by default read from the names.

    Returns:
        One `{"train": [...], "val": [...]}` per fold, names sorted.

    Raises:
        UserError: If there are fewer patients than folds.
    """
    cases = sorted(cases)
    patients = patients or {case: name.patient for case, name in read_names(cases).items()}
    by_patient: dict[str, list[str]] = {}
    for case in cases:
        by_patient.setdefault(patients[case], []).append(case)
    names = sorted(by_patient)
    if len(names) < folds:
        shown = "; ".join(f"{name}: {', '.join(by_patient[name][:2])}" for name in names[:2])
        raise UserError(
            f"{len(names)} patients cannot be split into {folds} folds ({shown}, ...). Add patients or use fold `all`; "
            "if these are more patients, say whose the cases are in cases.csv (columns case, patient) beside the raw "
            "data set."
        )
    random.Random(seed).shuffle(names)
    splits = []
    for fold in range(folds):
        held_out = set(names[fold::folds])
        val = sorted(c for p in held_out for c in by_patient[p])
        train = sorted(c for p in names if p not in held_out for c in by_patient[p])
        splits.append({"train": train, "val": val})
    return splits


# scikit-learn does not replace the dealing. StratifiedKFold over patients deals just as evenly but refuses data sets in
# which no group has as many patients as there are folds, as in a phantom of 20 patients in 5 groups.
# StratifiedGroupKFold takes those, but its folds differ by up to two patients there, these by one at most. Folds are
# also part of the fingerprint by which `benchmark accuracy` tells whether two results are of the same data.
def stratified_folds(groups: Sequence[str], folds: int, seed: int) -> list[list[int]]:
    """Deal patients to folds, group by group, in random order, so that folds differ by one patient at most.

    Args:
        groups: Group of each patient.
        folds: Number of folds.
        seed: Seed of the order.

    Returns:
        For each fold the indices of its validation patients, ascending.
    """
    rng = np.random.default_rng([seed, 31])
    order = [
        int(i)
        for group in sorted(set(groups))
        for i in rng.permutation([k for k, g in enumerate(groups) if g == group])
    ]
    return [sorted(order[fold::folds]) for fold in range(folds)]


def stratified_splits(
    cases: Sequence[Sequence[str]], groups: Sequence[str], folds: int, seed: int
) -> list[dict[str, list[str]]]:
    """Make folds by patient in which every group is spread evenly, in the form of nnU-Net's `splits_final.json`.

    Args:
        cases: Case names of each patient.
        groups: Group of each patient.
        folds: Number of folds.
        seed: Seed of the order.

    Raises:
        UserError: If there are fewer than two folds or fewer patients than folds.
    """
    if folds < 2 or len(cases) < folds:
        raise UserError(
            f"{len(cases)} training patients and {folds} folds; need at least 2 folds and a patient for each. Add "
            "patients or ask for fewer folds."
        )
    everyone = range(len(cases))
    return [
        {
            "train": [name for i in everyone if i not in held_out for name in cases[i]],
            "val": [name for i in held_out for name in cases[i]],
        }
        for held_out in stratified_folds(groups, folds, seed)
    ]


def check_splits(splits: Sequence[Mapping[str, Sequence[str]]], patients: Mapping[str, str]) -> None:
    """Refuse folds that leak or do not fit the data set.

    Args:
        splits: Folds as in `splits_final.json`.
        patients: Training case -> patient, of all training cases.

    Raises:
        UserError: If a fold lacks a part, names an unknown case, or has a patient in training and validation.
    """
    for number, fold in enumerate(splits):
        train, val = fold.get("train", ()), fold.get("val", ())
        unknown = sorted({*train, *val} - set(patients))
        if not train or not val or unknown:
            found = f"the unknown cases {', '.join(unknown[:5])}" if unknown else f"{len(train)} and {len(val)} cases"
            raise UserError(
                f"Fold {number}: found {found}; expected 'train' and 'val' with names of training cases such as "
                f"{min(patients, default='none')}. Correct the file of folds."
            )
        shared = sorted({patients[case] for case in train} & {patients[case] for case in val})
        if shared:
            raise UserError(
                f"Fold {number}: {len(shared)} patients ({', '.join(shared[:5])}) are in training and validation; "
                "expected every case of a patient on one side, or the validation results are too good. Split by "
                "patient, or leave the file out: folds by patient are then drawn."
            )
