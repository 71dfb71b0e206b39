"""Configurations that a user adds get their coarse predictions; moved plans find their data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.experiment_planning.plans_for_pretraining import move_plans_between_datasets as stock
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.planning.options import CropOptions
from nnunet_cardiac.planning.plan import plan_configurations
from nnunet_cardiac.planning.shared_plans import plans_for

CROC, HALSR = "CroCNetTrainer", "HALSRNetTrainer"


def plan(folder, trainer=CROC, name="nnUNetPlans", **options):
    return plan_configurations(folder, name, trainer, CropOptions(**options), progress=False)


def add_wide(found) -> None:
    found["2d_crop_wide"] = {"inherits_from": "2d_crop", "recipe": {"initial_lr": 1e-3}}


def next_stages(plans, configuration) -> list[str]:
    return PlansManager(plans).get_configuration(configuration).next_stage_names


def test_planning_links_what_a_user_added(preprocessed, edit) -> None:
    plan(preprocessed)
    plan(preprocessed, HALSR)
    edit(add_wide)
    planned = plan(preprocessed)
    assert list(planned.linked) == [("2d", "2d_crop_wide"), ("2d_roi", "2d_crop_wide")]
    plans = read_json(planned.path)
    assert "2d_crop_wide" in next_stages(plans, "2d")
    assert next_stages(plans, "2d_roi") == ["2d_crop", "2d_crop_wide"]
    assert plan(preprocessed).linked == []


def test_trainers_link_it_without_planning(preprocessed, edit) -> None:
    path = plan(preprocessed).path
    plan(preprocessed, HALSR)
    edit(add_wide)
    plans = read_json(path)
    assert "2d_crop_wide" in next_stages(plans_for([CROC], plans), "2d")
    assert "2d_crop_wide" in next_stages(plans_for([HALSR], plans), "2d_roi")
    assert "2d_crop_wide" not in next_stages(plans_for([HALSR], plans), "2d")
    assert plans == read_json(path)


def test_a_chain_of_inheritance_is_followed(preprocessed, edit) -> None:
    plan(preprocessed)

    def add(found):
        add_wide(found)
        found["2d_crop_wider"] = {"inherits_from": "2d_crop_wide"}

    edit(add)
    assert ("2d", "2d_crop_wider") in plan(preprocessed).linked


def test_a_configuration_that_was_taken_out_is_not_predicted_for(preprocessed, edit) -> None:
    """nnU-Net would stop after the training of the first stage: it looks up what `next_stage` names."""
    plan(preprocessed)
    edit(add_wide)
    path = plan(preprocessed).path
    edit(lambda found: [found.pop(name) for name in ("2d_crop_wide", "2d_crop_uncoupled")])
    assert next_stages(plans_for([CROC], read_json(path)), "2d") == ["2d_crop", "2d_crop_single"]
    assert plan(preprocessed).unlinked == [("2d", "2d_crop_wide")]
    assert "2d_crop_wide" not in next_stages(read_json(path), "2d")


def test_a_first_stage_that_is_not_there_is_named(preprocessed, edit) -> None:
    plan(preprocessed)
    edit(lambda found: found.update({"2d_mine": {"inherits_from": "2d_crop", "previous_stage": "2d_rio"}}))
    with pytest.raises(UserError, match="'2d_mine' crops from '2d_rio', which is not there; expected one of 2d,"):
        plan(preprocessed)


@pytest.fixture
def moved(preprocessed, tmp_path, monkeypatch):
    """Function that lets nnU-Net move plans to another data set and returns its folder."""
    raw, target = tmp_path / "raw" / "Dataset902_Other", tmp_path / "Dataset902_Other"
    for part in ("imagesTr", "labelsTr"):
        (raw / part).mkdir(parents=True)
    image = sitk.GetImageFromArray(np.zeros((2, 4, 4), np.float32))
    sitk.WriteImage(image, raw / "imagesTr" / "case_0000.nii.gz")
    sitk.WriteImage(sitk.Cast(image, sitk.sitkUInt8), raw / "labelsTr" / "case.nii.gz")
    labels = read_json(preprocessed / "dataset.json")["labels"]
    described = {"labels": labels, "channel_names": {"0": "MRI"}, "file_ending": ".nii.gz", "numTraining": 1}
    (raw / "dataset.json").write_text(json.dumps(described))
    target.mkdir()
    write_json(target / "dataset.json", described)
    monkeypatch.setattr(stock, "nnUNet_preprocessed", str(tmp_path))
    monkeypatch.setattr(stock, "nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.setattr(stock, "maybe_convert_to_dataset_name", lambda name: name)

    def move(source: str, name: str) -> Path:
        stock.move_plans_between_datasets(preprocessed.name, target.name, source, name)
        return target

    return move


@pytest.mark.parametrize("kind", ["", "small"])
def test_moved_plans_find_their_data(preprocessed, moved, edit, kind) -> None:
    options = {kind: True} if kind else {}
    source = plan(preprocessed, **options).path.stem
    plan(preprocessed, HALSR, **options)
    # What earlier versions wrote: the whole entry, data folder and all, within `trainers`.
    edit(lambda found: found["2d"].setdefault("trainers", {}).setdefault(HALSR, dict(found["2d"], trainers={})), source)
    folder = moved(source, "Moved")
    plans = read_json(folder / "Moved.json")
    outer = plans["configurations"]["2d"]["data_identifier"]
    assert outer.startswith("Moved")
    assert plans["configurations"]["2d"]["trainers"][HALSR]["data_identifier"] == "nnUNetPlans_2d"  # nnU-Net leaves it
    for configuration in ("2d", "2d_crop", "2d_roi"):
        own = PlansManager(plans_for([HALSR], plans)).get_configuration(configuration)
        assert own.data_identifier == outer

    planned = plan(folder, HALSR, "Moved")
    assert planned.kind == kind.capitalize()
    shown = {change.place: (change.old, change.new) for change in planned.changed}
    assert ("nnUNetPlans_2d", outer) in shown.values()
    assert read_json(planned.path)["configurations"]["2d"]["trainers"][HALSR]["data_identifier"] == outer


def test_moved_stacks_are_preprocessed_under_their_new_name(preprocessed, moved) -> None:
    trainer = "ClassifierGuidedTrainer"
    source = plan(preprocessed, trainer, small=True).path.stem
    folder = moved(source, "Moved")
    planned = plan(folder, trainer, "Moved")
    assert planned.kind == "Small"
    assert planned.entries["2d_stack"]["data_identifier"] == "Moved_2d_stack"
    assert list(planned.kept) == []
