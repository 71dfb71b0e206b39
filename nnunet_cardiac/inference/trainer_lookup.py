"""From the trainer's name in a checkpoint to its class."""

from __future__ import annotations

import os
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.workflow.environment import EXTERNAL_TRAINERS, with_trainers


def find_trainer(name: str) -> Any:
    """Return the trainer class that builds the networks of a name.

    Trainers of the systems are imported directly, without the ending of their name, which changes the training alone:
    `_20epochs`, `_nnUNetRecipe`, `_Budget`. nnU-Net's search for others imports each of its trainer files.

    Raises:
        UserError: If no one has the class.
    """
    base = name.split("_")[0]
    if base in TRAINERS:
        return TRAINERS[base].load()
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    os.environ[EXTERNAL_TRAINERS] = with_trainers(os.environ)[EXTERNAL_TRAINERS]
    try:
        return recursive_find_trainer_class_by_name(name.removesuffix("_Budget"))
    except RuntimeError as error:
        raise UserError(
            f"Trainer {name} of the checkpoint is not installed. Install the package that brings it, and name its "
            f"folder in {EXTERNAL_TRAINERS}."
        ) from error
