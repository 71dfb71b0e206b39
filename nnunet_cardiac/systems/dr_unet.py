"""3D DR-UNet: a small localiser on a coarse grid and a network on the window around the heart, or both end to end."""

from __future__ import annotations

from nnunet_cardiac.systems.facts import AsInPaper, System, TrainerFacts
from nnunet_cardiac.systems.kinds import JointVolume, Network, Planned, VolumeCrop, VolumeLocaliser
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.systems.rows import Row, RowStage
from nnunet_cardiac.systems.short import SLICES, STACKS
from nnunet_cardiac.systems.shown import Shown

TRAINER, END_TO_END = "DRUNetTrainer", "DRUNetEndToEndTrainer"
DR_UNET = "nnunet_cardiac.architectures.dilated_residual_unet.DilatedResidualUNet"
GCAM_LOCALISER = "nnunet_cardiac.architectures.gcam_localiser.GCAMLocaliser"
JOINT_DR_UNET = "nnunet_cardiac.architectures.dilated_residual_joint.JointDilatedResidualUNet"

#: Section 3.3: Adam 1e-4, constant, until validation stops improving, the best weights kept, no augmentation; batch,
#: patience and longest training are ours.
RECIPE = Recipe(batch_size=2, loss="softmax_dice", patience=20)

#: Windows of five slices: of whole volumes a short training sees too few.
_SHORT = {**STACKS, "iterations": 40, "patience": None}
#: At ten times this rate the loss is lower and the windows are no better centred.
_SHORT_LOCATE = {
    **SLICES,
    "loss": "softmax_dice",
    "batch_size": 2,
    "iterations": 20,
    "patience": None,
}
_NARROW = Network(DR_UNET, {"filters": 16})
_NARROW_JOINT = Network(JOINT_DR_UNET, {"coarse_filters": 4, "filters": 16})

_STATED = (
    "contrast equalised in each slice (CLAHE), volumes of mean 0 and variance 1",
    "short-axis stacks: 10 x 1.25 x 1.25 mm, padded with zeros to 16 x 256 x 256; slices not pooled (Keep Z); 32 "
    "filters (Table 3)",
    "Adam 1e-4, constant, until the validation stops improving, the best weights kept, no augmentation; multi-class "
    "Dice, for one structure Dice and binary cross-entropy",
)
_ELSEWHERE = (
    "volumes larger than the patch are cropped at the centre; nnU-Net draws patches and predicts in tiles",
    "CLAHE comes before the normalisation; here the network does both, on what it sees",
    "80 percent of the cases in five folds, 20 percent kept apart; your folds are those of splits_final.json",
)
_LOCATE = RowStage("3d_locate", localises=True)


def _row(title: str, *stages: RowStage, trainer: str = TRAINER) -> Row:
    return Row(title, trainer, stages, base=("3d_fullres",))


def _pooled(like: str, network: str) -> RowStage:
    return RowStage(f"{like}_pool_z", like, Network(network, {"keep_z": False}), pool_z=True)


MULTI_STAGE = TrainerFacts(
    name=TRAINER,
    module="nnunet_cardiac.trainers.dilated_residual_unet",
    base="3d_fullres",
    network=DR_UNET,
    recipe=RECIPE,
    coarse_labels="simulated",  # ours: the paper crops from the map in training, too, which takes all folds
    short_slices=5,
    configurations=(
        Planned(
            name="3d_fullres",
            purpose="3D DR-UNet on nnU-Net's patches",
            network=DR_UNET,
            narrow=_NARROW,
            short=_SHORT,
        ),
        VolumeLocaliser(
            name="3d_locate",
            purpose="small 3D DR-UNet on whole volumes of low resolution, whose activation map marks the heart",
            network=GCAM_LOCALISER,
            narrow=Network(GCAM_LOCALISER, {"filters": 4}),
            short=_SHORT_LOCATE,
        ),
        VolumeCrop(
            name="3d_crop",
            purpose="3D DR-UNet on the window around the heart",
            network=DR_UNET,
            narrow=_NARROW,
            short=_SHORT,
            localiser="3d_locate",
            margin_mm=15,
        ),
    ),
    parameters={"DilatedResidualUNet": 10.15, "GCAMLocaliser": 0.639},
    paper=AsInPaper(
        recipe=RECIPE,
        options={"jitter": 0, "coarse_labels": "predicted"},
        clahe=True,
        filters=(32, 16),
        stated=(*_STATED, "training windows follow the activation map of the localiser, as those of prediction do"),
        ours=(
            "low resolution: the median volume has 128 pixels in-plane; 8 filters of the localiser",
            "window: 99 percent of the hearts with 15 mm on each side; its size is not printed",
            "batch of 2, patience of 20 epochs, an epoch is one pass",
            "other volumes: nnU-Net's grid and patch, which are not printed; 16 filters, the better row of Table 2",
        ),
        elsewhere=_ELSEWHERE,
    ),
)

