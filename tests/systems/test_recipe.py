"""Recipes: the papers' numbers, changes from plans, learning rates."""

from __future__ import annotations

import pytest
import torch

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems.crocnet import RECIPE as CROCNET
from nnunet_cardiac.systems.recipe import NNUNET, Recipe
from nnunet_cardiac.trainers.recipe.schedules import MilestoneSchedule


def test_crocnet_is_the_paper() -> None:
    assert (CROCNET.optimizer, CROCNET.initial_lr, CROCNET.milestones, CROCNET.epochs) == (
        "adam",
        1e-4,
        (100, 200),
        500,
    )
    assert (CROCNET.loss, CROCNET.augmentation) == ("dice", "paper")


def test_learning_rate_drops_after_100_and_200_epochs() -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], 1.0)
    schedule = MilestoneSchedule(optimizer, CROCNET.initial_lr, CROCNET.milestones, CROCNET.gamma)
    rates = {}
    for epoch in (0, 99, 100, 199, 200, 499):
        schedule.step(epoch)
        rates[epoch] = optimizer.param_groups[0]["lr"]
    assert rates == pytest.approx({0: 1e-4, 99: 1e-4, 100: 1e-5, 199: 1e-5, 200: 1e-6, 499: 1e-6})


def test_plans_change_fields() -> None:
    changed = CROCNET.with_plans({"recipe": {"initial_lr": 1e-3, "milestones": [10]}})
    assert changed.initial_lr == 1e-3
    assert changed.milestones == (10,)
    assert changed.epochs == CROCNET.epochs
    assert CROCNET.with_plans({}) == CROCNET
    assert NNUNET.batch_size is None  # the plans' own


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"learning_rate": 1}, "unknown entries learning_rate; known are optimizer, initial_lr"),
        ({"optimizer": "lion"}, "optimizer is 'lion', expected one of adam, sgd"),
        ({"flips": "false"}, "flips is 'false', expected true or false"),
        ({"test_time_mirroring": 0}, "test_time_mirroring is 0, expected true or false"),
        ({"epochs": 0}, "epochs is 0, expected a positive number"),
        ({"max_gradient_norm": 0}, "max_gradient_norm is 0, expected a positive number"),
    ],
)
def test_mistakes_in_plans_are_explained(recipe: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        CROCNET.with_plans({"recipe": recipe})


@pytest.mark.parametrize(
    ("recipe", "named", "epochs", "milestones"),
    [
        ({}, 20, 20, (4, 8)),  # a fifth and two fifths, as 100 and 200 of 500
        ({"epochs": 50}, None, 50, (10, 20)),
        ({"epochs": 50}, 1000, 1000, (200, 400)),  # the name of the trainer wins
        ({"milestones": [7]}, 20, 20, (7,)),
        ({}, 8, 8, (2, 4)),
        ({}, 1, 1, (1, 1)),  # never reached
        ({}, None, 500, (100, 200)),
    ],
)
def test_milestones_move_with_the_number_of_epochs(
    recipe: dict, named: int | None, epochs: int, milestones: tuple[int, ...]
) -> None:
    changed = CROCNET.with_plans({"recipe": recipe}, named)
    assert (changed.epochs, changed.milestones) == (epochs, milestones)


def test_the_warm_up_of_the_gates_keeps_its_share() -> None:
    recipe = Recipe(epochs=200, loss="gated", gate_warmup=10)
    assert [recipe.with_plans({}, n).gate_warmup for n in (200, 100, 30, 1)] == [10, 5, 2, 1]
    assert recipe.with_plans({"recipe": {"epochs": 40}}).gate_warmup == 2
    assert recipe.with_plans({"recipe": {"gate_warmup": 0}}, 40).gate_warmup == 0
