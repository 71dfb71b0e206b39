"""The budget on top of a trainer: names, and the length of epochs where wall time counts."""

from __future__ import annotations

import pickle

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_cardiac.benchmark.accuracy import budget_variants as variants
from nnunet_cardiac.benchmark.accuracy import budgeted_training
from nnunet_cardiac.benchmark.accuracy.budgeted_training import BudgetedTraining
from nnunet_cardiac.trainers.crocnet import CroCNetTrainer


def test_the_baseline_is_nnunets_trainer_and_nothing_else() -> None:
    baseline = variants.nnUNetTrainer_Budget
    assert baseline.__mro__[1:3] == (BudgetedTraining, nnUNetTrainer)
    changed = {name for name in vars(BudgetedTraining) if hasattr(nnUNetTrainer, name) and not name.startswith("__")}
    # Neither network, nor loss, optimiser, schedule or augmentation.
    assert changed == {
        "initialize",
        "get_dataloaders",
        "configure_rotation_dummyDA_mirroring_and_inital_patch_size",
        "on_train_start",
        "on_train_epoch_start",
        "on_train_epoch_end",
        "on_epoch_end",
        "on_train_end",
        "train_step",
        "perform_actual_validation",
    }


def test_names_and_pickling() -> None:
    ours = variants.CroCNetTrainer_Budget
    assert issubclass(ours, CroCNetTrainer)
    assert issubclass(ours, BudgetedTraining)
    assert pickle.loads(pickle.dumps(ours)) is ours
    for name in ("nnUNetTrainer_5epochs", "nnUNetTrainer_nnUNetRecipe_Budget"):
        with pytest.raises(AttributeError):
            getattr(variants, name)


def test_epochs_share_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = object.__new__(BudgetedTraining)
    trainer._minutes, trainer.num_epochs = 1.0, 11
    now = 100.0
    monkeypatch.setattr(budgeted_training, "perf_counter", lambda: now)
    trainer.current_epoch, trainer._epoch_steps, trainer._counted_from = 0, [], now
    assert trainer._steps_that_fit() == 20  # compiles, is not counted
    # The first steps were slow; the later half took 0.1 s each. 60 s for ten epochs.
    trainer.current_epoch, trainer._epoch_steps = 1, [40.0, 60.0, 80.0, 99.5, 99.6, 99.7, 99.8]
    assert trainer._steps_that_fit() == 60
    # An epoch of ten steps of 0.2 s with 1 s of validation behind it; 36 s left for 9 epochs: 4 s each.
    now = 124.0
    trainer.current_epoch, trainer._epoch_steps = 2, [121.2 + 0.2 * i for i in range(10)]
    assert trainer._steps_that_fit() == pytest.approx((4 - 1) / 0.2, abs=1)
    now = 170.0  # over
    assert trainer._steps_that_fit() == 1
