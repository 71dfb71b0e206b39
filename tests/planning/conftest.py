"""A planned data set without data: plans as nnU-Net writes them, and made-up label maps to measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.planning import hearts, request, volume_sizes

STOCK = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {"n_stages": 6},
    "_kw_requires_import": [],
}


def nnunet_plans() -> dict:
    """Plans of nnU-Net for stacks of up to 12 slices of 256 x 216 pixels, slices 10 mm apart, pixels of 1.5 mm."""
    return {
        "dataset_name": "Dataset901_Test",
        "plans_name": "nnUNetPlans",
        "configurations": {
            "2d": {
                "data_identifier": "nnUNetPlans_2d",
                "batch_size": 49,
                "patch_size": [256, 224],
                "spacing": [1.5, 1.5],
                "architecture": STOCK,
            },
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "batch_size": 4,
                "patch_size": [10, 256, 224],
                "median_image_size_in_voxels": [10.0, 256.0, 216.0],
                "spacing": [10.0, 1.5, 1.5],
                "architecture": STOCK,
            },
        },
    }


def stack(depth: int) -> np.ndarray:
    """Label map (Z, 256, 216): right cavity left of a left cavity with its wall, in all slices but the outer ones."""
    y, x = np.mgrid[:256, :216]
    plane = np.zeros((256, 216), np.int16)
    plane[np.hypot(y - 120, x - 80) < 22] = 1
    plane[np.hypot(y - 120, x - 115) < 26] = 2
    plane[np.hypot(y - 120, x - 115) < 18] = 3
    return np.stack([plane if 0 < z < depth - 1 else 0 * plane for z in range(depth)])


@pytest.fixture
def preprocessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`nnUNet_preprocessed/<dataset>` with nnU-Net's plans."""
    for module in (hearts, request, volume_sizes):
        monkeypatch.setattr(module, "reference_labels", lambda *_: (stack(depth) for depth in (8, 12)))
    folder = tmp_path / "Dataset901_Test"
    folder.mkdir()
    write_json(folder / "nnUNetPlans.json", nnunet_plans())
    described = {"labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3}, "file_ending": ".nii.gz"}
    write_json(folder / "dataset.json", described)
    (folder / "gt_segmentations").mkdir()
    for case in ("patient001_ED", "patient002_ED"):
        (folder / "gt_segmentations" / f"{case}.nii.gz").touch()
    write_json(folder / "splits_final.json", [{"train": ["patient001_ED"], "val": ["patient002_ED"]}])
    return folder


@pytest.fixture
def edit(preprocessed: Path) -> Callable[..., None]:
    """Function that changes configurations in a plans file, as a user does in an editor."""

    def change(how: Callable[[dict], object], name: str = "nnUNetPlans") -> None:
        path = preprocessed / f"{name}.json"
        plans = read_json(path)
        how(plans["configurations"])
        write_json(path, plans)

    return change
