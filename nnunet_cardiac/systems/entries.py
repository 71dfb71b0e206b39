"""What the configurations of each system look like in a plans file: networks, margins, small versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

E2A_UNET = "nnunet_cardiac.architectures.e2a_unet.E2AUNet"
_SPECIALISTS = "nnunet_cardiac.architectures.specialists.SpecialistNetworks"
HALSR_NET = "nnunet_cardiac.architectures.halsr_net.HALSRNet"
DR_UNET = "nnunet_cardiac.architectures.dilated_residual_unet.DilatedResidualUNet"
CLASSIFIER_GUIDED = "nnunet_cardiac.architectures.classifier_guided.ClassifierGuidedNet"
GCAM_LOCALISER = "nnunet_cardiac.architectures.gcam_localiser.GCAMLocaliser"
JOINT_DR_UNET = "nnunet_cardiac.architectures.dilated_residual_joint.JointDilatedResidualUNet"
ROI_REGRESSOR = "nnunet_cardiac.architectures.roi_regressor.ROIRegressor"

Network = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class System:
    """What a trainer's configurations look like in a plans file.

    Attributes:
        crops: Cropping configuration -> inner network and its arguments; None leaves the network to the trainer.
        localiser: Configuration from whose prediction they crop.
        margin: Safety margin around the box in pixels; around the heart in mm, where the system is one of volumes.
        centre: Anatomies on whose box the window is centred, those of them that a data set names; None means all.
        roi: Whether there is a configuration `2d_roi` that regresses a box.
        volumes: Configurations for volumes without a previous stage -> network; a system that has some derives all of
            its configurations from `3d_fullres`, the others theirs from `2d`.
        stacks: Configurations for whole stacks -> network and its arguments; on the paper's in-plane grid.
        coarse_labels: `predicted` or `simulated`: what training windows follow where the user does not say.
        small: Configuration -> narrow network, about a quarter of the arithmetic.
        short_recipe: Configuration -> recipe of a short training.
        short_training_slices: Slices in a row in a sample of a short training; None takes whole stacks. Volumes whose
            slices are pooled are never cut.
    """

    crops: Mapping[str, Network | None]
    localiser: str
    margin: int
    small: Mapping[str, Network]
    short_recipe: Mapping[str, Mapping[str, Any]]
    centre: tuple[str, ...] | None = None
    roi: bool = False
    volumes: Mapping[str, str] = field(default_factory=dict)
    stacks: Mapping[str, Network] = field(default_factory=dict)
    coarse_labels: str = "predicted"
    short_training_slices: int | None = None

    @property
    def base(self) -> str:
        """Configuration of nnU-Net's from which those of the system derive."""
        return "3d_fullres" if self.volumes else "2d"


_SHORT = {
    "initial_lr": 1e-3,
    "schedule": "poly",
    "loss": "dice_ce",
    "batch_size": 4,
    "iterations": 29,
    "val_iterations": 2,
    "test_time_mirroring": False,
}

#: Three networks on each sample: smaller batches for the same time. At the first stage's rate they learn too slowly.
_SHORT_CROP = {**_SHORT, "initial_lr": 3e-3, "batch_size": 3, "iterations": 46}
_SHORT_HALSR = {**_SHORT, "loss": "bce_dice", "patience": None}
#: A regressor needs many steps; without dropout its error after a short training is half as large.
_SHORT_ROI = {**_SHORT_HALSR, "iterations": 110, "augmentation": "mild"}
#: With cross-entropy alone, as in the paper, a short training ends before the structures are found. So it does with a
#: whole stack a step; two windows of five slices are as many slices of two patients. Gradients differ in length from
#: stack to stack; shortened ones keep single stacks from undoing what the others taught (docs/classifier_guided.md).
_SHORT_STACKS = {**_SHORT, "initial_lr": 2e-3, "batch_size": 2, "iterations": 24, "max_gradient_norm": 0.5}
#: Windows of five slices for the same reason: of whole volumes a short training sees too few.
_SHORT_VOLUMES = {**_SHORT_STACKS, "iterations": 40, "patience": None}
#: At ten times this rate the loss is lower and the windows are no better centred (docs/dr_unet.md).
_SHORT_LOCATE = {
    **_SHORT,
    "initial_lr": 1e-3,
    "loss": "softmax_dice",
    "batch_size": 2,
    "iterations": 20,
    "patience": None,
}

