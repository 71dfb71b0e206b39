"""The recipe of each network of a row, as the plans take it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from nnunet_cardiac.benchmark.accuracy.rows import Row, Stage
from nnunet_cardiac.planning.short import DECIDED, short_recipe
from nnunet_cardiac.systems.entries import SYSTEMS
from nnunet_cardiac.systems.recipe import NNUNET, PAPER, Recipe


def stage_recipe(row: Row, stage: Stage, name: str, epochs: int) -> dict[str, Any]:
    """Return the `recipe` entry of a stage's configuration, without length and batch, which are the budget's.

    Args:
        row: With one of our trainers; nnU-Net's own has no choice.
        stage: Of the row.
        name: Of `RECIPES`.
        epochs: Of the budget; milestones of a paper's schedule move in proportion.

    Returns:
        Field -> value, JSON-ready. Training never stops early: the budget is what is compared.
    """
    if row.stock:
        return {}
    if name == "paper":
        entry = _of(PAPER[row.trainer], epochs)
    elif name == "nnunet" and not stage.localises:
        entry = _of(NNUNET, epochs)
    else:
        entry = short_recipe(SYSTEMS[row.trainer], stage.planned)
        if name == "plain" and entry["augmentation"] == "nnunet":
            entry["augmentation"] = "paper"
    return {**entry, "patience": None}


def _of(recipe: Recipe, epochs: int) -> dict[str, Any]:
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name in DECIDED}
    return {**values, "milestones": [round(m * epochs / recipe.epochs) for m in recipe.milestones]}
