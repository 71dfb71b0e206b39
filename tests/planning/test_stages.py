"""Which trainings are missing, and how they are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import write_json
from nnunet_cardiac.planning.stages import TrainingSetup


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


def finish(setup: TrainingSetup, configuration: str, fold: object) -> None:
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
    finish(setup, "2d", 1)  # validated before the plans had a next stage: no predictions were passed on
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


def folds_of(setup: TrainingSetup, number: int) -> None:
    folds = [{"train": [f"p{k}_ED" for k in range(number) if k != f], "val": [f"p{f}_ED"]} for f in range(number)]
    write_json(setup.preprocessed / "splits_final.json", folds)


@pytest.mark.parametrize("number", [2, 3, 6])
def test_all_folds_are_those_of_the_file(setup: TrainingSetup, number: int) -> None:
    folds_of(setup, number)
    first = [["2d", str(fold)] for fold in range(number)]
    last = str(number - 1)
    assert [c[2:4] for c in setup.all_stages("2d_crop", ["0", last])] == [*first, ["2d_crop", "0"], ["2d_crop", last]]
    with pytest.raises(UserError, match=rf"Fold {number}: .*splits_final.json has {number} folds"):
        setup.all_stages("2d_crop", [str(number)])


def test_five_folds_where_the_trainer_will_write_them(setup: TrainingSetup) -> None:
    (setup.preprocessed / "splits_final.json").unlink()
    assert [c[3] for c in setup.all_stages("2d_crop", ["4"])] == [*"01234", "4"]


def test_fold_all_crops_from_predictions_out_of_fold(setup: TrainingSetup) -> None:
    folds_of(setup, 3)
    assert [c[2:4] for c in setup.all_stages("2d_crop", ["all"])] == [
        *(["2d", str(fold)] for fold in range(3)),
        ["2d_crop", "all"],
    ]
    for fold in range(3):
        finish(setup, "2d", fold)
        touch(setup.model_folder("2d") / "predicted_next_stage" / "2d_crop" / f"p{fold}_ED.b2nd")
    assert [c[2:4] for c in setup.all_stages("2d_crop", ["all"])] == [["2d_crop", "all"]]


def test_what_fold_all_predicted_is_not_done_for_a_numbered_fold(setup: TrainingSetup) -> None:
    folds_of(setup, 3)
    for fold in range(3):
        finish(setup, "2d", fold)
        touch(setup.model_folder("2d") / "predicted_next_stage" / "2d_crop" / f"p{fold}_ED.b2nd")
        touch(setup.model_folder("2d") / "fold_all" / "validation" / f"p{fold}_ED.nii.gz")
    assert [c[2:4] + c[10:] for c in setup.all_stages("2d_crop", ["0"])] == [
        *(["2d", str(fold), "--val"] for fold in range(3)),
        ["2d_crop", "0"],
    ]


def test_simulated_coarse_labels_of_fold_all_need_fold_all_alone(setup: TrainingSetup) -> None:
    folds_of(setup, 3)
    configurations = dict(setup.configurations)
    configurations["2d_crop"]["coarse_labels"] = "simulated"
    write_json(setup.preprocessed / "nnUNetPlans.json", {"configurations": configurations})
    assert [c[2:4] for c in setup.all_stages("2d_crop", ["all"])] == [["2d", "all"], ["2d_crop", "all"]]
    finish(setup, "2d", "all")
    own = setup.model_folder("2d") / "fold_all" / "predicted_next_stage" / "2d_crop"
    for case in range(2):
        touch(own / f"p{case}_ED.b2nd")
    first, _ = setup.all_stages("2d_crop", ["all"])
    assert first[2:4] + first[10:] == ["2d", "all", "--val"]
    touch(own / "p2_ED.b2nd")
    assert [c[2:4] for c in setup.all_stages("2d_crop", ["all"])] == [["2d_crop", "all"]]


def test_the_first_stage_has_the_trainer_that_the_plans_name(setup: TrainingSetup) -> None:
    folds_of(setup, 2)
    configurations = dict(setup.configurations)
    configurations["2d_crop"]["coarse_trainer"] = "nnUNetTrainer"
    write_json(setup.preprocessed / "nnUNetPlans.json", {"configurations": configurations})
    trainers = [c[c.index("-tr") + 1] for c in setup.all_stages("2d_crop", ["0"])]
    assert trainers == ["nnUNetTrainer", "nnUNetTrainer", "CroCNetTrainer"]