_NARROW_STAGE = [16, 32, 64, 64, 64]


def _narrow_specialists(mode: str) -> Network:
    return _SPECIALISTS, {"mode": mode, "base_width": 8, "layer_scale_init": 0.1}


SYSTEMS: dict[str, System] = {
    "CroCNetTrainer": System(
        crops={
            "2d_crop": None,
            "2d_crop_uncoupled": (_SPECIALISTS, {"mode": "uncoupled"}),
            "2d_crop_single": (_SPECIALISTS, {"mode": "single"}),
        },
        localiser="2d",
        margin=15,
        small={
            "2d": (E2A_UNET, {"features": [16, 32, 64, 128, 256]}),
            "2d_crop": _narrow_specialists("coupled"),
            "2d_crop_uncoupled": _narrow_specialists("uncoupled"),
            "2d_crop_single": _narrow_specialists("single"),
        },
        short_recipe={
            "2d": _SHORT,
            "2d_crop": _SHORT_CROP,
            "2d_crop_uncoupled": _SHORT_CROP,
            "2d_crop_single": _SHORT_CROP,
        },
    ),
    "HALSRNetTrainer": System(
        crops={"2d_crop": None},
        localiser="2d_roi",
        margin=10,
        centre=("LV", "MYO"),
        roi=True,
        small={
            "2d": (HALSR_NET, {"features": [32, 64, 128, 256, 512]}),
            "2d_roi": (ROI_REGRESSOR, {"grid": 8, "dropout": 0.0}),
            "2d_crop": (HALSR_NET, {"features": [32, 64, 128, 256, 512]}),
        },
        short_recipe={"2d": _SHORT_HALSR, "2d_roi": _SHORT_ROI, "2d_crop": _SHORT_HALSR},
    ),
    "ClassifierGuidedTrainer": System(
        crops={},
        localiser="",
        margin=0,
        stacks={
            "2d_stack": (CLASSIFIER_GUIDED, {}),
            "2d_stack_single": (CLASSIFIER_GUIDED, {"ref": False, "fusion": False, "classifier": None}),
        },
        small={
            "2d_stack": (CLASSIFIER_GUIDED, {"features": _NARROW_STAGE}),
            "2d_stack_single": (CLASSIFIER_GUIDED, {"features": _NARROW_STAGE}),
        },
        short_recipe={"2d_stack": _SHORT_STACKS, "2d_stack_single": _SHORT_STACKS},
        short_training_slices=5,
    ),
    "DRUNetTrainer": System(
        crops={"3d_crop": None},
        localiser="3d_locate",
        margin=15,
        volumes={"3d_locate": GCAM_LOCALISER},
        coarse_labels="simulated",  # ours: the paper crops from the map in training, too, which takes all folds
        short_training_slices=5,
        small={
            "3d_fullres": (DR_UNET, {"filters": 16}),
            "3d_locate": (GCAM_LOCALISER, {"filters": 4}),
            "3d_crop": (DR_UNET, {"filters": 16}),
        },
        short_recipe={"3d_fullres": _SHORT_VOLUMES, "3d_locate": _SHORT_LOCATE, "3d_crop": _SHORT_VOLUMES},
    ),
    "DRUNetEndToEndTrainer": System(
        crops={},
        localiser="",
        margin=15,
        volumes={"3d_joint": JOINT_DR_UNET},
        short_training_slices=5,
        small={
            "3d_fullres": (JOINT_DR_UNET, {"coarse_filters": 4, "filters": 16}),
            "3d_joint": (JOINT_DR_UNET, {"coarse_filters": 4, "filters": 16}),
        },
        short_recipe=dict.fromkeys(("3d_fullres", "3d_joint"), _SHORT_VOLUMES),
    ),
}
