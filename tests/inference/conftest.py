"""Trained systems as nnU-Net leaves them behind, with tiny networks of random weights; nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_cardiac.files import write_json
from nnunet_cardiac.inference.trainer_lookup import find_trainer
from nnunet_cardiac.planning.slice_crops import CROP_NETWORK
from nnunet_cardiac.systems.kinds import Network

BLOCKS = "nnunet_cardiac.architectures"
E2A_UNET = Network(f"{BLOCKS}.e2a_unet.E2AUNet", {"features": [4, 8, 16, 32, 64]}).to_plans()
HALSR_NET = f"{BLOCKS}.halsr_net.HALSRNet", {"features": [16, 32, 64]}
SPECIALISTS = f"{BLOCKS}.specialists.SpecialistNetworks", {"base_width": 4}
GUIDED_NET = Network(
    f"{BLOCKS}.classifier_guided.ClassifierGuidedNet", {"features": [8, 16, 16], "heads": 4}
).to_plans()
REGRESSOR = Network(f"{BLOCKS}.roi_regressor.ROIRegressor", {"grid": 2}).to_plans()
LOCALISER = Network(f"{BLOCKS}.gcam_localiser.GCAMLocaliser", {"filters": 2}).to_plans()
DR_UNET = f"{BLOCKS}.dilated_residual_unet.DilatedResidualUNet", {"filters": 4}
JOINT_DR_UNET = Network(f"{BLOCKS}.dilated_residual_joint.JointDilatedResidualUNet", {"filters": 2}).to_plans()
PLAIN = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 2,
        "features_per_stage": [4, 8],
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "kernel_sizes": [[3, 3], [3, 3]],
        "strides": [[1, 1], [2, 2]],
        "n_conv_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}

RESAMPLING = {"force_separate_z": None, "order_z": 0}
DATASET = {
    "channel_names": {"0": "cineMRI"},
    "labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3},
    "numTraining": 1,
    "file_ending": ".nii.gz",
}


def configuration(network: dict[str, Any], patch_size: list[int], **others: Any) -> dict[str, Any]:
    """An entry of a plans file for 2D data on a grid of 1.5 mm."""
    resampling = "resample_data_or_seg_to_shape"
    return {
        "data_identifier": "nnUNetPlans_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": patch_size,
        "spacing": [1.5, 1.5],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": resampling,
        "resampling_fn_seg": resampling,
        "resampling_fn_probabilities": resampling,
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, **RESAMPLING},
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, **RESAMPLING},
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, **RESAMPLING},
        "architecture": network,
        "batch_dice": True,
        "previous_stage": None,
        "next_stage": None,
        **others,
    }


def crop_network(inner: tuple[str, dict[str, Any]], **rule: Any) -> dict[str, Any]:
    rule = rule or {"window": [64, 64], "margin": 5}
    return Network(CROP_NETWORK, {"network_class_name": inner[0], "network_kwargs": inner[1], **rule}).to_plans()


def volume_crop_network() -> dict[str, Any]:
    rule = {"multiple": [1, 8, 8], "per_slice": False, "centre": "centroid", "clamp": True}
    return crop_network(DR_UNET, window=[6, 48, 48], margin=0, **rule)


SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "CroCNet": (
        "CroCNetTrainer_2epochs",
        {
            "2d": configuration(E2A_UNET, [64, 64], next_stage="2d_crop"),
            "2d_crop": configuration(crop_network(SPECIALISTS), [12, 96, 96], previous_stage="2d"),
        },
    ),
    "HALSR": (
        "HALSRNetTrainer",
        {
            "2d_roi": configuration(
                Network(f"{BLOCKS}.roi_regressor.ROIRegressor", {"grid": 2}).to_plans(),
                [12, 96, 96],
                next_stage="2d_crop",
            ),
            "2d_crop": configuration(crop_network(HALSR_NET), [12, 96, 96], previous_stage="2d_roi"),
        },
    ),
    "guided": ("ClassifierGuidedTrainer", {"2d_stack": configuration(GUIDED_NET, [12, 64, 48])}),
    "DRUNet": (
        "DRUNetTrainer",
        {
            "3d_locate": configuration(LOCALISER, [12, 64, 64], spacing=[9.0, 2.5, 2.5], next_stage="3d_crop"),
            "3d_crop": configuration(
                volume_crop_network(), [12, 96, 96], spacing=[9.0, 1.5, 1.5], previous_stage="3d_locate"
            ),
        },
    ),
    "DRUNetJoint": (
        "DRUNetEndToEndTrainer",
        {"3d_joint": configuration(JOINT_DR_UNET, [8, 64, 64], spacing=[9.0, 1.5, 1.5])},
    ),
    "nnUNet": ("nnUNetTrainer", {"2d": configuration(PLAIN, [64, 64])}),
}


@pytest.fixture
def write_system(tmp_path: Path) -> Callable[..., Path]:
    """Write a trained system and return the result folder of its last stage."""

    def write(system: str, folds: tuple[str, ...] = ("0",), seed: int = 0, **plans_entries: Any) -> Path:
        torch.manual_seed(seed)
        trainer, configurations = SYSTEMS[system]
        plans = {
            "dataset_name": "Dataset001_Heart",
            "plans_name": "nnUNetPlans",
            "image_reader_writer": "SimpleITKIO",
            "label_manager": "LabelManager",
            "transpose_forward": [0, 1, 2],
            "transpose_backward": [0, 1, 2],
            "configurations": configurations,
            "foreground_intensity_properties_per_channel": {"0": {}},
            **plans_entries,
        }
        folder = tmp_path / "models"
        for name in configurations:
            folder = tmp_path / "models" / f"{trainer}__nnUNetPlans__{name}"
            folder.mkdir(parents=True)
            write_json(folder / "plans.json", plans)
            write_json(folder / "dataset.json", DATASET)
            for fold in folds:
                write_checkpoint(folder / f"fold_{fold}" / "checkpoint_final.pth", trainer, plans, name)
        return folder

    return write


def write_checkpoint(path: Path, trainer: str, plans: dict[str, Any], name: str, **others: Any) -> None:
    """What nnU-Net's trainer saves, with random weights large enough for every label to occur."""
    manager = PlansManager(plans)
    chosen = manager.get_configuration(name)
    channels = determine_num_input_channels(manager, chosen, DATASET)
    network = find_trainer(trainer).build_network_architecture(manager, chosen, channels, 4, False)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "network_weights": network.state_dict(),
        "optimizer_state": {},
        "grad_scaler_state": None,
        "logging": {"ema_fg_dice": [np.float32(0.5), np.float64(0.75)], "best": np.int64(3), "done": np.bool_(True)},
        "_best_ema": np.float64(0.75),
        "current_epoch": 2,
        "init_args": {"plans": plans, "configuration": name, "fold": 0, "dataset_json": DATASET},
        "trainer_name": trainer,
        "inference_allowed_mirroring_axes": (0, 1),
    }
    torch.save({**content, **others}, path)


@pytest.fixture
def heart() -> np.ndarray:
    """A blurred, noisy heart (7, 92, 77) with a border of zeros, as scanners pad images."""
    rng = np.random.default_rng(4)
    z, y, x = np.meshgrid(np.arange(7), np.arange(92), np.arange(77), indexing="ij")
    blood = ((y - 40) ** 2 + (x - 38) ** 2 < (18 - z) ** 2) * 300.0
    image = (blood + 100 + 30 * rng.standard_normal(blood.shape)).astype(np.float32)
    image[:, :3] = 0
    return image


@pytest.fixture(scope="session")
def local_ray() -> Iterator[Any]:
    """One Ray with two cores, on this machine, for all tests that ask for it."""
    from nnunet_cardiac.inference.ray_cluster import cluster

    with cluster("local", cores=2) as ray:
        yield ray
