"""Budgets: everything but the system that a row of the table depends on. Without torch.

What counts is slices, whatever their size: a stack counts as the mean number of slices of the training set, a sample
of a 3D network as the slices in its patch, at most that mean (padding is no data). Every network of a row is trained
with the whole budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nnunet_cardiac.errors import UserError

#: Kinds of training samples.
KINDS = ("slice", "stack", "volume")


@dataclass(frozen=True)
class Budget:
    """How long and on what grid every row is trained.

    Attributes:
        purpose: One line for tables and help.
        device: `cpu` or `cuda`; rows of different devices are never ranked together.
        samples: Slices that each network is trained with; None if wall time counts.
        minutes: Wall time of each network's training; None if samples count.
        epochs: The learning rate falls once an epoch.
        val_iterations: Validation steps an epoch; they are for the log alone.
        batch: Samples in a step by kind (`slice`, `stack`, `volume`).
        pixel_mm: In-plane grid of preprocessing; None leaves it to nnU-Net.
        patch: Longest side of whole-image training patches in pixels; None leaves it to nnU-Net.
        small: Whether the narrow networks of `plan --small` are trained.
        width: Factor on the widths of nnU-Net's own networks.
        margin: Margin in pixels around a coarse heart on slices; None takes the papers'.
        mirroring: Whether nnU-Net's flips are on, in training and at prediction.
        coarse_labels: What windows of training cases follow: `simulated` from the reference, or `predicted` out of
            fold, for which the first stage is trained on all five folds.
        compile: Whether nnU-Net may compile networks.
        precision: Of training.
        repeatable: Whether a seed makes training repeat exactly; otherwise it only numbers repeated trainings.
        expected_minutes: About how long a training takes, for the progress bar.
    """

    purpose: str
    device: str
    samples: int | None
    minutes: float | None
    epochs: int
    val_iterations: int
    batch: Mapping[str, int]
    pixel_mm: float | None
    patch: int | None
    small: bool
    width: float
    margin: int | None
    mirroring: bool
    coarse_labels: str
    compile: bool
    precision: str
    repeatable: bool
    expected_minutes: float

    def steps_per_epoch(self, kind: str, slices: float, factor: float = 1.0) -> int:
        """Steps of an epoch with which a network sees the budget's samples.

        Args:
            kind: Of its samples.
            slices: In a sample, see :func:`slices_in_sample`.
            factor: Multiple of the budget.
        """
        if self.samples is None:
            return 1  # wall time decides during training
        return max(1, round(self.samples * factor / (self.epochs * self.batch[kind] * slices)))


def sample_kind(spatial_axes: int, spacing_axes: int) -> str:
    """Kind of a training sample.

    Args:
        spatial_axes: Axes of a training patch.
        spacing_axes: Axes of the plans' `spacing`; stacks of slices have two.
    """
    if spatial_axes == 2:
        return "slice"
    return "stack" if spacing_axes == 2 else "volume"


def slices_in_sample(kind: str, depth: int, mean_slices: float) -> float:
    """How many slices a sample counts.

    Args:
        kind: Of the sample.
        depth: Slices of the training patch; 1 for slices.
        mean_slices: Of the training set.
    """
    return 1.0 if kind == "slice" else min(float(depth), mean_slices)


BUDGETS: dict[str, Budget] = {
    "cpu-small": Budget(
        purpose="12,000 slices a network, pixels of 2 mm, patches of 128 x 128, networks of half the width; two cores",
        device="cpu",
        samples=12_000,
        minutes=None,
        epochs=25,
        val_iterations=2,
        batch={"slice": 8, "stack": 2, "volume": 2},
        pixel_mm=2.0,
        patch=128,
        small=True,
        width=0.5,
        margin=10,
        mirroring=False,
        coarse_labels="simulated",
        compile=False,
        precision="float32",
        repeatable=True,
        expected_minutes=18,
    ),
    "gpu-10min": Budget(
        purpose="10 minutes of training a network, full grid and networks, fp16 autocast, compiled; one GPU",
        device="cuda",
        samples=None,
        minutes=10.0,
        epochs=40,
        val_iterations=5,
        batch={"slice": 16, "stack": 2, "volume": 2},
        pixel_mm=None,
        patch=None,
        small=False,
        width=1.0,
        margin=None,
        mirroring=True,
        coarse_labels="simulated",
        compile=True,
        precision="fp16 autocast",
        repeatable=False,
        expected_minutes=12,
    ),
    "smoke": Budget(
        purpose="some steps on pixels of 3 mm, to see that everything runs; says nothing about accuracy",
        device="cpu",
        samples=16,
        minutes=None,
        epochs=2,
        val_iterations=1,
        batch={"slice": 4, "stack": 2, "volume": 1},
        pixel_mm=3.0,
        patch=64,
        small=True,
        width=0.25,
        margin=6,
        mirroring=False,
        coarse_labels="simulated",
        compile=False,
        precision="float32",
        repeatable=True,
        expected_minutes=0.3,
    ),
}


def find_budget(name: str) -> Budget:
    """Return a budget by its name.

    Raises:
        UserError: If there is none.
    """
    if name not in BUDGETS:
        raise UserError(f"--budget {name}: no such budget; choose one of {', '.join(BUDGETS)}.")
    return BUDGETS[name]
