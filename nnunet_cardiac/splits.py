"""Cross-validation folds by patient.

nnU-Net's own split draws cases. A cardiac data set holds two frames of each patient, so in most validation cases of
that split the other frame of the same heart was trained on and the reported Dice is too high.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping

from nnunet_cardiac.errors import UserError

_FRAME = re.compile(r"[_-](?:frame|phase|time|t|fr)?[_-]?(?:\d+|ed|es)$", re.IGNORECASE)


def patient_of(case: str) -> str:
    """Return the patient's part of a case name: `patient001_frame12` and `A0S9V9_ED` lose their last part.

    A name of a single part, such as `la_003` with a short prefix of letters only, is a patient of its own.
    """
    stem = _FRAME.sub("", case)
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
