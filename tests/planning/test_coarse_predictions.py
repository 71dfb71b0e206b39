"""Predictions of fold `all` do not pass for those out of fold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nnunet_cardiac.planning.coarse_predictions import folder_of_all, predicted, predicted_out_of_fold, shared_folder


def write(path: Path, seconds: float) -> None:
    """An empty file of a certain time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (1e9 + seconds, 1e9 + seconds))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Fold 0 has predicted case a at 100 s, fold 1 case b at 200 s."""
    model = tmp_path / "nnUNetTrainer__nnUNetPlans__2d"
    for fold, case, seconds in ((0, "a", 100), (1, "b", 200)):
        write(model / f"fold_{fold}" / "validation" / f"{case}.nii.gz", seconds)
        write(shared_folder(model, "2d_crop") / f"{case}.b2nd", seconds + 1)
    return model


def test_what_numbered_folds_wrote_counts(model: Path) -> None:
    assert predicted_out_of_fold(model, "2d_crop", ["a", "b", "c"]) == {"a", "b"}
    assert predicted_out_of_fold(model, "2d_crop_single", ["a"]) == set()
    write(shared_folder(model, "2d_crop") / "c.npz", 0)
    assert predicted_out_of_fold(model, "2d_crop", ["c"]) == {"c"}


def test_what_fold_all_wrote_over_it_does_not(model: Path) -> None:
    for case in "abc":  # as nnU-Net's own trainer does: all cases, into the folder of the numbered folds
        write(model / "fold_all" / "validation" / f"{case}.nii.gz", 300)
        write(shared_folder(model, "2d_crop") / f"{case}.b2nd", 301)
    assert predicted_out_of_fold(model, "2d_crop", "abc") == set()
    write(model / "fold_1" / "validation" / "b.nii.gz", 400)  # validated again
    write(shared_folder(model, "2d_crop") / "b.b2nd", 401)
    assert predicted_out_of_fold(model, "2d_crop", "abc") == {"b"}


def test_fold_all_in_a_folder_of_its_own_changes_nothing(model: Path) -> None:
    for case in "abc":
        write(model / "fold_all" / "validation" / f"{case}.nii.gz", 300)
        write(folder_of_all(model, "2d_crop") / f"{case}.b2nd", 301)
    assert predicted_out_of_fold(model, "2d_crop", "abc") == {"a", "b"}
    assert predicted(folder_of_all(model, "2d_crop"), "abcd") == {"a", "b", "c"}
    assert folder_of_all(model, "2d_crop").is_relative_to(model / "fold_all")
