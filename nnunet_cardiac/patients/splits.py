"""Cross-validation folds by patient.

nnU-Net's own split draws cases. A cardiac data set holds two frames of each patient, so in most validation cases of
that split the other frame of the same heart was trained on and the reported Dice is too high.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.cohort import read_names
from nnunet_cardiac.patients.repeated import Groups, shown_groups


def patient_splits(
    cases: Iterable[str],
    folds: int = 5,
    seed: int = 12345,
    patients: Mapping[str, str] | None = None,
    groups: Groups | None = None,
) -> list[dict[str, list[str]]]:
    """Make folds in which no patient is on both sides, in the form of nnU-Net's `splits_final.json`.

    Args:
        cases: Case names.
        folds: Number of folds.
        seed: Seed of the shuffle.
        patients: Case -> patient; by default read from the names.
        groups: Patient -> group of those who share an image; they are kept together.

    Returns:
        One `{"train": [...], "val": [...]}` per fold, names sorted.

    Raises:
        UserError: If there are fewer patients than folds, or fewer after those who share an image are taken for one.
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
    groups = groups or {}
    _check_groups(names, groups, folds)
    random.Random(seed).shuffle(names)
    splits = []
    for dealt in _deal([groups.get(name, name) for name in names], [""] * len(names), folds):
        held_out = {names[i] for i in dealt}
        val = sorted(c for p in held_out for c in by_patient[p])
        train = sorted(c for p in names if p not in held_out for c in by_patient[p])
        splits.append({"train": train, "val": val})
    return splits


# scikit-learn does not replace the dealing. StratifiedKFold over patients deals just as evenly but refuses data sets in
# which no group has as many patients as there are folds, as in a phantom of 20 patients in 5 groups.
# StratifiedGroupKFold takes those, but its folds differ by up to two patients there, these by one at most. Folds are
# also part of the fingerprint by which `benchmark accuracy` tells whether two results are of the same data.
def stratified_folds(
    groups: Sequence[str], folds: int, seed: int, together: Sequence[str] | None = None
) -> list[list[int]]:
    """Deal patients to folds, group by group, in random order, so that folds differ by one patient at most.

    Args:
        groups: Group of each patient, such as a disease.
        folds: Number of folds.
        seed: Seed of the order.
        together: A name for each patient; those of one name come into one fold, which may make folds less even.

    Returns:
        For each fold the indices of its validation patients, ascending.
    """
    rng = np.random.default_rng([seed, 31])
    order = [
        int(i)
        for group in sorted(set(groups))
        for i in rng.permutation([k for k, g in enumerate(groups) if g == group])
    ]
    if together is None:
        return [sorted(order[fold::folds]) for fold in range(folds)]
    dealt = _deal([together[i] for i in order], [groups[i] for i in order], folds)
    return [sorted(order[k] for k in fold) for fold in dealt]


def _deal(together: Sequence[str], groups: Sequence[str], folds: int) -> list[list[int]]:
    """Deal places of a list to folds, those of one name together.

    Large units go first, so that single patients fill up what they leave. Each unit goes to the fold with the fewest
    patients, of equal ones to that with the fewest of its group. Without units this deals in turn.

    Args:
        together: Name of the unit at each place.
        groups: Group at each place.
        folds: Number of folds.
    """
    units: dict[str, list[int]] = {}
    for place, name in enumerate(together):
        units.setdefault(name, []).append(place)
    dealt: list[list[int]] = [[] for _ in range(folds)]
    held: list[Counter[str]] = [Counter() for _ in range(folds)]
    for places in sorted(units.values(), key=len, reverse=True):
        own = [groups[place] for place in places]
        fold = min(range(folds), key=lambda f: (len(dealt[f]), sum(held[f][name] for name in set(own)), f))
        dealt[fold] += places
        held[fold].update(own)
    return dealt


def _check_groups(patients: Sequence[str], groups: Groups, folds: int) -> None:
    units = {groups.get(patient, patient) for patient in patients}
    if len(units) < folds:
        shown = shown_groups({patient: group for patient, group in groups.items() if patient in set(patients)})
        raise UserError(
            f"{len(patients)} patients cannot be split into {folds} folds: some share images ({shown}) and count as "
            f"one, so that {len(units)} are left. Remove the copies, ask for fewer folds, or use fold `all`."
        )


def stratified_splits(
    cases: Sequence[Sequence[str]],
    groups: Sequence[str],
    folds: int,
    seed: int,
    patients: Sequence[str] | None = None,
    shared: Groups | None = None,
) -> list[dict[str, list[str]]]:
    """Make folds by patient in which every group is spread evenly, in the form of nnU-Net's `splits_final.json`.

    Args:
        cases: Case names of each patient.
        groups: Group of each patient, such as a disease.
        folds: Number of folds.
        seed: Seed of the order.
        patients: Name of each patient, needed with the next.
        shared: Patient -> group of those who share an image; they are kept together.

    Raises:
        UserError: If there are fewer than two folds, or fewer patients than folds, those who share an image counted as
            one.
    """
    if folds < 2 or len(cases) < folds:
        raise UserError(
            f"{len(cases)} training patients and {folds} folds; need at least 2 folds and a patient for each. Add "
            "patients or ask for fewer folds."
        )
    together = None
    if patients is not None and shared:
        _check_groups(patients, shared, folds)
        together = [shared.get(patient, patient) for patient in patients]
    everyone = range(len(cases))
    return [
        {
            "train": [name for i in everyone if i not in held_out for name in cases[i]],
            "val": [name for i in held_out for name in cases[i]],
        }
        for held_out in stratified_folds(groups, folds, seed, together)
    ]


def check_splits(
    splits: Sequence[Mapping[str, Sequence[str]]], patients: Mapping[str, str], groups: Groups | None = None
) -> None:
    """Refuse folds that leak or do not fit the data set.

    Args:
        splits: Folds as in `splits_final.json`.
        patients: Training case -> patient, of all training cases.
        groups: Patient -> group of those who share an image.

    Raises:
        UserError: If a fold lacks a part, names an unknown case, or has a patient, or two who share an image, in
            training and validation.
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
        if apart := separated(fold, patients, groups or {}):
            raise UserError(
                f"Fold {number}: {shown_groups(apart)} show the same images, but some of them are in training and some "
                "in validation; expected them on one side, or the validation results are too good. Move them together, "
                "or leave one of them out of the data set."
            )


def separated(fold: Mapping[str, Sequence[str]], patients: Mapping[str, str], groups: Groups) -> Groups:
    """Return those of `groups` that a fold has in training and validation, with all their patients in the fold.

    Args:
        fold: Names of cases under `train` and `val`.
        patients: Case -> patient; unknown cases are left out.
        groups: Patient -> group of those who share an image.
    """
    train, val = ({patients[case] for case in fold.get(part, ()) if case in patients} for part in ("train", "val"))
    apart = {groups[name] for name in train if name in groups} & {groups[name] for name in val if name in groups}
    return {name: groups[name] for name in sorted(train | val) if groups.get(name) in apart}
