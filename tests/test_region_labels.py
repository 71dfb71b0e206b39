"""Region labels are refused by every command, in the same words and before any long work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nnunet_cardiac.benchmark.accuracy.data import prepare_data
from nnunet_cardiac.checks.dataset import check_raw_dataset
from nnunet_cardiac.cli import main
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.labels import read_labels
from nnunet_cardiac.files import write_json
from nnunet_cardiac.inference.model_folder import find_stages
from nnunet_cardiac.planning.plan import plan_configurations
from nnunet_cardiac.trainers.crocnet import CroCNetTrainer

DATASET = {
    "channel_names": {"0": "cineMRI"},
    "labels": {"background": 0, "heart": [1, 2, 3], "LV": [2, 3], "MYO": 2},
    "regions_class_order": [1, 2, 3],
    "numTraining": 1,
    "file_ending": ".nii.gz",
}
CONFIGURATION = {"patch_size": [64, 64], "spacing": [1.5, 1.5], "data_identifier": "x", "architecture": {}}
PLANS = {"plans_name": "nnUNetPlans", "dataset_name": "Dataset001_Heart", "configurations": {"2d": CONFIGURATION}}
NAME = "CroCNetTrainer__nnUNetPlans__2d"


def train(folder: Path) -> None:
    CroCNetTrainer(PLANS, "2d", 0, DATASET, torch.device("cpu"))


WAYS: dict[str, Callable[[Path], object]] = {
    "plan": lambda folder: plan_configurations(folder, progress=False),
    "train": train,
    "predict": lambda folder: find_stages(folder / NAME),
    "evaluate": lambda folder: read_labels(folder / "dataset.json"),
    "doctor": lambda folder: check_raw_dataset(folder, progress=False),
    "benchmark": lambda folder: prepare_data(folder, folder / "runs"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Raw and preprocessed data set and result folder in one."""
    for place in (tmp_path, tmp_path / NAME):
        place.mkdir(exist_ok=True)
        write_json(place / "dataset.json", DATASET)
        write_json(place / ("plans.json" if place.name == NAME else "nnUNetPlans.json"), PLANS)
    return tmp_path


@pytest.mark.parametrize("way", WAYS)
def test_the_reason_is_the_same_everywhere(way: str, folder: Path) -> None:
    with pytest.raises(UserError) as refused:
        WAYS[way](folder)
    expected = (
        "dataset.json: label 'heart' is [1, 2, 3]; expected one whole number for each structure. Region labels (lists "
        "of values with regions_class_order) are not supported"
    )
    assert expected in str(refused.value)


def test_the_command_starts_no_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "Dataset001_Heart").mkdir()
    write_json(folder / "Dataset001_Heart" / "dataset.json", DATASET)
    for name in ("nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(folder))
    assert main(["train", "-d", "1", "--dry-run"]) == 2
    captured = capsys.readouterr()
    assert "Region labels" in captured.err
    assert "nnUNetv2_train" not in captured.out
