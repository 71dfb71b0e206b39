"""Trainers of a stated length by their name: `CroCNetTrainer_Budget`, `nnUNetTrainer_Budget`."""

from __future__ import annotations

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_cardiac.benchmark.accuracy.budgeted_training import BudgetedTraining
from nnunet_cardiac.trainers import variants

SUFFIX = "_Budget"


def __getattr__(name: str) -> type[nnUNetTrainer]:
    """Make the trainer class that a name describes.

    Raises:
        AttributeError: If it describes none; nnU-Net asks for foreign names, too.
    """
    usual = name.removesuffix(SUFFIX)
    if usual == name:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # The baseline is nnU-Net's own trainer, nothing but its length changed.
    base = nnUNetTrainer if usual == nnUNetTrainer.__name__ else getattr(variants, usual)
    variant = variants.derived(name, (BudgetedTraining, base), {}, __name__)
    globals()[name] = variant  # the same class each time, so that pickle finds it again
    return variant
