"""How many folds there are, and what does not fit the data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import write_json
from nnunet_cardiac.patients.fold_file import (
    check_data,
    check_fold,
    count_folds,
    fold_warnings,
    raw_tables,
    read_cohort,
    read_folds,
    shared_patients,
)
from nnunet_cardiac.patients.splits import patient_splits

CASES = [f"patient{n:03d}_{phase}" for n in range(1, 7) for phase in ("ED", "ES")]


@pytest.fixture
def preprocessed(tmp_path: Path) -> Path:
    """A data set of six patients, preprocessed for `2d`, with three folds."""
    folder = tmp_path / "pre" / "Dataset027_ACDC"
    for part in ("gt_segmentations", "nnUNetPlans_2d"):
        (folder / part).mkdir(parents=True)
    write_json(folder / "dataset.json", {"file_ending": ".nii.gz"})
    write_json(folder / "splits_final.json", patient_splits(CASES, 3))
    for case in CASES:
        (folder / "gt_segmentations" / f"{case}.nii.gz").touch()
        for name in (f"{case}.b2nd", f"{case}_seg.b2nd", f"{case}.pkl"):
            (folder / "nnUNetPlans_2d" / name).touch()
    return folder


def test_the_file_says_how_many_folds_there_are(preprocessed: Path) -> None:
    assert count_folds(preprocessed) == 3
    for fold in (0, "2", "all"):
        check_fold(preprocessed, fold)
    with pytest.raises(UserError, match=r"Fold 3: .*splits_final.json has 3 folds, 0 to 2\. .* random part") as refused:
        check_fold(preprocessed, 3)
    assert "Choose one of these folds, or `all`." in str(refused.value)
    (preprocessed / "splits_final.json").unlink()
    assert (count_folds(preprocessed), read_folds(preprocessed)) == (5, None)
    check_fold(preprocessed, 4)
    with pytest.raises(UserError, match=r"Fold 5: 5 folds will be drawn for Dataset027_ACDC, 0 to 4"):
        check_fold(preprocessed, "5")


@pytest.mark.parametrize("text", ["[]", "{}", "[1]", '[{"train": []}]', "[", ""])
def test_a_file_of_another_form_is_refused(preprocessed: Path, text: str) -> None:
    (preprocessed / "splits_final.json").write_text(text)
    with pytest.raises(UserError, match=r"splits_final.json: (expected nnU-Net's form|cannot be read as JSON)"):
        count_folds(preprocessed)


def _remove_data(folder: Path) -> None:
    for file in (folder / "nnUNetPlans_2d").iterdir():
        file.unlink()
    (folder / "nnUNetPlans_2d").rmdir()


def _remove_case(folder: Path) -> None:
    (folder / "nnUNetPlans_2d" / f"{CASES[0]}.b2nd").unlink()


def _rename_in_fold(folder: Path) -> None:
    folds = patient_splits(CASES, 3)
    folds[1]["val"][0] = "patient009_ED"
    write_json(folder / "splits_final.json", folds)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove_data, r"nnUNetPlans_2d: 2d has no data yet\. Preprocess it before training: "),
        (_remove_case, r"nnUNetPlans_2d: 2d lacks 1 of 12 cases \(patient001_ED\)\. Preprocess it before training: "),
        (_rename_in_fold, r"fold 1 names 1 cases that the data set does not have \(patient009_ED\); its cases are cal"),
    ],
)
def test_data_that_do_not_fit_are_refused(preprocessed: Path, damage: Callable[[Path], None], message: str) -> None:
    check_data(preprocessed, "2d", "nnUNetPlans_2d", "nnUNetPlans")
    damage(preprocessed)
    with pytest.raises(UserError, match=message) as refused:
        check_data(preprocessed, "2d", "nnUNetPlans_2d", "nnUNetPlans")
    if damage is not _rename_in_fold:
        assert str(refused.value).endswith("nnUNetv2_preprocess -d 27 -c 2d -plans_name nnUNetPlans")


def test_a_case_that_no_fold_uses_need_not_be_preprocessed(preprocessed: Path) -> None:
    (preprocessed / "gt_segmentations" / "patient007_ED.nii.gz").touch()
    check_data(preprocessed, "2d", "nnUNetPlans_2d", "nnUNetPlans")
    warnings = list(fold_warnings(preprocessed, read_cohort(preprocessed, {})))
    assert len(warnings) == 1
    assert "1 cases of 1 patients (patient007) are in no fold" in warnings[0]


def test_patients_on_both_sides_or_in_no_validation_are_warned_of(preprocessed: Path) -> None:
    assert list(fold_warnings(preprocessed, read_cohort(preprocessed, {}))) == []
    train, val = [case for case in CASES if case != CASES[0]], [CASES[0]]
    write_json(preprocessed / "splits_final.json", [{"train": train, "val": val}])
    shared, never = fold_warnings(preprocessed, read_cohort(preprocessed, {}))
    assert "1 patients (patient001) are in training and validation of the same fold" in shared
    assert "11 cases of 6 patients (patient001, " in never
    assert "are validated in no fold, so no network predicts them out of fold" in never


def test_shared_patients_by_hand() -> None:
    folds = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["b"], "val": ["d", "unknown"]}]
    assert shared_patients(folds, {"a": "p", "b": "q", "c": "r", "d": "q"}) == ["q"]


def test_tables_of_the_raw_data_set_are_found(preprocessed: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw" / preprocessed.name
    raw.mkdir(parents=True)
    environ = {"nnUNet_raw": str(tmp_path / "raw")}
    assert raw_tables(preprocessed.name, environ) == []
    (raw / "cases.csv").write_text("case,patient\n" + "".join(f"{case},one\n" for case in CASES))
    assert list(read_cohort(preprocessed, environ).patients) == ["one"]
    # an evaluation writes a table of this name, too; its patients were read from names
    (raw / "cases.csv").write_text("method,run,case,patient,phase,group,structure\nm,0,patient001_ED,x,,,LV\n")
    assert raw_tables(preprocessed.name, environ) == []
