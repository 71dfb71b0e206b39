"""The plans of a row: nnU-Net's, fitted to the budget, with the configurations, switches and recipes of its family."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nnunet_cardiac.benchmark.accuracy.budgets import Budget, sample_kind, slices_in_sample
from nnunet_cardiac.benchmark.accuracy.fitted_networks import fitted, switched, with_pooled_slices
from nnunet_cardiac.benchmark.accuracy.recipes import stage_recipe
from nnunet_cardiac.benchmark.accuracy.rows import ROWS, Row, family, is_stock
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.planning.links import resolved_entry
from nnunet_cardiac.planning.plan import CropOptions, plan_configurations
from nnunet_cardiac.planning.shared_plans import plans_for, with_configurations
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.systems.recipe import PLANS_KEY
from nnunet_cardiac.systems.rows import RowStage

#: nnU-Net's configurations that others derive from.
_BASES = ("2d", "3d_fullres")


def plans_name(row: Row, recipe: str) -> str:
    """Name of the plans of a row: the same for all rows that share stages."""
    return f"{family(row)}{recipe.capitalize()}"


def write_plans(preprocessed: Path, row: Row, recipe: str, budget: Budget, coarse_labels: str) -> Path:
    """Write the plans of a row's family; with the same arguments the file stays as it is.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`, planned by the row's planner and preprocessed for its bases.
        row: Any row of the family.
        recipe: Name of the recipe.
        budget: Grid, widths, batch and length.
        coarse_labels: `simulated` or `predicted`.

    Returns:
        The plans file.

    Raises:
        UserError: As :func:`nnunet_cardiac.planning.plan.plan_configurations`.
    """
    name = plans_name(row, recipe)
    plans = read_json(preprocessed / f"{row.plans}.json")
    for base in _BASES:
        if base in plans["configurations"]:
            plans["configurations"][base] = fitted(plans["configurations"][base], budget.patch, budget.width)
    plans["plans_name"] = name
    if not is_stock(row):
        plans = _with_system(preprocessed, row, plans, budget, coarse_labels)
    stages = dict(_family_stages(row, plans))
    copies = {stage.configuration: _copied(plans, stage) for stage in stages.values() if stage.like is not None}
    plans = with_configurations(plans, copies, row.trainer)
    slices = mean_slices(preprocessed, plans)
    for stage in stages.values():
        entry = plans["configurations"][stage.configuration]
        entry |= _budgeted(
            row, stage, recipe, budget, resolved_entry(plans["configurations"], stage.configuration), slices
        )
    path = preprocessed / f"{name}.json"
    if not path.is_file() or read_json(path) != plans:
        write_json(path, plans)
    return path


def training_patch(entry: Mapping[str, Any]) -> list[int]:
    """Size of a training sample of a resolved configuration."""
    if entry.get("previous_stage"):
        return list(entry["architecture"]["arch_kwargs"]["window"])
    return list(entry.get("training_patch_size", entry["patch_size"]))


def mean_slices(preprocessed: Path, plans: Mapping[str, Any]) -> float:
    """Mean number of slices of the training set, from nnU-Net's fingerprint."""
    axis = plans["transpose_forward"][0]
    shapes = read_json(preprocessed / "dataset_fingerprint.json")["shapes_after_crop"]
    return statistics.fmean(shape[axis] for shape in shapes)


def count_slices(entry: Mapping[str, Any], mean: float) -> float:
    """How many slices a training sample of a resolved configuration counts."""
    patch = training_patch(entry)
    kind = sample_kind(len(patch), len(entry["spacing"]))
    return slices_in_sample(kind, patch[0] if len(patch) == 3 else 1, mean)


def _with_system(
    preprocessed: Path, row: Row, plans: Mapping[str, Any], budget: Budget, coarse_labels: str
) -> dict[str, Any]:
    """Let `nnunet_cardiac plan` add the configurations of the row's trainer; they alone are kept."""
    base = f"{family(row)}Base"
    write_json(preprocessed / f"{base}.json", {**plans, "plans_name": base})
    slices_only = not TRAINERS[row.trainer].is_for_volumes
    options = CropOptions(
        coarse_labels=coarse_labels, small=budget.small, margin=budget.margin if slices_only else None
    )
    small = preprocessed / f"{base}Small.json"
    small.unlink(missing_ok=True)  # of another budget or version
    path = plan_configurations(preprocessed, base, row.trainer, options, progress=False).path
    return {**plans_for([row.trainer], read_json(path)), "plans_name": plans["plans_name"]}


def _family_stages(row: Row, plans: Mapping[str, Any]) -> Iterator[tuple[str, RowStage]]:
    """Stages of all rows with the same plans, so that the file does not depend on which row comes first."""
    for other in ROWS.values():
        if (other.trainer, other.plans) == (row.trainer, row.plans):
            for stage in other.stages:
                if stage.planned in plans["configurations"]:
                    yield stage.configuration, stage


def _copied(plans: Mapping[str, Any], stage: RowStage) -> dict[str, Any]:
    entry = dict(plans["configurations"][stage.planned])
    entry["next_stage"] = None
    if stage.network is not None:
        entry = switched(entry, stage.network)
    return with_pooled_slices(entry) if stage.pool_z else entry


def _budgeted(
    row: Row, stage: RowStage, recipe: str, budget: Budget, entry: Mapping[str, Any], slices: float
) -> dict[str, Any]:
    """What the budget says of a configuration; `entry` is resolved."""
    patch = training_patch(entry)
    kind = sample_kind(len(patch), len(entry["spacing"]))
    length = {
        "epochs": budget.epochs,
        "iterations": budget.steps_per_epoch(kind, count_slices(entry, slices), stage.samples),
        "val_iterations": budget.val_iterations,
    }
    batch = budget.batch[kind]
    # Stacks are cut as slices are, at prediction, too; localisers see whole images whatever the budget says.
    cut = {}
    if kind == "stack" and budget.patch is not None:
        size = [patch[0], *(min(side, budget.patch) for side in patch[1:])]
        cut = {"patch_size": size, "training_patch_size": size}
    flips = budget.mirroring or recipe in ("plain", "paper")  # part of a paper's augmentation
    mirroring = {"test_time_mirroring": budget.mirroring, "flips": flips}  # the same for all rows
    own = {} if is_stock(row) else {"batch_size": batch, **mirroring}
    return {
        "batch_size": batch,
        **cut,
        PLANS_KEY: {**stage_recipe(row, stage, recipe, budget.epochs), **own, **length},
        "mirroring": flips,
        "validate": bool(entry.get("next_stage")),
        **({} if budget.minutes is None else {"training_minutes": budget.minutes * stage.samples}),
    }
