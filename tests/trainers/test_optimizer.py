"""What the recipe says of the optimiser, without a training."""

from __future__ import annotations

import pytest
import torch

from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.trainers.crocnet import CroCNetTrainer


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize(("limit", "expected"), [(None, 5.0), (0.5, 0.5), (20.0, 5.0)])
def test_long_gradients_are_shortened_before_the_step(optimizer: str, limit: float | None, expected: float) -> None:
    trainer = CroCNetTrainer.__new__(CroCNetTrainer)
    trainer.recipe = Recipe(optimizer=optimizer, max_gradient_norm=limit)
    trainer.network = torch.nn.Linear(2, 1, bias=False)
    trainer.initial_lr, trainer.weight_decay, trainer.num_epochs = 1.0, 0.0, 10
    trainer.device = torch.device("cpu")
    stepper, _ = trainer.configure_optimizers()
    weight = trainer.network.weight
    weight.grad = torch.tensor([[3.0, 4.0]])
    before = weight.detach().clone()
    stepper.step()
    assert weight.grad.norm().item() == pytest.approx(expected, rel=1e-5)
    assert (weight != before).all()
