"""Which trainings are missing, and how they are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import write_json
from nnunet_cardiac.stages import TrainingSetup


@pytest.fixture
def setup(tmp_path: Path) -> TrainingSetup:
    preprocessed = tmp_path / "pre" / "Dataset027_ACDC"
    preprocessed.mkdir(parents=True)
    configurations = {"2d": {}, "2d_crop": {"previous_stage": "2d", "coarse_labels": "predicted"}}
    write_json(preprocessed / "nnUNetPlans.json", {"configurations": configurations})
    write_json(preprocessed / "splits_final.json", [{"train": [], "val": [f"p{fold}_ED"]} for fold in range(5)])
    return TrainingSetup(preprocessed, tmp_path / "res" / "Dataset027_ACDC", "CroCNetTrainer", "nnUNetPlans", "cpu")


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def finish(setup: TrainingSetup, configuration: str, fold: int) -> None:
    folder = setup.model_folder(configuration) / f"fold_{fold}"
    touch(folder / "checkpoint_final.pth")
    touch(folder / "validation" / "summary.json")


def test_a_second_stage_needs_all_folds_of_the_first(setup: TrainingSetup) -> None:
    commands = setup.all_stages("2d_crop", ["0"])
    assert [command[2:4] for command in commands] == [["2d", str(f)] for f in range(5)] + [["2d_crop", "0"]]
    words = "nnUNetv2_train Dataset027_ACDC 2d 0 -tr CroCNetTrainer -p nnUNetPlans -device cpu"
    assert " ".join(commands[0]) == words


def test_simulated_coarse_labels_need_one_fold(setup: TrainingSetup) -> None:
    configurations = dict(setup.configurations)
    configurations["2d_crop"]["coarse_labels"] = "simulated"
    write_json(setup.preprocessed / "nnUNetPlans.json", {"configurations": configurations})
    assert [c[2:4] for c in setup.all_stages("2d_crop", ["2"])] == [["2d", "2"], ["2d_crop", "2"]]


def test_what_is_done_is_left_out_and_the_rest_continued(setup: TrainingSetup) -> None:
    finish(setup, "2d", 0)
    touch(setup.model_folder("2d") / "predicted_next_stage" / "2d_crop" / "p0_ED.b2nd")
    finish(setup, "2d", 1)  # validated before the plans had a next stage: no predictions were handed on
    touch(setup.model_folder("2d") / "fold_2" / "checkpoint_latest.pth")
    commands = {tuple(c[2:4]): c[10:] for c in setup.all_stages("2d_crop", ["0"])}
    assert ("2d", "0") not in commands
    assert commands["2d", "1"] == ["--val"]
    assert commands["2d", "2"] == ["--c"]
    assert commands["2d", "3"] == []
    for fold in range(1, 5):
        finish(setup, "2d", fold)
        touch(setup.model_folder("2d") / "predicted_next_stage" / "2d_crop" / f"p{fold}_ED.b2nd")
    finish(setup, "2d_crop", 0)
    assert setup.all_stages("2d_crop", ["0"]) == []


def test_unknown_configuration_and_missing_plans(setup: TrainingSetup, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no configuration '3d_crop'; it has 2d, 2d_crop\. Add the cropping ones"):
        setup.chain("3d_crop")
    other = TrainingSetup(tmp_path, tmp_path, "CroCNetTrainer", "nnUNetPlans", "cpu")
    with pytest.raises(UserError, match="no such plans file"):
        other.chain("2d")
