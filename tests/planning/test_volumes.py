"""Sizes of windows and grids, worked out by hand, and the entries made of them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning import hearts, volume_sizes
from nnunet_cardiac.planning.volume_sizes import (
    VolumeGeometry,
    divisor_for,
    keeps_z,
    measure_volumes,
    rounded_up,
)
from nnunet_cardiac.planning.volumes import (
    joint_configuration,
    locate_configuration,
    volume_crop_configuration,
    with_fewer_slices,
)
from nnunet_cardiac.systems.dr_unet import DR_UNET, GCAM_LOCALISER, JOINT_DR_UNET

CINE = VolumeGeometry((10.0, 1.5, 1.5), [(9, 70, 80)] * 99 + [(11, 90, 60)], [(10, 256, 216)] * 3 + [(14, 300, 280)])
ATRIUM = VolumeGeometry((1.25, 1.25, 1.25), [(40, 60, 70)], [(88, 320, 300)])


@pytest.mark.parametrize(
    ("spacing", "wanted"),
    [((10, 1.5, 1.5), True), ((2.27, 1.04, 1.04), False), ((1, 1, 1), False), ((4, 1, 2), False)],
)
def test_slices_far_apart_are_kept(spacing, wanted) -> None:
    assert keeps_z(spacing) is wanted
    assert divisor_for(wanted) == ((1, 8, 8) if wanted else (8, 8, 8))


def test_window_by_hand() -> None:
    # 99th percentile of (9, 70, 80) 99 times and (11, 90, 60) once, plus 30 mm: 3 slices and 20 pixels.
    deep, rows = np.percentile([9] * 99 + [11], 99), np.percentile([70] * 99 + [90], 99)
    assert CINE.window((1, 8, 8)) == (int(np.ceil(deep + 3)), 104, 104)  # 80 + 20 = 100
    assert rows < 80
    assert CINE.window((1, 8, 8), margin_mm=0) == (int(np.ceil(deep)), 80, 80)
    # 40 + 24 and 70 + 24 voxels, multiples of 8.
    assert ATRIUM.window((8, 8, 8)) == (64, 96, 96)


def test_a_window_is_no_larger_than_the_volumes() -> None:
    small = VolumeGeometry((10.0, 1.5, 1.5), [(9, 60, 60)], [(8, 60, 50), (6, 50, 61)])
    assert small.window((1, 8, 8)) == (8, 64, 64)


def test_low_resolution_by_hand() -> None:
    assert CINE.low_resolution() == (10.0, 3.0, 3.0)  # the median volume has 256 pixels
    assert ATRIUM.low_resolution() == (3.125, 3.125, 3.125)  # 320 pixels; no finer along z than in-plane
    assert CINE.resampled((10.0, 3.0, 3.0)).shapes == [(10, 128, 108)] * 3 + [(14, 150, 140)]
    fine = VolumeGeometry((8.0, 1.8, 1.8), [], [(12, 96, 96)])
    assert fine.low_resolution() == (8.0, 1.8, 1.8)  # never finer than the data


def test_localiser_entry() -> None:
    entry = locate_configuration(GCAM_LOCALISER, CINE, "nnUNetPlans_3d_locate")
    assert json.loads(json.dumps(entry)) == entry
    assert entry["data_identifier"] == "nnUNetPlans_3d_locate"
    assert entry["training_patch_size"] == [14, 152, 144]
    assert entry["patch_size"] == [18, 192, 176]  # a quarter of room: 17.5, 187.5, 175
    assert entry["architecture"]["arch_kwargs"] == {"keep_z": True}
    atrium = locate_configuration(GCAM_LOCALISER, ATRIUM, "x")
    assert atrium["architecture"]["arch_kwargs"] == {"keep_z": False}
    stack = VolumeGeometry((8.0, 1.5, 1.5), [], [(12, 256, 256)])  # 8 x 3 x 3 mm
    assert locate_configuration(GCAM_LOCALISER, stack, "x")["architecture"]["arch_kwargs"] == {"keep_z": True}
    assert atrium["training_patch_size"] == [40, 128, 120]


def test_crop_entry() -> None:
    entry = volume_crop_configuration("3d_locate", DR_UNET, CINE, coarse_labels="simulated")
    assert json.loads(json.dumps(entry)) == entry
    assert (entry["inherits_from"], entry["previous_stage"]) == ("3d_fullres", "3d_locate")
    assert entry["jitter"] == [1, 7, 7]  # 10 mm
    assert entry["patch_size"] == [18, 375, 350]
    kwargs = entry["architecture"]["arch_kwargs"]
    assert (kwargs["centre"], kwargs["clamp"], kwargs["multiple"]) == ("centroid", True, [1, 8, 8])
    assert kwargs["network_kwargs"] == {"keep_z": True}
    assert "all_slices" not in kwargs  # 13 of 14 slices: what the window leaves out is meant
    with pytest.raises(ValueError, match="must consist of positive multiples"):
        volume_crop_configuration("3d_locate", DR_UNET, CINE, window=(12, 100, 100))


def test_a_window_of_all_slices_cuts_no_deeper_stack() -> None:
    small = VolumeGeometry((10.0, 1.5, 1.5), [(9, 60, 60)], [(8, 60, 50), (6, 50, 61)])
    kwargs = volume_crop_configuration("3d_locate", DR_UNET, small)["architecture"]["arch_kwargs"]
    assert kwargs["window"] == [8, 64, 64]
    assert kwargs["all_slices"] is True
    assert RegionRule.from_plans(kwargs).all_slices


def test_stacks_are_trained_with_fewer_slices_than_they_are_predicted_with() -> None:
    small = VolumeGeometry((10.0, 1.5, 1.5), [(9, 60, 60)], [(8, 60, 50), (6, 50, 61)])
    entry = volume_crop_configuration("3d_locate", DR_UNET, small, training_slices=5)
    kwargs = entry["architecture"]["arch_kwargs"]
    assert (kwargs["window"], kwargs["all_slices"], kwargs["slide"]) == ([5, 64, 64], True, True)
    assert entry["batch_dice"] is True
    assert entry["patch_size"] == [10, 75, 77]  # as without
    for volumes in (CINE, ATRIUM):  # some slices are left out on purpose; pooled slices
        whole, cut = (
            volume_crop_configuration("3d_locate", DR_UNET, volumes, training_slices=n)["architecture"]["arch_kwargs"]
            for n in (None, 5)
        )
        assert whole == cut
    patch = {"patch_size": [10, 64, 64], "batch_size": 2}
    cut = {"patch_size": [5, 64, 64], "batch_size": 2, "batch_dice": True}
    assert with_fewer_slices(patch, small.spacing, 5) == cut
    assert with_fewer_slices(patch, small.spacing, 12) == patch
    assert with_fewer_slices(patch, small.spacing, None) == patch
    assert with_fewer_slices(patch, ATRIUM.spacing, 5) == patch


def test_joint_entry_takes_a_patch_that_fits() -> None:
    assert joint_configuration(JOINT_DR_UNET, CINE.spacing, [10, 250, 224])["patch_size"] == [10, 256, 224]
    assert joint_configuration(JOINT_DR_UNET, ATRIUM.spacing, [90, 160, 160])["patch_size"] == [96, 160, 160]


def test_multiples_are_not_rounded_up_by_noise() -> None:
    assert rounded_up((16.0 + 1e-12, 16.1, 1), (8, 8, 8)) == (16, 24, 8)


def test_hearts_are_measured_around_their_centroid(tmp_path, monkeypatch) -> None:
    labels = {"a": np.zeros((6, 20, 30), np.int16), "b": np.zeros((4, 20, 20), np.int16)}
    labels["a"][1:3, 4:8, 10:20] = 2  # centred
    labels["a"][5, 19, 29] = 1  # another piece, smaller
    dataset = SimpleNamespace(identifiers=list(labels), load_case=lambda case: (None, labels[case][None], None, {}))
    monkeypatch.setattr(hearts, "infer_dataset_class", lambda folder: lambda folder: dataset)
    (tmp_path / "case").touch()
    found = measure_volumes(tmp_path, (8.0, 1.5, 1.5), progress=False)
    assert found.hearts == [(2, 4, 10)]
    assert found.shapes == [(6, 20, 30), (4, 20, 20)]
    labels["a"][:] = 0
    with pytest.raises(UserError, match="none of 2 cases has a labelled voxel"):
        volume_sizes.measure_volumes(tmp_path, (8.0, 1.5, 1.5), progress=False)


def test_missing_data_are_named_with_the_command(tmp_path) -> None:
    with pytest.raises(UserError, match="nnUNetv2_preprocess -d 27 -c 3d_fullres"):
        measure_volumes(tmp_path / "Dataset027_X" / "nnUNetPlans_3d_fullres", (8.0, 1.5, 1.5))
