"""Recipes of short trainings that several systems share."""

from __future__ import annotations

from typing import Any

#: Slices: nnU-Net's loss, a rate that falls to zero, and no flips. Where images are stored in one way, a short training
#: finds the right ventricle better if it never sees a mirrored heart (docs/predict.md).
SLICES: dict[str, Any] = {
    "initial_lr": 1e-3,
    "schedule": "poly",
    "loss": "dice_ce",
    "batch_size": 4,
    "iterations": 29,
    "val_iterations": 2,
    "flips": False,
    "test_time_mirroring": False,
}

#: Stacks. With cross-entropy alone, as in the paper of the classifier-guided network, a short training ends before the
#: structures are found. So it does with a whole stack a step; two windows of five slices are as many slices of two
#: patients. Gradients differ in length from stack to stack; shortened ones keep single stacks from undoing what the
#: others taught.
STACKS: dict[str, Any] = {**SLICES, "initial_lr": 2e-3, "batch_size": 2, "iterations": 24, "max_gradient_norm": 0.5}
