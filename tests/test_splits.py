"""Folds by patient."""

from __future__ import annotations

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.splits import patient_of, patient_splits


@pytest.mark.parametrize(
    ("case", "patient"),
    [
        ("patient001_frame01", "patient001"),
        ("patient001_frame12", "patient001"),
        ("A0S9V9_ED", "A0S9V9"),
        ("A0S9V9_es", "A0S9V9"),
        ("161_SA_ES", "161_SA"),
        ("la_003", "la_003"),
        ("case7", "case7"),
    ],
)
def test_patient_of(case: str, patient: str) -> None:
    assert patient_of(case) == patient


def test_no_patient_is_on_both_sides_and_each_is_validated_once() -> None:
    cases = [f"patient{p:03d}_frame{f:02d}" for p in range(1, 24) for f in (1, 9)]
    splits = patient_splits(cases)
    assert len(splits) == 5
    validated = [case for split in splits for case in split["val"]]
    assert sorted(validated) == sorted(cases)
    for split in splits:
        assert not {patient_of(c) for c in split["train"]} & {patient_of(c) for c in split["val"]}
        assert sorted(split["train"] + split["val"]) == sorted(cases)
    assert patient_splits(reversed(cases)) == splits


def test_too_few_patients() -> None:
    with pytest.raises(UserError, match="2 patients cannot be split into 5 folds"):
        patient_splits(["p1_ED", "p1_ES", "p2_ED"])
