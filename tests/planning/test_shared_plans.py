"""Several trainers in one plans file."""

import copy

import pytest

from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.planning.shared_plans import plans_for, with_configurations
from nnunet_cardiac.planning.slice_crops import crop_configuration, roi_configuration

PLANS = {"plans_name": "nnUNetPlans", "configurations": {"2d": {"patch_size": [96, 96], "spacing": [1.5, 1.5]}}}


def crop(previous, window):
    return {"2d_crop": crop_configuration(previous, RegionRule((window, window)), [24, 128, 128])}


def croc(plans):
    return with_configurations(plans, crop("2d", 96), "CroCNetTrainer")


def halsr(plans):
    entries = {"2d_roi": roi_configuration("a.ROI", [24, 128, 128]), **crop("2d_roi", 64)}
    return with_configurations(plans, entries, "HALSRNetTrainer")


def window(plans, *trainers):
    return plans_for(trainers, plans)["configurations"]["2d_crop"]["architecture"]["arch_kwargs"]["window"]


@pytest.mark.parametrize("order", [(croc, halsr), (halsr, croc)])
def test_both_systems_keep_their_own_entry_whoever_comes_first(order):
    plans = order[1](order[0](PLANS))
    assert window(plans, "CroCNetTrainer_20epochs", "CroCNetTrainer") == [96, 96]
    assert window(plans, "HALSRNetTrainer") == [64, 64]
    own = plans_for(["HALSRNetTrainer"], plans)["configurations"]
    assert own["2d_crop"]["previous_stage"] == "2d_roi"
    assert own["2d_roi"]["next_stage"] == "2d_crop"
    assert own["2d"]["next_stage"] == "2d_crop"
    assert "trainers" not in own["2d_crop"]


@pytest.mark.parametrize("order", [(croc, halsr), (halsr, croc)])
def test_planning_again_changes_nothing_and_leaves_the_input_alone(order):
    before = copy.deepcopy(PLANS)
    once = order[1](order[0](PLANS))
    assert before == PLANS
    assert order[0](once) == once
    assert order[1](once) == once


def test_a_trainer_of_its_own_file_needs_no_entry():
    assert plans_for(["nnUNetTrainer"], PLANS) == PLANS
