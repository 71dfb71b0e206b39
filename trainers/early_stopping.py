"""Stop when validation no longer improves; the state is nnU-Net's own log, so a resumed training counts on."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.trainers.processes import agreed, without_wrapper


class EarlyStop(Exception):  # noqa: N818 a signal, not an error
    """Raised at the end of an epoch to leave nnU-Net's loop over epochs."""


def epochs_since_best(values: Sequence[float]) -> int:
    """Return how many epochs ago the best value was reached, 0 for the last one.

    Args:
        values: Validation measure of each epoch, higher is better; of equal values the first is the best, as for
            nnU-Net's best checkpoint. NaN, an epoch without a measure, is worse than any; where all are, the first
            counts.

    Raises:
        ValueError: If there are no values.
    """
    if not len(values):
        raise ValueError("no epoch has been validated yet.")
    ranked = [-math.inf if math.isnan(value) else value for value in values]
    return len(ranked) - 1 - ranked.index(max(ranked))


class StopsEarly(nnUNetTrainer):
    """nnU-Net's trainer that may leave its loop over epochs and end with the best weights.

    Attributes:
        recipe: Says the patience.
    """

    recipe: Recipe
    network: nn.Module
    _best_ema: float | None

    @property
    def _bare_network(self) -> nn.Module:
        """The network without the wrappers of distributed training and compilation."""
        network = without_wrapper(self.network)
        return getattr(network, "_orig_mod", network)

    def run_training(self) -> None:
        """Train as nnU-Net does, but let the end of an epoch end the training."""
        try:
            super().run_training()
        except EarlyStop as stop:
            self.print_to_log_file(str(stop))
            self.on_train_end()

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        """Log as nnU-Net does, but leave epochs without a Dice out of the moving average.

        Where validation holds no structure and the network finds none, the Dice is NaN, and so would be the average
        from then on: no later epoch could be the best.
        """
        super().on_validation_epoch_end(val_outputs)
        *earlier, average = self.logger.get_value("ema_fg_dice", step=None)
        if not math.isnan(average):
            return
        # The average is that of the last epoch, or begins with the first Dice.
        values = (earlier[-1] if earlier else math.nan, self.logger.get_value("mean_fg_dice", step=-1))
        known = [float(value) for value in values if not math.isnan(value)]
        if known:
            self.logger.log("ema_fg_dice", known[0], self.current_epoch)

    def on_epoch_end(self) -> None:
        """End the epoch as nnU-Net does; the first epoch with a Dice is better than those without."""
        if self._best_ema is not None and math.isnan(self._best_ema):
            self._best_ema = None
        super().on_epoch_end()

    def on_train_end(self) -> None:
        """Make the best weights the final ones if the recipe stops early, then do as nnU-Net does."""
        if self.recipe.patience is not None and not self.disable_checkpointing:
            self._take_best_weights()
        super().on_train_end()

    def _take_best_weights(self) -> None:
        if self.is_ddp:
            torch.distributed.barrier()  # process 0 writes the checkpoint
        path = os.path.join(self.output_folder, "checkpoint_best.pth")
        if os.path.isfile(path):
            checkpoint = torch.load(path, map_location=self.device, weights_only=False)
            self._bare_network.load_state_dict(checkpoint["network_weights"])
            self.print_to_log_file(f"The final weights are the best ones, of epoch {checkpoint['current_epoch'] - 1}.")

    def _stop_without_progress(self, patience: int) -> None:
        waited = agreed(epochs_since_best(self.logger.get_value("ema_fg_dice", step=None)))
        self.print_to_log_file(f"Best validation Dice {waited} epochs ago, training stops at {patience}.")
        if waited >= patience and self.current_epoch < self.num_epochs:
            raise EarlyStop(f"Early stop: no better moving average of the validation Dice for {waited} epochs.")
