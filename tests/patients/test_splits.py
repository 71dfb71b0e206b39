"""Folds by patient."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sklearn.model_selection import StratifiedKFold

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.patients.cohort import patient_of
from nnunet_cardiac.patients.splits import check_splits, patient_splits, stratified_folds, stratified_splits
from nnunet_cardiac.planning.plan import ensure_patient_splits


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


def spread(groups: list[str], folds: list[list[int]]) -> list[int]:
    """Largest minus smallest number of patients in a fold: of all groups together, then of each."""
    counts = [[len(fold) for fold in folds]]
    counts += [[sum(groups[i] == name for i in fold) for fold in folds] for name in sorted(set(groups))]
    return [max(numbers) - min(numbers) for numbers in counts]


ACDC_GROUPS = [name for name in ("NOR", "DCM", "HCM", "MINF", "RV") for _ in range(20)]
UNEVEN_GROUPS = ["HCM"] * 47 + ["DCM"] * 38 + ["NOR"] * 33 + ["HHD"] * 12 + ["ARV"] * 6
PHANTOM_GROUPS = [("NOR", "DCM", "HCM", "MINF", "RV")[i % 5] for i in range(20)]


@pytest.mark.parametrize("groups", [ACDC_GROUPS, UNEVEN_GROUPS])
def test_groups_are_as_balanced_as_those_of_scikit_learn(groups: list[str]) -> None:
    for seed in range(10):
        theirs = StratifiedKFold(5, shuffle=True, random_state=seed).split(groups, groups)
        expected = spread(groups, [list(val) for _, val in theirs])
        assert spread(groups, stratified_folds(groups, 5, seed)) == expected


def test_folds_of_groups_with_few_patients_are_even() -> None:
    """Why scikit-learn does not draw the folds: see the comment at `stratified_folds`."""
    with pytest.raises(ValueError, match="greater than the number of members in each class"):
        list(StratifiedKFold(5, shuffle=True, random_state=0).split(PHANTOM_GROUPS, PHANTOM_GROUPS))
    for seed in range(10):
        everyone, *by_group = spread(PHANTOM_GROUPS, stratified_folds(PHANTOM_GROUPS, 5, seed))
        assert everyone == 0
        assert max(by_group) == 1


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


def preprocessed_of(tmp_path: Path, cases: list[str]) -> Path:
    folder = tmp_path / "pre" / "Dataset027_ACDC"
    (folder / "gt_segmentations").mkdir(parents=True)
    write_json(folder / "dataset.json", {"file_ending": ".nii.gz"})
    for case in cases:
        (folder / "gt_segmentations" / f"{case}.nii.gz").touch()
    return folder


@pytest.mark.parametrize("name", ["patient{:03d}-{}", "{1}_patient{0:03d}", "sub-{:02d}_phase-{}_bold", "pat_{}_{}"])
def test_plan_keeps_the_phases_of_a_patient_together(tmp_path: Path, name: str) -> None:
    cases = [name.format(n, phase) for n in range(1, 11) for phase in ("ed", "es")]
    path = ensure_patient_splits(preprocessed_of(tmp_path, cases), None)
    for fold in read_json(path):
        assert len(fold["val"]) == 4
        for case in fold["val"]:
            assert case.replace("ed", "es") in fold["val"] or case.replace("es", "ed") in fold["val"]


def test_plan_says_what_it_guessed_and_what_leaks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cases = [f"{site}_{n:02d}" for site in range(1, 6) for n in range(3)]
    folder = preprocessed_of(tmp_path, cases)
    ensure_patient_splits(folder, None)
    assert "the patients are a guess. 1_00, 1_01, 1_02 are taken for one patient" in caplog.text
    write_json(folder / "splits_final.json", [{"train": cases[1:-1], "val": cases[:1]}])
    caplog.clear()
    ensure_patient_splits(folder, None)
    assert "1 patients (1) are in training and validation of the same fold" in caplog.text
    assert "1 cases of 1 patients (5) are in no fold" in caplog.text
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "cases.csv").write_text("case,patient\n" + "".join(f"{case},{case}\n" for case in cases))
    caplog.clear()
    ensure_patient_splits(folder, raw)
    assert "the patients are a guess" not in caplog.text
    assert "in training and validation" not in caplog.text


def test_too_few_patients_name_the_table_that_helps() -> None:
    cases = [f"{site}_{n:02d}" for site in (1, 2) for n in range(20)]
    with pytest.raises(UserError, match=r"2 patients cannot be split into 5 folds \(1: 1_00, 1_01; .*cases\.csv"):
        patient_splits(cases)


def validated(splits: list[dict[str, list[str]]]) -> list[set[str]]:
    return [{patient_of(case) for case in split["val"]} for split in splits]


@pytest.mark.parametrize(
    ("groups", "sizes"),
    [
        ({"p01": "p01", "p13": "p01"}, [4, 4, 4, 4, 4]),
        ({"p01": "p01", "p13": "p01", "p02": "p02", "p07": "p02", "p19": "p02"}, [4, 4, 4, 4, 4]),
        ({f"p{n:02d}": "p00" for n in range(8)}, [3, 3, 3, 3, 8]),
    ],
)
def test_those_who_share_an_image_are_together_and_folds_stay_even(groups: dict[str, str], sizes: list[int]) -> None:
    names = [f"p{n:02d}" for n in range(20)]
    cases = [[f"{name}_ED", f"{name}_ES"] for name in names]
    diseases = ["DCM", "HCM"] * 10
    for seed in range(5):
        drawn = patient_splits([case for own in cases for case in own], seed=seed, groups=groups)
        by_disease = stratified_splits(cases, diseases, 5, seed, names, groups)
        for splits in (drawn, by_disease):
            assert sorted(map(len, validated(splits))) == sizes
            assert sorted(case for split in splits for case in split["val"]) == sorted(c for own in cases for c in own)
            for group in set(groups.values()):
                own = {name for name in groups if groups[name] == group}
                assert sum(own <= fold for fold in validated(splits)) == 1
            check_splits(splits, {case: patient_of(case) for own in cases for case in own}, groups)


def test_without_groups_the_folds_are_those_of_dealing_in_turn() -> None:
    names = [f"p{n:02d}" for n in range(23)]
    cases = [[f"{name}_ED"] for name in names]
    flat = [own[0] for own in cases]
    for seed in range(10):
        order = sorted(names)
        random.Random(seed).shuffle(order)
        assert validated(patient_splits(flat, 5, seed)) == [set(order[fold::5]) for fold in range(5)]
        assert patient_splits(flat, 5, seed, groups={}) == patient_splits(flat, 5, seed)
        for diseases in (UNEVEN_GROUPS[::6][:23], ["a", "b", "c"] * 7 + ["d", "d"]):
            in_turn = stratified_folds(diseases, 5, seed)
            assert stratified_folds(diseases, 5, seed, together=names) == in_turn
            assert stratified_splits(cases, diseases, 5, seed, names, {}) == stratified_splits(cases, diseases, 5, seed)


def test_a_disease_is_spread_evenly_beside_a_pair() -> None:
    names = [f"p{n:02d}" for n in range(20)]
    diseases = ["NOR"] * 10 + ["HCM"] * 10
    for seed in range(10):
        splits = stratified_splits([[n] for n in names], diseases, 5, seed, names, {"p03": "p03", "p08": "p03"})
        healthy = [sum(case < "p10" for case in split["val"]) for split in splits]
        assert max(healthy) - min(healthy) <= 2
        assert {len(split["val"]) for split in splits} == {4}


def test_too_few_are_left_where_many_share_an_image() -> None:
    groups = {"p1": "p1", "p2": "p1", "p3": "p1"}
    message = r"6 patients cannot be split into 5 folds: some share images \(p1, p2 and p3\).* so that 4 are left"
    with pytest.raises(UserError, match=message):
        patient_splits([f"p{n}" for n in range(6)], groups=groups)
    with pytest.raises(UserError, match=message):
        stratified_splits([[f"p{n}"] for n in range(6)], [""] * 6, 5, 0, [f"p{n}" for n in range(6)], groups)


def test_given_folds_with_one_image_on_both_sides_are_refused() -> None:
    patients = {"p1_ED": "p1", "p2_ED": "p2", "p3_ED": "p3"}
    groups = {"p1": "p1", "p3": "p1"}
    check_splits([{"train": ["p1_ED", "p3_ED"], "val": ["p2_ED"]}], patients, groups)
    with pytest.raises(UserError, match=r"Fold 0: p1 and p3 show the same images, but some of them are in training"):
        check_splits([{"train": ["p1_ED", "p2_ED"], "val": ["p3_ED"]}], patients, groups)
