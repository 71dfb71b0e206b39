"""HALSR-Net: a regressed region of interest, then a network with hybrid attention and latent-space reconstruction."""

from __future__ import annotations

from nnunet_cardiac.systems.facts import AsInPaper, System, TrainerFacts
from nnunet_cardiac.systems.kinds import BoxRegressor, Network, Planned, SliceCrop
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.systems.rows import Row, RowStage
from nnunet_cardiac.systems.short import SLICES
from nnunet_cardiac.systems.shown import Shown

TRAINER = "HALSRNetTrainer"
HALSR_NET = "nnunet_cardiac.architectures.halsr_net.HALSRNet"
ROI_REGRESSOR = "nnunet_cardiac.architectures.roi_regressor.ROIRegressor"

#: Adam 1e-3, batch 32, early stopping, no augmentation; patience and longest training are ours.
RECIPE = Recipe(initial_lr=1e-3, batch_size=32, loss="bce_dice", patience=20)

_NARROW = Network(HALSR_NET, {"features": [32, 64, 128, 256, 512]})
_SHORT = {**SLICES, "loss": "bce_dice", "patience": None}
#: A regressor needs many steps; without dropout its error after a short training is half as large.
_SHORT_ROI = {**_SHORT, "iterations": 110, "augmentation": "mild"}

_ROI = RowStage("2d_roi", localises=True)


def _without(name: str, **switches: str) -> RowStage:
    return RowStage(name, "2d_crop", Network(HALSR_NET, switches))


SYSTEM = System(
    key="halsr",
    title="HALSR-Net",
    paper="Fakhfakh et al., HALSR-Net: improving CNN segmentation of cardiac left ventricle MRI with hybrid attention "
    "and latent space reconstruction, Computerized Medical Imaging and Graphics 2025",
    place=2,
    trainers=(
        TrainerFacts(
            name=TRAINER,
            module="nnunet_cardiac.trainers.halsr",
            anatomies=("LV",),
            optional=("MYO",),
            boxed=("LV", "MYO"),
            network=HALSR_NET,
            recipe=RECIPE,
            configurations=(
                Planned(
                    name="2d", purpose="HALSR-Net on whole slices", network=HALSR_NET, narrow=_NARROW, short=_SHORT
                ),
                BoxRegressor(
                    name="2d_roi",
                    purpose="regression of the box of the left ventricle",
                    network=ROI_REGRESSOR,
                    narrow=Network(ROI_REGRESSOR, {"grid": 8, "dropout": 0.0}),
                    short=_SHORT_ROI,
                ),
                SliceCrop(
                    name="2d_crop",
                    purpose="HALSR-Net on the window around the regressed box",
                    narrow=_NARROW,
                    short=_SHORT,
                    localiser="2d_roi",
                    margin=10,
                ),
            ),
            parameters={"HALSRNet": 10.82, "ROIRegressor": 3.847},
            paper=AsInPaper(
                recipe=RECIPE,
                options={"per_slice": True, "jitter": 0},
                stated=(
                    "a regressed box for each image, a window around it",
                    "Adam 1e-3, batch of 32, early stopping, dropout 0.3 to 0.5, no augmentation; half binary "
                    "cross-entropy, half Dice; squared error of the corners",
                ),
                ours=(
                    "pixel size and patch: nnU-Net's; window from the data set with a margin of 10 pixels; none is "
                    "printed",
                    "boxes of training cases are predicted out of fold; patience of 20 epochs, an epoch is one pass",
                ),
                elsewhere=(
                    "boxes that look wrong are corrected by hand; nobody does it here",
                    "one split in training, validation and test; your folds are those of splits_final.json",
                ),
                anatomies=("LV", "MYO"),
            ),
        ),
    ),
    rows={
        "halsr": Row("HALSR-Net", TRAINER, (_ROI, RowStage("2d_crop"))),
        "halsr-no-roi": Row("HALSR-Net without ROI", TRAINER, (RowStage("2d"),)),
        "halsr-no-hapm": Row("HALSR-Net without HAPM", TRAINER, (_ROI, _without("2d_crop_no_hapm", hapm_at="none"))),
        "halsr-no-reconstruction": Row(
            "HALSR-Net without reconstruction",
            TRAINER,
            (_ROI, _without("2d_crop_no_reconstruction", recon_fusion="none")),
        ),
    },
    shown=Shown(
        name="HALSR-Net",
        trainer=TRAINER,
        trained={"2d": 120, "2d_roi": 60, "2d_crop": 100},
        predicted_from={"2d": None, "2d_roi": None, "2d_crop": "2d_roi"},
        names={"2d": "Whole slices", "2d_crop": "In the regressed region"},
        plan_options=("--margin", "6"),
    ),
)
