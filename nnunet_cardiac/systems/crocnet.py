"""CroCNet: E-2A U-Net on whole slices, then coupled specialist networks on the window around the heart."""

from __future__ import annotations

from nnunet_cardiac.systems.facts import AsInPaper, System, TrainerFacts
from nnunet_cardiac.systems.kinds import Network, Planned, SliceCrop
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.systems.rows import Row, RowStage
from nnunet_cardiac.systems.short import SLICES
from nnunet_cardiac.systems.shown import Shown

TRAINER = "CroCNetTrainer"
E2A_UNET = "nnunet_cardiac.architectures.e2a_unet.E2AUNet"
SPECIALISTS = "nnunet_cardiac.architectures.specialists.SpecialistNetworks"

#: Khan et al. 2024, section 4.2; batch size and length of an epoch are not stated there (8 and one pass, ours).
RECIPE = Recipe(milestones=(100, 200))

#: Three networks on each sample: smaller batches for the same time. At the first stage's rate they learn too slowly.
_SHORT_CROP = {**SLICES, "initial_lr": 3e-3, "batch_size": 3, "iterations": 46}


def _crop(name: str, purpose: str, mode: str, network: Network | None) -> SliceCrop:
    narrow = Network(SPECIALISTS, {"mode": mode, "base_width": 8, "layer_scale_init": 0.1})
    return SliceCrop(
        name=name, purpose=purpose, network=network, narrow=narrow, short=_SHORT_CROP, localiser="2d", margin=15
    )


def _row(title: str, *crop: str) -> Row:
    return Row(title, TRAINER, (RowStage("2d"), *map(RowStage, crop)))


SYSTEM = System(
    key="crocnet",
    title="CroCNet",
    paper="Khan et al., Crop and Couple: cardiac image segmentation using interlinked specialist networks, ISBI 2024",
    place=1,
    trainers=(
        TrainerFacts(
            name=TRAINER,
            module="nnunet_cardiac.trainers.crocnet",
            anatomies=("LV", "MYO", "RV"),
            network=E2A_UNET,
            recipe=RECIPE,
            configurations=(
                Planned(
                    name="2d",
                    purpose="E-2A U-Net on whole slices",
                    network=E2A_UNET,
                    narrow=Network(E2A_UNET, {"features": [16, 32, 64, 128, 256]}),
                    short=SLICES,
                ),
                _crop("2d_crop", "three coupled specialist networks on the window around the heart", "coupled", None),
                _crop(
                    "2d_crop_uncoupled",
                    "ablation: specialists without cross-attention",
                    "uncoupled",
                    Network(SPECIALISTS, {"mode": "uncoupled"}),
                ),
                _crop(
                    "2d_crop_single",
                    "ablation: one network instead of three specialists",
                    "single",
                    Network(SPECIALISTS, {"mode": "single"}),
                ),
            ),
            parameters={"E2AUNet": 17.06, "SpecialistNetworks": 5.338, "uncoupled": 1.648, "single": 1.648},
            paper=AsInPaper(
                recipe=RECIPE,
                options={"window": 128, "per_slice": True, "mask_outside": True, "heart_only": False, "jitter": 0},
                patch=(224, 224),
                stated=(
                    "margin of 15 pixels around the largest connected region that is not background",
                    "from the authors' code, which has the second stage alone: window of 128 x 128, one box for each "
                    "image, pixels outside the enlarged box are zero, all coarse labels are shown",
                    "Adam 1e-4, divided by 10 after 100 and 200 of 500 epochs; Dice; flips, elastic and affine "
                    "deformation, blur, gamma, noise",
                ),
                ours=(
                    "pixel size: nnU-Net's; patch of the first stage: 224 x 224; both are not printed",
                    "batch of 8 (the authors' code of the second stage), an epoch is one pass",
                    "coarse labels of training cases are predicted out of fold",
                ),
                elsewhere=(
                    "long-axis images, one slice each: the data set decides",
                    "five folds: those of splits_final.json",
                ),
                anatomies=("LV", "MYO", "RV"),
            ),
        ),
    ),
    rows={
        "crocnet-first-stage": _row("CroCNet, first stage (E-2A U-Net)"),
        "crocnet-single": _row("CroCNet, one network", "2d_crop_single"),
        "crocnet-uncoupled": _row("CroCNet, uncoupled", "2d_crop_uncoupled"),
        "crocnet": _row("CroCNet", "2d_crop"),
    },
    shown=Shown(
        name="CroCNet",
        trainer=TRAINER,
        trained={"2d": 95, "2d_crop": 125},
        predicted_from={"2d": None, "2d_crop": "2d"},
        names={"2d": "Stage 1, E-2A U-Net", "2d_crop": "Stage 2, CroCNet"},
        plan_options=("--margin", "6"),
    ),
)
