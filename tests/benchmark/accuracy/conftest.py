"""A planned data set without data: plans as nnU-Net writes them, a fingerprint, and made-up label maps to measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnunet_cardiac.benchmark.speed.networks_from_plans import stock_architecture
from nnunet_cardiac.files import write_json
from nnunet_cardiac.planning import hearts, request, volume_sizes

#: Slices of the cases; their mean is 10.
DEPTHS = (8, 12)
PIXEL, SLICE = 1.5, 10.0


def planned() -> dict:
    """Plans of nnU-Net for stacks of 256 x 224 pixels."""
    flat = {
        "data_identifier": "nnUNetPlans_2d",
        "batch_size": 49,
        "patch_size": [256, 224],
        "spacing": [PIXEL, PIXEL],
        "architecture": stock_architecture((256, 224)),
    }
    own = stock_architecture((256, 224))
    kwargs = own["arch_kwargs"]
    kwargs |= {
        "n_stages": 6,
        "features_per_stage": [32, 64, 128, 256, 320, 320],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "strides": [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2], [1, 2, 2], [1, 2, 2]],
        "kernel_sizes": [[1, 3, 3], [1, 3, 3], *[[3, 3, 3]] * 4],
        "n_conv_per_stage": [2] * 6,
        "n_conv_per_stage_decoder": [2] * 5,
    }
    deep = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "batch_size": 4,
        "patch_size": [10, 256, 224],
        "spacing": [SLICE, PIXEL, PIXEL],
        "architecture": own,
    }
    return {
        "dataset_name": "Dataset901_Test",
        "plans_name": "nnUNetPlans",
        "transpose_forward": [0, 1, 2],
        "configurations": {"2d": flat, "3d_fullres": deep},
    }


def heart(depth: int) -> np.ndarray:
    """Label map (Z, 256, 216) with a left cavity, its wall and a right cavity."""
    y, x = np.mgrid[:256, :216]
    plane = np.zeros((256, 216), np.int16)
    plane[np.hypot(y - 120, x - 80) < 22] = 1
    plane[np.hypot(y - 120, x - 115) < 26] = 2
    plane[np.hypot(y - 120, x - 115) < 18] = 3
    return np.stack([plane if 0 < z < depth - 1 else 0 * plane for z in range(depth)])


@pytest.fixture
def preprocessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`nnUNet_preprocessed/<dataset>` with the plans of both planners."""

    def labels(*_):
        return (heart(depth) for depth in DEPTHS)

    for module in (hearts, request, volume_sizes):
        monkeypatch.setattr(module, "reference_labels", labels)
    folder = tmp_path / "Dataset901_Test"
    folder.mkdir()
    plans = planned()
    write_json(folder / "nnUNetPlans.json", plans)
    residual = plans["configurations"]["2d"]["architecture"]
    residual["network_class_name"] = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    stages = residual["arch_kwargs"]["n_stages"]
    del residual["arch_kwargs"]["n_conv_per_stage"]
    residual["arch_kwargs"]["n_blocks_per_stage"] = [1, 3, 4, 6, 6, 6, 6, 6][:stages]
    residual["arch_kwargs"]["n_conv_per_stage_decoder"] = [1] * (stages - 1)
    write_json(folder / "nnUNetResEncUNetMPlans.json", {**plans, "plans_name": "nnUNetResEncUNetMPlans"})
    shapes = [[depth, 256, 216] for depth in DEPTHS]
    write_json(folder / "dataset_fingerprint.json", {"shapes_after_crop": shapes, "spacings": [[SLICE, PIXEL, PIXEL]]})
    write_json(folder / "dataset.json", {"labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3}})
    return folder
