"""The rows of the table of all systems, and the recipes that they can be trained with. Without torch."""

from __future__ import annotations

from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import SYSTEMS, system_of
from nnunet_cardiac.systems.rows import Row, RowStage

#: nnU-Net's own trainer.
STOCK = "nnUNetTrainer"

#: The row that all others are tested against.
REFERENCE = "nnunet-2d"

#: Runs of before this date, of rows with one of these configurations, were trained on other windows, runs of slices or
#: statistics than they predicted on; see `predicted_on_other_samples`.
SAME_SAMPLES_SINCE = "2026-11-30"
_TOUCHED = ("2d_crop", "2d_roi", "2d_stack", "3d_crop", "3d_locate")

#: Recipes by name -> what they are.
RECIPES: dict[str, str] = {
    "short": "the system's recipe for short trainings (that of `nnunet_cardiac plan --short`), nnU-Net's augmentation",
    "plain": "the same with the augmentation of the system's paper",
    "paper": "optimiser, rate, schedule, loss and augmentation of the system's paper",
    "nnunet": "nnU-Net's optimiser, rate, schedule, loss and augmentation",
}


def _nnunet(title: str, configuration: str, **options: Any) -> Row:
    return Row(title, STOCK, (RowStage(configuration),), **options)


_BASELINES = {
    REFERENCE: _nnunet("nnU-Net 2d", "2d"),
    "nnunet-2d-largest": _nnunet("nnU-Net 2d, largest component", "2d", largest_component=True),
    "nnunet-2d-double": Row("nnU-Net 2d, twice the budget", STOCK, (RowStage("2d_double", "2d", samples=2.0),)),
    "nnunet-3d": _nnunet("nnU-Net 3d_fullres", "3d_fullres", base=("3d_fullres",)),
    "nnunet-resenc-m": _nnunet(
        "nnU-Net ResEnc-M 2d", "2d", planner="nnUNetPlannerResEncM", plans="nnUNetResEncUNetMPlans"
    ),
}

#: Name for `--system` -> row, in the order of the documentation.
ROWS: dict[str, Row] = {**_BASELINES, **{name: row for system in SYSTEMS.values() for name, row in system.rows.items()}}


def is_stock(row: Row) -> bool:
    """Whether a row is nnU-Net's own."""
    return row.trainer == STOCK


def heading(row: Row) -> str:
    """System under which a row is listed."""
    return "nnU-Net" if is_stock(row) else system_of(row.trainer).title


def recipes_of(row: Row) -> tuple[str, ...]:
    """Names of the recipes that a row can be trained with, the default first."""
    return ("nnunet",) if is_stock(row) else tuple(RECIPES)


def family(row: Row) -> str:
    """Start of the name of a row's plans: those of rows that share stages are the same."""
    return row.plans.removesuffix("Plans") if is_stock(row) else row.trainer.removesuffix("Trainer")


def predicted_on_other_samples(row: Row, date: str) -> bool:
    """Whether a run of a date, in ISO 8601, judged also the difference between training and prediction."""
    return date < SAME_SAMPLES_SINCE and any(stage.planned.startswith(_TOUCHED) for stage in row.stages)


def find_row(name: str) -> Row:
    """Return a row by its name.

    Raises:
        UserError: If there is none.
    """
    if name not in ROWS:
        raise UserError(f"--system {name}: no such row; choose one of {', '.join(ROWS)}.")
    return ROWS[name]


def choose_recipe(row: Row, name: str | None) -> str:
    """Return the recipe that a row is trained with; by default `short`, and nnU-Net's own for nnU-Net.

    Raises:
        UserError: If it is none of the row's.
    """
    if name is None:
        return recipes_of(row)[0]
    if name not in recipes_of(row):
        raise UserError(
            f"--recipe {name}: {row.title} is trained with {' or '.join(recipes_of(row))}; a baseline with another "
            "recipe would no longer be one. Leave --recipe out."
            if is_stock(row)
            else f"--recipe {name}: no such recipe; choose one of {', '.join(recipes_of(row))}."
        )
    return name
