"""Trainers that exist by their name: `CroCNetTrainer_20epochs`, `CroCNetTrainer_nnUNetRecipe_100epochs`,
`CroCNetTrainer_Budget`.

nnU-Net keys result folders and checkpoints by the class name, so a variant must be a class of its own. They are made
when they are asked for, here, in an importable module, so that they survive pickling into spawned workers.
"""

from __future__ import annotations

import re

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_cardiac.benchmark.accuracy.budgeted_training import BudgetedTraining
from nnunet_cardiac.systems.recipe import NNUNET
from nnunet_cardiac.trainers.base import CardiacTrainer
from nnunet_cardiac.trainers.classifier_guided import ClassifierGuidedTrainer
from nnunet_cardiac.trainers.crocnet import CroCNetTrainer
from nnunet_cardiac.trainers.dilated_residual_unet import DRUNetEndToEndTrainer, DRUNetTrainer
from nnunet_cardiac.trainers.halsr import HALSRNetTrainer

BASES: dict[str, type[CardiacTrainer]] = {
    trainer.__name__: trainer
    for trainer in (
        CroCNetTrainer,
        HALSRNetTrainer,
        ClassifierGuidedTrainer,
        DRUNetTrainer,
        DRUNetEndToEndTrainer,
    )
}

_NAME = re.compile(
    r"(?P<base>[A-Za-z0-9]+?)(?P<nnunet>_nnUNetRecipe)?(?:_(?P<epochs>[1-9]\d*)epochs)?(?P<budget>_Budget)?"
)


def __getattr__(name: str) -> type[nnUNetTrainer]:
    """Make the trainer class that a name describes.

    Raises:
        AttributeError: If it describes none; nnU-Net asks for foreign names, too.
    """
    match = _NAME.fullmatch(name)
    base = BASES.get(match["base"]) if match else None
    if name == "nnUNetTrainer_Budget":  # the baseline: nnU-Net's own trainer, nothing but its length changed
        base = nnUNetTrainer
    if base is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    bases = (BudgetedTraining, base) if match["budget"] else (base,)

    def __init__(  # noqa: N807 becomes the method of the class made below
        self: nnUNetTrainer,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 nnU-Net's signature
    ) -> None:
        bases[0].__init__(self, plans, configuration, fold, dataset_json, device)

    members = {"__init__": __init__, "__module__": __name__, "__doc__": f"Variant of {base.__name__}."}
    if match["nnunet"]:
        members["recipe"] = NNUNET
    if match["epochs"]:
        members["epochs"] = int(match["epochs"])
    variant = type(name, bases, members)
    globals()[name] = variant  # the same class each time, so that pickle finds it again
    return variant
