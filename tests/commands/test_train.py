"""`nnunet_cardiac train`: folds of the file, and what is said before anything is trained."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from nnunet_cardiac.cli import main
from nnunet_cardiac.files import write_json
from nnunet_cardiac.patients.splits import patient_splits

CASES = [f"patient{n:03d}_{phase}" for n in range(1, 8) for phase in ("ED", "ES")]


@pytest.fixture
def preprocessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seven patients in three folds, preprocessed."""
    for name in ("raw", "preprocessed", "results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    folder = tmp_path / "preprocessed" / "Dataset027_ACDC"
    for part in ("gt_segmentations", "nnUNetPlans_2d"):
        (folder / part).mkdir(parents=True)
    for case in CASES:
        (folder / "gt_segmentations" / f"{case}.nii.gz").touch()
        (folder / "nnUNetPlans_2d" / f"{case}.b2nd").touch()
    write_json(folder / "dataset.json", {"file_ending": ".nii.gz"})
    crop = {"inherits_from": "2d", "previous_stage": "2d", "coarse_labels": "predicted"}
    configurations = {"2d": {"data_identifier": "nnUNetPlans_2d"}, "2d_crop": crop}
    write_json(folder / "nnUNetPlans.json", {"configurations": configurations})
    write_json(folder / "splits_final.json", patient_splits(CASES, 3))
    return folder


def train(*words: str) -> int:
    return main(["train", "-d", "27", "-device", "cpu", *words])


def trainings(out: str) -> list[str]:
    return [" ".join(line.split()[3:5]) for line in out.splitlines() if line.startswith("[")]


@pytest.mark.parametrize("number", [3, 6])
def test_all_stages_of_other_than_five_folds(
    preprocessed: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    write_json(preprocessed / "splits_final.json", patient_splits(CASES, number))
    first = [f"2d {fold}" for fold in range(number)]
    assert train("-c", "2d_crop", "--all-stages", "--dry-run", "-f", str(number - 1)) == 0
    assert trainings(capsys.readouterr().out) == [*first, f"2d_crop {number - 1}"]
    assert train("-c", "2d_crop", "--all-stages", "--dry-run", "-f", "all") == 0
    assert trainings(capsys.readouterr().out) == [*first, "2d_crop all"]
    for words in (["--all-stages"], []):
        assert train("-c", "2d_crop", "--dry-run", "-f", str(number), *words) == 2
        assert f"Fold {number}: " in capsys.readouterr().err


@pytest.mark.parametrize("fold", ["-1", "first", "1.0"])
def test_what_is_no_fold(preprocessed: Path, capsys: pytest.CaptureFixture[str], fold: str) -> None:
    with pytest.raises(SystemExit):
        train("--dry-run", "-f", fold)
    assert "-f" in capsys.readouterr().err


def test_data_that_are_missing_are_said_before_training(
    preprocessed: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (preprocessed / "nnUNetPlans_2d" / f"{CASES[3]}.b2nd").unlink()
    assert train("-c", "2d_crop") == 2
    said = capsys.readouterr().err
    assert (
        "2d_crop lacks 1 of 14 cases (patient002_ES). Preprocess it before training: nnUNetv2_preprocess -d 27" in said
    )
    with caplog.at_level(logging.WARNING):
        assert train("-c", "2d_crop", "--dry-run") == 0  # nothing is trained, so nothing is refused
    assert "lacks 1 of 14 cases" in caplog.text + capsys.readouterr().err


def test_unknown_cases_and_patients_without_a_fold(
    preprocessed: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folds = patient_splits(CASES[2:], 3)
    write_json(preprocessed / "splits_final.json", folds)
    with caplog.at_level(logging.WARNING):
        assert train("--dry-run") == 0
    text = caplog.text + capsys.readouterr().err
    assert "2 cases of 1 patients (patient001) are in no fold" in text
    folds[2]["train"].append("patient077_ED")
    write_json(preprocessed / "splits_final.json", folds)
    assert train("-f", "0") == 2
    assert "fold 2 names 1 cases that the data set does not have (patient077_ED)" in capsys.readouterr().err