JOINT = TrainerFacts(
    name=END_TO_END,
    module="nnunet_cardiac.trainers.dilated_residual_unet",
    base="3d_fullres",
    network=JOINT_DR_UNET,
    recipe=RECIPE,
    short_slices=5,
    configurations=(
        Planned(
            name="3d_fullres",
            purpose="both 3D DR-UNets as one network on nnU-Net's patches, without `plan`",
            network=JOINT_DR_UNET,
            narrow=_NARROW_JOINT,
            short=_SHORT,
        ),
        JointVolume(
            name="3d_joint",
            purpose="both 3D DR-UNets as one network on nnU-Net's patches",
            network=JOINT_DR_UNET,
            narrow=_NARROW_JOINT,
            short=_SHORT,
        ),
        JointVolume(
            name="3d_joint_low",
            purpose="the same on whole volumes of low resolution (plan --paper)",
            network=JOINT_DR_UNET,
            narrow=_NARROW_JOINT,
            short=_SHORT,
            low_resolution=True,
            needs_paper_plans=True,
        ),
    ),
    parameters={"JointDilatedResidualUNet": 10.79},
    paper=AsInPaper(
        recipe=RECIPE,
        clahe=True,
        filters=(32, 8),
        stated=(
            *_STATED,
            "3d_joint on the padded volumes, on which section 4 says that all networks were trained; 3d_joint_low on "
            "the downsampled image, of which section 2 says that it goes into the second network",
        ),
        ours=(
            "low resolution: the median volume has 128 pixels in-plane; 8 filters of the first network",
            "batch of 2, patience of 20 epochs, an epoch is one pass; both losses count the same",
            "other volumes: nnU-Net's grid and patch, which are not printed; 8 filters, as in Table 2",
        ),
        elsewhere=_ELSEWHERE,
    ),
)

SYSTEM = System(
    key="dr-unet",
    title="3D DR-UNet",
    paper="Vesal et al., Fully automated 3D cardiac MRI localisation and segmentation using deep neural networks, "
    "Journal of Imaging 2020",
    place=4,
    trainers=(MULTI_STAGE, JOINT),
    rows={
        "dr-unet-full": _row("DR-UNet, full volume", RowStage("3d_fullres")),
        "dr-unet-full-pool-z": _row("DR-UNet, full volume, Keep-Z off", _pooled("3d_fullres", DR_UNET)),
        "dr-unet": _row("DR-UNet, multi-stage", _LOCATE, RowStage("3d_crop")),
        "dr-unet-pool-z": _row("DR-UNet, multi-stage, Keep-Z off", _LOCATE, _pooled("3d_crop", DR_UNET)),
        "dr-unet-end-to-end": _row("DR-UNet, end to end", RowStage("3d_joint"), trainer=END_TO_END),
        "dr-unet-end-to-end-pool-z": _row(
            "DR-UNet, end to end, Keep-Z off", _pooled("3d_joint", JOINT_DR_UNET), trainer=END_TO_END
        ),
    },
    shown=Shown(
        name="3D DR-UNet",
        trainer=TRAINER,
        trained={"3d_fullres": 150, "3d_locate": 80, "3d_crop": 140},
        predicted_from={"3d_fullres": None, "3d_locate": None, "3d_crop": "3d_locate"},
        names={"3d_fullres": "Whole volumes", "3d_crop": "In the window around the activation map"},
        base="3d_fullres",
        preprocessed=("3d_locate",),
        final="3d_crop",
    ),
)
