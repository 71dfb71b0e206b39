"""Folds by patient."""

from __future__ import annotations

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients import patient_of
from nnunet_cardiac.splits import check_splits, patient_splits, stratified_folds, stratified_splits


@pytest.mark.parametrize(
    ("case", "patient"),
    [
        ("patient001_frame01", "patient001"),
        ("patient001_frame12", "patient001"),
        ("A0S9V9_ED", "A0S9V9"),
        ("A0S9V9_es", "A0S9V9"),
        ("161_SA_ES", "161_SA"),
        ("la_003", "la_003"),
        ("patient001_12", "patient001"),
        ("Smith_frame01", "Smith"),
        ("Smith_ED", "Smith"),
        ("Case_N006", "Case_N006"),
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


def test_folds_are_stratified() -> None:
    groups = ["a", "b", "c"] * 10
    for fold in stratified_folds(groups, 5, seed=1):
        assert sorted(groups[i] for i in fold) == ["a", "a", "b", "b", "c", "c"]
    assert stratified_folds(groups, 5, 1) == stratified_folds(groups, 5, 1) != stratified_folds(groups, 5, 2)


def test_stratified_splits_keep_the_cases_of_a_patient_together() -> None:
    cases = [[f"p{i}_ED", f"p{i}_ES"] for i in range(6)]
    splits = stratified_splits(cases, ["a"] * 3 + ["b"] * 3, folds=3, seed=0)
    for split in splits:
        assert sorted(split["train"] + split["val"]) == sorted(name for names in cases for name in names)
        assert len({patient_of(case) for case in split["val"]}) == 2  # one of each group
        assert {int(patient_of(case)[1:]) // 3 for case in split["val"]} == {0, 1}
    with pytest.raises(UserError, match="6 training patients and 7 folds"):
        stratified_splits(cases, ["a"] * 6, folds=7, seed=0)


def test_a_leaky_split_is_refused() -> None:
    patients = {"p1_ED": "p1", "p1_ES": "p1", "p2_ED": "p2", "p3_ED": "p3"}
    check_splits([{"train": ["p1_ED", "p1_ES"], "val": ["p2_ED"]}], patients)
    with pytest.raises(UserError, match=r"Fold 1: 1 patients \(p1\) are in training and validation"):
        check_splits(
            [{"train": ["p3_ED"], "val": ["p2_ED"]}, {"train": ["p1_ED", "p2_ED"], "val": ["p1_ES"]}], patients
        )
    with pytest.raises(UserError, match="unknown cases p9_ED"):
        check_splits([{"train": ["p9_ED"], "val": ["p2_ED"]}], patients)
    with pytest.raises(UserError, match="found 1 and 0 cases"):
        check_splits([{"train": ["p1_ED"], "val": []}], patients)
