"""The recipe of each network of a row, as the plans take it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from nnunet_cardiac.benchmark.accuracy.rows import Row, is_stock
from nnunet_cardiac.planning.short import short_recipe
from nnunet_cardiac.systems import TRAINERS, TrainerFacts
from nnunet_cardiac.systems.recipe import DECIDED, NNUNET, Recipe
from nnunet_cardiac.systems.rows import RowStage


def stage_recipe(row: Row, stage: RowStage, name: str, epochs: int) -> dict[str, Any]:
    """Return the `recipe` entry of a stage's configuration, without length and batch, which are the budget's.

    Args:
        row: With one of our trainers; nnU-Net's own has no choice.
        stage: Of the row.
        name: Of `RECIPES`.
        epochs: Of the budget; milestones of a paper's schedule move in proportion.

    Returns:
        Field -> value, JSON-ready. Training never stops early: the budget is what is compared.
    """
    if is_stock(row):
        return {}
    if name == "paper":
        entry = _of(_recipe_of_paper(TRAINERS[row.trainer]), epochs)
    elif name == "nnunet" and not stage.localises:
        entry = _of(NNUNET, epochs)
    else:
        entry = short_recipe(TRAINERS[row.trainer], stage.planned)
        if name == "plain" and entry["augmentation"] == "nnunet":
            entry["augmentation"] = "paper"
    return {**entry, "patience": None}


def _recipe_of_paper(trainer: TrainerFacts) -> Recipe:
    return trainer.recipe if trainer.paper is None else trainer.paper.recipe


def _of(recipe: Recipe, epochs: int) -> dict[str, Any]:
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name in DECIDED}
    return {**values, "milestones": [round(m * epochs / recipe.epochs) for m in recipe.milestones]}
