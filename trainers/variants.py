"""Trainers that exist by their name: `CroCNetTrainer_20epochs`, `CroCNetTrainer_nnUNetRecipe_100epochs`.

nnU-Net keys result folders and checkpoints by the class name, so a variant must be a class of its own. They are made
when they are asked for, here, in an importable module, so that they survive pickling into spawned workers.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.systems.recipe import NNUNET

_NAME = re.compile(r"(?P<base>[A-Za-z0-9]+?)(?P<nnunet>_nnUNetRecipe)?(?:_(?P<epochs>[1-9]\d*)epochs)?")


def __getattr__(name: str) -> type[nnUNetTrainer]:
    """Return a trainer of the systems, or make the variant of one that a name describes.

    Raises:
        AttributeError: If it describes none; nnU-Net asks for foreign names, too.
    """
    match = _NAME.fullmatch(name)
    if match is None or match["base"] not in TRAINERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    base = TRAINERS[match["base"]].load()
    if name == match["base"]:
        return base
    members: dict[str, Any] = {}
    if match["nnunet"]:
        members["own_recipe"] = NNUNET
    if match["epochs"]:
        members["epochs"] = int(match["epochs"])
    variant = derived(name, (base,), members, __name__)
    globals()[name] = variant  # the same class each time, so that pickle finds it again
    return variant


def derived(
    name: str, bases: tuple[type[nnUNetTrainer], ...], members: dict[str, Any], module: str
) -> type[nnUNetTrainer]:
    """Make a trainer class; nnU-Net reads the names of its parameters from the signature.

    Args:
        name: Of the class.
        bases: First the class whose methods win.
        members: Of the class.
        module: Dotted path under which pickle finds it.
    """

    def __init__(  # noqa: N807 becomes the method of the class made below
        self: nnUNetTrainer,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 nnU-Net's signature
    ) -> None:
        bases[0].__init__(self, plans, configuration, fold, dataset_json, device)

    own = {"__init__": __init__, "__module__": module, "__doc__": f"Variant of {bases[-1].__name__}."}
    return type(name, bases, {**members, **own})
