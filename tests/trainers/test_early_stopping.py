"""Early stopping, without data: a trainer whose epochs do nothing but log a Dice."""

import math

import numpy as np
import pytest
import torch
from nnunetv2.training.logging.nnunet_logger import MetaLogger

from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.trainers.base import CardiacTrainer
from nnunet_cardiac.trainers.early_stopping import epochs_since_best

NAN = math.nan


@pytest.mark.parametrize(
    ("values", "waited"),
    [
        ([0.1], 0),
        ([0.1, 0.3, 0.2], 1),
        ([0.5, 0.5, 0.5], 2),
        ([0.1, 0.2, 0.3], 0),
        ([NAN], 0),
        ([NAN, 0.1, 0.2, 0.1], 1),
        ([0.1, NAN, 0.2, NAN], 1),
        ([NAN, NAN, NAN], 2),
    ],
)
def test_epochs_since_best(values, waited):
    assert epochs_since_best(values) == waited


def test_no_epoch_is_an_error():
    with pytest.raises(ValueError, match="no epoch"):
        epochs_since_best([])


class Scripted(CardiacTrainer):
    """Validation Dice from a list; nnU-Net's loop, checkpoints and logger."""

    def __init__(self, dice, patience, folder):
        self.dice, self.recipe, self.num_epochs, self.current_epoch = dice, Recipe(patience=patience), len(dice), 0
        self.output_folder, self.is_ddp, self.disable_checkpointing = str(folder), False, False
        self.network, self.device, self.lines = torch.nn.Linear(1, 1, bias=False), torch.device("cpu"), []
        self.ended, self._best_ema = False, None

    @classmethod
    def default_architecture(cls, configuration_manager):
        raise AssertionError("not built here")

    def print_to_log_file(self, *args, **kwargs):
        self.lines.append(" ".join(map(str, args)))


def loop(trainer, monkeypatch):
    """What nnU-Net's `run_training` does, reduced to epochs that set the weight to their number."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    class Logger:
        def get_value(self, key, step):
            values = {"ema_fg_dice": seen, "epoch_start_timestamps": [0.0]}[key]
            return values if step is None else values[step]

    seen: list[float] = []
    trainer.logger = Logger()

    def run_training(self):
        for epoch in range(self.num_epochs):
            torch.nn.init.constant_(self.network.weight, epoch)
            seen.append(self.dice[epoch])
            self.on_epoch_end()
        self.on_train_end()

    def on_epoch_end(self):
        if self.dice[self.current_epoch] == max(seen) and seen.count(max(seen)) == 1:
            weights = {name: value.clone() for name, value in self.network.state_dict().items()}
            checkpoint = {"network_weights": weights, "current_epoch": self.current_epoch + 1}
            torch.save(checkpoint, f"{self.output_folder}/checkpoint_best.pth")
        self.current_epoch += 1

    monkeypatch.setattr(nnUNetTrainer, "run_training", run_training)
    monkeypatch.setattr(nnUNetTrainer, "on_epoch_end", on_epoch_end)
    monkeypatch.setattr(nnUNetTrainer, "on_train_end", lambda self: setattr(self, "ended", True))
    trainer.run_training()


def test_stops_after_the_patience_and_keeps_the_best_weights(tmp_path, monkeypatch):
    trainer = Scripted([0.1, 0.5, 0.4, 0.4, 0.4, 0.9], 3, tmp_path)
    loop(trainer, monkeypatch)
    assert trainer.current_epoch == 5  # the sixth epoch, better than all, was never reached
    assert trainer.ended
    assert trainer.network.weight.item() == 1.0
    assert "Early stop: no better moving average of the validation Dice for 3 epochs." in trainer.lines
    assert "Best validation Dice 2 epochs ago, training stops at 3." in trainer.lines


def test_improvement_in_time_goes_on_and_the_best_weights_are_kept_at_the_end(tmp_path, monkeypatch):
    trainer = Scripted([0.1, 0.1, 0.6, 0.5], 3, tmp_path)
    loop(trainer, monkeypatch)
    assert trainer.current_epoch == 4
    assert trainer.network.weight.item() == 2.0


def test_without_patience_the_last_weights_are_the_final_ones(tmp_path, monkeypatch):
    trainer = Scripted([0.9, 0.1, 0.1], None, tmp_path)
    loop(trainer, monkeypatch)
    assert trainer.current_epoch == 3
    assert trainer.network.weight.item() == 2.0


def counts(dice):
    """Voxels of a single structure whose Dice is the number: 2 tp / (2 tp + fp + fn)."""
    tp, fp = {0.0: (0, 1), 0.5: (1, 2), 1.0: (1, 0)}.get(dice, (0, 0))
    return [{"loss": 0.0, "tp_hard": np.array([tp]), "fp_hard": np.array([fp]), "fn_hard": np.array([0])}]


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # nnU-Net divides by zero
def test_epochs_without_a_dice_are_left_out_of_the_average_and_the_best(tmp_path, monkeypatch):
    trainer = Scripted([NAN, NAN, 0.5, NAN, 1.0, 0.0], 10, tmp_path)
    trainer.logger, trainer.save_every, trainer.local_rank = MetaLogger(str(tmp_path), False), 100, 1
    written = []
    monkeypatch.setattr(trainer, "save_checkpoint", lambda filename: written.append(trainer.current_epoch))
    for dice in trainer.dice:
        trainer.on_epoch_start()
        trainer.logger.log("train_losses", 0.0, trainer.current_epoch)
        trainer.logger.log("lrs", 0.0, trainer.current_epoch)
        trainer.on_validation_epoch_end(counts(dice))
        trainer.on_epoch_end()
    # 0.9 * 0.5 + 0.1 * 1.0 and 0.9 * 0.55 + 0.1 * 0.0
    averages = trainer.logger.get_value("ema_fg_dice", step=None)
    assert averages == pytest.approx([NAN, NAN, 0.5, 0.5, 0.55, 0.495], nan_ok=True)
    assert written == [0, 1, 2, 4]  # the best so far; without any Dice the last one
    assert epochs_since_best(averages) == 1
