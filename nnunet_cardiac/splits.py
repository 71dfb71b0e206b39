"""Cross-validation folds by patient.

nnU-Net's own split draws cases. A cardiac data set holds two frames of each patient, so in most validation cases of
that split the other frame of the same heart was trained on and the reported Dice is too high.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nnunet_cardiac.errors import UserError

_PHASE = re.compile(r"[_-](?:(?:frame|phase|time|t|fr)[_-]?\d+|ed|es)$", re.IGNORECASE)
_NUMBER = re.compile(r"[_-]\d+$")


def patient_of(case: str) -> str:
    """Return the patient's part of a case name: `patient001_frame12` and `A0S9V9_ED` lose their last part.

    A number alone at the end is a frame if another one names the patient (`patient001_12`); else it is the
    patient's, as in `la_003`.
    """
    stem, found = _PHASE.subn("", case)
    if found:
        return stem
    stem = _NUMBER.sub("", case)
    return stem if re.search(r"\d", stem) else case


def shared_patients(splits: Iterable[Mapping[str, list[str]]]) -> list[str]:
    """Return the patients that a fold has in training and validation at once, sorted."""
    shared: set[str] = set()
    for split in splits:
        shared |= {patient_of(c) for c in split["train"]} & {patient_of(c) for c in split["val"]}
    return sorted(shared)


def patient_splits(cases: Iterable[str], folds: int = 5, seed: int = 12345) -> list[dict[str, list[str]]]:
    """Make folds in which no patient is on both sides, in the form of nnU-Net's `splits_final.json`.

    Args:
        cases: Case names.
        folds: Number of folds.
        seed: Seed of the shuffle.

    Returns:
        One `{"train": [...], "val": [...]}` per fold, names sorted.

    Raises:
        UserError: If there are fewer patients than folds.
    """
    by_patient: dict[str, list[str]] = {}
    for case in sorted(cases):
        by_patient.setdefault(patient_of(case), []).append(case)
    patients = sorted(by_patient)
    if len(patients) < folds:
        raise UserError(f"{len(patients)} patients cannot be split into {folds} folds; add patients or use fold `all`.")
    random.Random(seed).shuffle(patients)
    splits = []
    for fold in range(folds):
        held_out = set(patients[fold::folds])
        val = sorted(c for p in held_out for c in by_patient[p])
        train = sorted(c for p in patients if p not in held_out for c in by_patient[p])
        splits.append({"train": train, "val": val})
    return splits


def stratified_folds(groups: Sequence[str], folds: int, seed: int) -> list[list[int]]:
    """Deal patients to folds, group by group, in random order.

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
