"""Budget arithmetic by hand, and which rows and recipes there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nnunet_cardiac.benchmark.accuracy.budgets import BUDGETS, find_budget, sample_kind, slices_in_sample
from nnunet_cardiac.benchmark.accuracy.rows import RECIPES, REFERENCE, ROWS, choose_recipe, find_row, heading, is_stock
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import TRAINERS


def test_steps_by_hand() -> None:
    budget = replace(BUDGETS["cpu-small"], samples=1000, epochs=5, batch={"slice": 10, "stack": 2, "volume": 1})
    assert budget.steps_per_epoch("slice", 1) == 20
    assert budget.steps_per_epoch("slice", 1, factor=2) == 40
    assert budget.steps_per_epoch("stack", 9.5) == 11  # 1000 / (5 * 2 * 9.5) = 10.5
    assert budget.steps_per_epoch("volume", 8) == 25
    assert replace(budget, samples=1).steps_per_epoch("volume", 8) == 1


def test_kinds_and_slices() -> None:
    assert [sample_kind(*axes) for axes in ((2, 2), (3, 2), (3, 3), (2, 3))] == ["slice", "stack", "volume", "slice"]
    assert slices_in_sample("slice", 1, 9.5) == 1
    assert slices_in_sample("stack", 24, 9.5) == 9.5  # filled up to 24
    assert slices_in_sample("volume", 6, 9.5) == 6


def test_every_budget_is_complete() -> None:
    for budget in BUDGETS.values():
        assert (budget.samples is None) != (budget.minutes is None)
        assert set(budget.batch) == {"slice", "stack", "volume"}
        assert budget.device == "cpu" or not budget.repeatable
    assert BUDGETS["cpu-small"].device == "cpu"
    assert BUDGETS["gpu-10min"].device == "cuda"


def test_the_rows_that_the_table_needs_are_there() -> None:
    systems = [heading(row) for row in ROWS.values()]
    assert {name: systems.count(name) for name in set(systems)} == {
        "nnU-Net": 5,
        "CroCNet": 4,
        "HALSR-Net": 4,
        "Classifier-guided": 7,
        "3D DR-UNet": 6,
    }
    assert REFERENCE in ROWS
    assert len({row.title for row in ROWS.values()}) == len(ROWS)
    assert {row.trainer for row in ROWS.values() if not is_stock(row)} == set(TRAINERS)
    for row in ROWS.values():
        # A stage of one configuration is the same stage in every row of a family, or they could not share it.
        others = [other for other in ROWS.values() if (other.trainer, other.plans) == (row.trainer, row.plans)]
        for stage in row.stages:
            assert all(s == stage for o in others for s in o.stages if s.configuration == stage.configuration)


def test_recipes_are_chosen_or_refused() -> None:
    assert choose_recipe(ROWS["crocnet"], None) == "short"
    assert choose_recipe(ROWS[REFERENCE], None) == "nnunet"
    assert [choose_recipe(ROWS["halsr"], name) for name in RECIPES] == list(RECIPES)
    with pytest.raises(UserError, match=r"--recipe paper: nnU-Net 2d is trained with nnunet; a baseline"):
        choose_recipe(ROWS[REFERENCE], "paper")
    with pytest.raises(UserError, match=r"--recipe fast: no such recipe; choose one of short, plain, paper, nnunet"):
        choose_recipe(ROWS["halsr"], "fast")


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"--system unet: no such row; choose one of nnunet-2d, "):
        find_row("unet")
    with pytest.raises(UserError, match=r"--budget long: no such budget; choose one of cpu-small, gpu-10min, smoke"):
        find_budget("long")
