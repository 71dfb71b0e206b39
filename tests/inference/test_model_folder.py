"""Finding stages, folds and checkpoints, and what is said when one is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.inference.model_folder import find_stages


def configurations(folder: Path, **options: object) -> list[str]:
    return [stage.configuration for stage in find_stages(folder, **options)]


def test_stages_come_first_to_last(write_system: Callable[..., Path]) -> None:
    model = write_system("CroCNet", ("0", "3"))
    stages = find_stages(model)
    assert [stage.configuration for stage in stages] == ["2d", "2d_crop"]
    assert [list(stage.checkpoints) for stage in stages] == [["0", "3"], ["0", "3"]]
    assert configurations(model.parent) == ["2d", "2d_crop"]  # the one last stage of the folder
    assert configurations(stages[0].folder) == ["2d"]


def test_previous_stage_is_inherited_and_its_trainer_may_be_another(write_system: Callable[..., Path]) -> None:
    model = write_system("CroCNet")
    plans = read_json(model / "plans.json")
    plans["configurations"]["2d_crop"]["coarse_trainer"] = "OtherTrainer"
    plans["configurations"]["child"] = {"inherits_from": "2d_crop"}
    write_json(model / "plans.json", plans)
    child = model.with_name(model.name.replace("2d_crop", "child"))
    model.rename(child)
    coarse = child.with_name("CroCNetTrainer_2epochs__nnUNetPlans__2d")
    coarse.rename(child.with_name("OtherTrainer__nnUNetPlans__2d"))
    assert [stage.trainer for stage in find_stages(child)] == ["OtherTrainer", "CroCNetTrainer_2epochs"]


def test_fold_all_only_where_there_is_no_other(write_system: Callable[..., Path]) -> None:
    model = write_system("nnUNet", ("1", "all"))
    assert list(find_stages(model)[0].checkpoints) == ["1"]
    assert list(find_stages(model, ["all"])[0].checkpoints) == ["all"]
    shutil.rmtree(model / "fold_1")
    assert list(find_stages(model)[0].checkpoints) == ["all"]


def test_what_is_missing_is_named(write_system: Callable[..., Path], tmp_path: Path) -> None:
    model = write_system("CroCNet", ("0", "1"))
    with pytest.raises(UserError, match=r"missing in fold 4; trained are 0, 1"):
        find_stages(model, ["0", "4"])
    with pytest.raises(UserError, match=r"no fold with checkpoint_best\.pth; there are checkpoint_final\.pth"):
        find_stages(model, checkpoint="checkpoint_best.pth")
    with pytest.raises(UserError, match="no such folder"):
        find_stages(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"no plans\.json and no result folder"):
        find_stages(tmp_path)
    shutil.copytree(model, model.with_name(model.name.replace("2epochs", "9epochs")))
    with pytest.raises(UserError, match=r"(?s)several trained systems.*9epochs__nnUNetPlans__2d_crop") as several:
        find_stages(model.parent)
    assert str(model) in str(several.value)
    (model / "dataset.json").unlink()
    with pytest.raises(UserError, match=r"dataset\.json is missing"):
        find_stages(model)


def test_a_missing_stage_is_named(write_system: Callable[..., Path]) -> None:
    model = write_system("CroCNet")
    coarse = model.with_name(model.name.replace("2d_crop", "2d"))
    shutil.rmtree(coarse)
    with pytest.raises(UserError, match=r"__2d: 2d_crop crops from the prediction of this stage"):
        find_stages(model)


def test_a_renamed_folder_is_refused(write_system: Callable[..., Path]) -> None:
    model = write_system("nnUNet")
    with pytest.raises(UserError, match=r"expected TRAINER__PLANS__CONFIGURATION"):
        find_stages(model.rename(model.with_name("mine")))
