"""Training of a stated length, with its cost written down: what a comparison of systems puts on top of any trainer.

Nothing of the network, the loss, the optimiser or the augmentation is changed here, so `nnUNetTrainer_Budget` is
nnU-Net's own trainer with another number of steps. `budget_variants.py` makes the classes.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunet_cardiac.benchmark.speed.arithmetic import count_flop
from nnunet_cardiac.files import write_json
from nnunet_cardiac.systems.recipe import PLANS_KEY
from nnunet_cardiac.trainers.processes import agreed, without_wrapper
from nnunet_cardiac.trainers.recipe.reproducibility import (
    epoch_seed,
    make_deterministic,
    requested_seed,
    seed_generators,
)
from nnunet_cardiac.trainers.workers import limit_threads, limit_workers

#: What a training cost, in the folder of the fold.
COST_FILE = "training_cost.json"

#: Keys of a configuration in the plans: wall time of training, whether flips are allowed, whether the end of training
#: predicts the validation cases.
MINUTES, MIRRORING, VALIDATE = "training_minutes", "mirroring", "validate"

#: Steps of the first epoch where wall time counts; it compiles and is not counted.
_CALIBRATION_STEPS = 20


class BudgetedTraining(nnUNetTrainer):
    """Mixin before a trainer: epochs and steps of the plans' `recipe`, or wall time; flips and validation on demand.

    With `training_minutes` in the plans' configuration the number of epochs, and with it the schedule of the learning
    rate, stays, and the length of each epoch follows the time that is left.
    """

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 nnU-Net's signature
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        own = self.configuration_manager.configuration
        recipe = own.get(PLANS_KEY, {})
        self.num_epochs: int = recipe.get("epochs", self.num_epochs)
        self.num_iterations_per_epoch: int = recipe.get("iterations", self.num_iterations_per_epoch)
        self.num_val_iterations_per_epoch: int = recipe.get("val_iterations", self.num_val_iterations_per_epoch)
        self._minutes: float | None = own.get(MINUTES)
        self._steps, self._samples = 0, 0
        self._intervals: list[float] = []
        self._epoch_steps: list[float] = []  # moments at which the steps of this epoch ended
        self._started = self._counted_from = perf_counter()
        self._gflop = 0.0

    def initialize(self) -> None:
        """Seed before the weights are drawn, if a seed was asked for."""
        if (seed := requested_seed()) is not None:
            make_deterministic(seed)
        limit_threads(self)
        super().initialize()

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Make samples in this process if training has to repeat: nnU-Net's workers have no fixed order."""
        limit_workers(self, repeatable=requested_seed() is not None)
        return super().get_dataloaders()

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(  # noqa: N802 nnU-Net's name
        self,
    ) -> tuple[Any, bool, Any, tuple[int, ...]]:
        """Flip neither in training nor at prediction if the plans say so, as nnU-Net's `nnUNetTrainerNoMirroring`."""
        rotation, dummy_2d, initial_patch_size, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        if not self.configuration_manager.configuration.get(MIRRORING, True):
            mirror_axes = ()
            self.inference_allowed_mirroring_axes = None
        return rotation, dummy_2d, initial_patch_size, mirror_axes

    def on_train_start(self) -> None:
        """Start, and count operations."""
        super().on_train_start()
        self._gflop = self._count_gflop()
        self._started = self._counted_from = perf_counter()

    def on_train_epoch_start(self) -> None:
        """Start an epoch with draws of its own; where wall time counts, say how long it is."""
        if (seed := requested_seed()) is not None:
            seed_generators(epoch_seed(seed, self.local_rank, self.current_epoch))
        super().on_train_epoch_start()
        if self._minutes is not None:
            self.num_iterations_per_epoch = agreed(self._steps_that_fit())
        self._epoch_steps = []

    def train_step(self, batch: dict) -> dict:
        """Take a step and count it."""
        result = super().train_step(batch)
        self._epoch_steps.append(perf_counter())
        self._steps += 1
        self._samples += int(batch["data"].shape[0])
        return result

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        """End an epoch and keep the time between its steps, loading included."""
        super().on_train_epoch_end(train_outputs)
        self._intervals += [b - a for a, b in zip(self._epoch_steps, self._epoch_steps[1:], strict=False)]

    def on_epoch_end(self) -> None:
        """End an epoch; the clock of a budget in minutes starts behind the first."""
        super().on_epoch_end()
        if self.current_epoch == 1:
            self._counted_from = perf_counter()

    def on_train_end(self) -> None:
        """End as the trainer does, then write down the cost."""
        seconds = perf_counter() - self._started
        super().on_train_end()
        if self.local_rank == 0:
            write_json(Path(self.output_folder) / COST_FILE, self._cost(seconds))

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Predict the validation cases where a later stage needs them; patients kept apart are what is compared."""
        if self.configuration_manager.configuration.get(VALIDATE, True):
            super().perform_actual_validation(save_probabilities)

    def _steps_that_fit(self) -> int:
        """Steps of the coming epoch: its share of the time that is left, by the pace of the last one."""
        if self._minutes is None or self.current_epoch == 0 or len(self._epoch_steps) < 2:
            return _CALIBRATION_STEPS
        ends = self._epoch_steps[len(self._epoch_steps) // 2 :] if self.current_epoch == 1 else self._epoch_steps
        pace = (ends[-1] - ends[0]) / max(len(ends) - 1, 1)
        overhead = perf_counter() - self._epoch_steps[-1] if self.current_epoch > 1 else 0.0  # validation, checkpoint
        left = 60 * self._minutes - (perf_counter() - self._counted_from)
        share = left / max(self.num_epochs - self.current_epoch, 1)
        return max(1, int((share - overhead) / max(pace, 1e-6)))

    def _count_gflop(self) -> float:
        """Operations of a forward pass by slice of a training sample; of a copy, since statistics must not change."""
        network = deepcopy(_bare(self.network)).train()
        patch = getattr(self, "training_patch_size", None) or self.configuration_manager.patch_size
        sample = torch.randn(2, self.num_input_channels, *patch, device=self.device)  # two: batch norm wants company
        with torch.no_grad():
            return count_flop(lambda: network(sample)) / (2e9 * (patch[0] if len(patch) == 3 else 1))

    def _cost(self, seconds: float) -> dict[str, Any]:
        cuda = self.device.type == "cuda"
        return {
            "steps": self._steps,
            "samples": self._samples,
            "epochs": self.current_epoch,
            "seconds": round(seconds, 2),
            "step_ms": round(1e3 * median(self._intervals), 2) if self._intervals else None,
            "parameters": sum(p.numel() for p in _bare(self.network).parameters() if p.requires_grad),
            "gflop_slice": round(self._gflop, 3),
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if cuda else None,
        }


def _bare(network: nn.Module) -> nn.Module:
    """The network without the wrappers of distributed training and compilation."""
    network = without_wrapper(network)
    return getattr(network, "_orig_mod", network)
