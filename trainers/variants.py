"""Trainers that exist by their name: `CroCNetTrainer_20epochs`, `CroCNetTrainer_nnUNetRecipe_100epochs`.

nnU-Net keys result folders and checkpoints by the class name, so a variant must be a class of its own. They are made
when they are asked for, here, in an importable module, so that they survive pickling into spawned workers.
"""

from __future__ import annotations

import re

import torch

from nnunet_cardiac.recipes import NNUNET
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

_NAME = re.compile(r"(?P<base>[A-Za-z0-9]+?)(?P<nnunet>_nnUNetRecipe)?(?:_(?P<epochs>[1-9]\d*)epochs)?")


def __getattr__(name: str) -> type[CardiacTrainer]:
    """Make the trainer class that a name describes.

    Raises:
        AttributeError: If it describes none; nnU-Net asks for foreign names, too.
    """
    match = _NAME.fullmatch(name)
    base = BASES.get(match["base"]) if match else None
    if base is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __init__(  # noqa: N807 becomes the method of the class made below
        self: CardiacTrainer,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 nnU-Net's signature
    ) -> None:
        base.__init__(self, plans, configuration, fold, dataset_json, device)

    members = {"__init__": __init__, "__module__": __name__, "__doc__": f"Variant of {base.__name__}."}
    if match["nnunet"]:
        members["recipe"] = NNUNET
    if match["epochs"]:
        members["epochs"] = int(match["epochs"])
    variant = type(name, (base,), members)
    globals()[name] = variant  # the same class each time, so that pickle finds it again
    return variant
