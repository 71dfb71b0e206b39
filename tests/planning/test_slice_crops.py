"""Cropping configurations: sizes from the data, inheritance, idempotence."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.hearts import HeartGeometry, centred_box, measure_hearts
from nnunet_cardiac.planning.shared_plans import with_configurations
from nnunet_cardiac.planning.slice_crops import (
    CROP_NETWORK,
    crop_configuration,
    roi_configuration,
)
from nnunet_cardiac.systems.kinds import Network


@pytest.fixture
def plans() -> dict:
    coarse = {
        "data_identifier": "nnUNetPlans_2d",
        "batch_size": 12,
        "patch_size": [64, 64],
        "spacing": [1.5, 1.5],
        "batch_dice": True,
        "architecture": {"network_class_name": "x.Y", "arch_kwargs": {}, "_kw_requires_import": []},
    }
    return {"plans_name": "nnUNetPlans", "configurations": {"2d": coarse}}


def test_window_holds_95_percent_of_the_hearts() -> None:
    hearts = HeartGeometry([(90, 97)] * 95 + [(150, 190)] * 5, [(10, 200, 216)])
    assert hearts.window() == (112, 112)
    assert HeartGeometry([(128, 60)], [(1, 1, 1)]).window() == (128, 128)


def test_inference_patch_has_room() -> None:
    hearts = HeartGeometry([(1, 1)], [(10, 256, 200), (18, 216, 224)])
    depth, height, width = hearts.inference_patch()
    assert depth >= 18 * 1.25
    assert height == 320
    assert width == 288


@pytest.mark.parametrize("heart_only", [True, False])
def test_plans_say_what_the_network_is_shown(heart_only: bool) -> None:
    entry = crop_configuration("2d", RegionRule((96, 96), heart_only=heart_only), [24, 320, 320])
    assert RegionRule.from_plans(entry["architecture"]["arch_kwargs"]).heart_only is heart_only


def test_configuration_inherits_and_is_json(plans: dict) -> None:
    entry = crop_configuration("2d", RegionRule((96, 96)), [24, 320, 320])
    new = with_configurations(plans, {"2d_crop": entry})
    assert json.loads(json.dumps(new)) == new
    crop = PlansManager(new).get_configuration("2d_crop")
    assert crop.data_identifier == "nnUNetPlans_2d"  # no second preprocessing
    assert crop.spacing == [1.5, 1.5]
    assert crop.patch_size == [24, 320, 320]
    assert crop.batch_dice  # half of the slices lack a structure: alone, they have no Dice
    assert crop.previous_stage_name == "2d"
    assert crop.next_stage_names is None
    assert crop.network_arch_class_name == CROP_NETWORK
    assert PlansManager(new).get_configuration("2d").next_stage_names == ["2d_crop"]


def test_adding_again_changes_nothing_and_the_input_stays(plans: dict) -> None:
    before = copy.deepcopy(plans)
    entries = {
        name: crop_configuration("2d", RegionRule(), [24, 320, 320], network=Network("a.B", {"k": 1}))
        for name in ("2d_crop", "2d_crop_single")
    }
    once = with_configurations(plans, entries)
    assert plans == before
    assert with_configurations(once, entries) == once
    assert once["configurations"]["2d"]["next_stage"] == ["2d_crop", "2d_crop_single"]


def test_missing_first_stage_is_named(plans: dict) -> None:
    entry = crop_configuration("3d_locate", RegionRule(), [24, 320, 320])
    with pytest.raises(UserError, match="'3d_locate', the first stage of '3d_crop', is missing; it has 2d"):
        with_configurations(plans, {"3d_crop": entry})


def test_without_preprocessed_data_the_command_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "Dataset027_ACDC" / "Moved_2d"
    with pytest.raises(UserError, match="nnUNetv2_preprocess -d 27 -c 2d -plans_name Moved"):
        measure_hearts(folder, 15)


def test_the_box_around_the_centre_labels_holds_all_labels() -> None:
    labels = np.zeros((3, 60, 80), dtype=bool)
    labels[1, 20:30, 10:50] = True  # right ventricle from column 10 to 30, left from 30 to 50
    left = np.zeros_like(labels)
    left[1, 20:30, 30:50] = True
    # The left ventricle's centre is column 40; column 10 less a margin of 5 lies 35 away, to the left.
    assert centred_box(labels, left, 5) == (20, 70)
    assert centred_box(labels, labels, 5) == (20, 50)
    assert centred_box(left, left, 0) == (10, 20)


def test_a_regressing_configuration_sees_whole_slices_and_keeps_its_followers() -> None:
    plans = {"plans_name": "p", "configurations": {"2d": {"patch_size": [64, 64]}}}
    entries = {
        "2d_roi": roi_configuration("a.ROI", [24, 320, 288], per_slice=True),
        "2d_crop": crop_configuration("2d_roi", RegionRule(), [24, 320, 320], coarse_trainer="Other"),
    }
    new = with_configurations(plans, entries, "HALSRNetTrainer")["configurations"]
    assert new["2d_roi"]["training_patch_size"] == [320, 288]
    assert new["2d_roi"]["next_stage"] == "2d_crop"
    assert new["2d_roi"]["architecture"]["arch_kwargs"] == {"per_slice": True}
    assert new["2d_crop"]["inherits_from"] == "2d"
    assert new["2d_crop"]["coarse_trainer"] == "Other"
