"""Plans for short trainings: a recipe that learns fast, on the papers' networks or on narrow ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_cardiac.planning.slice_crops import CROP_NETWORK, architecture
from nnunet_cardiac.planning.volumes import with_fewer_slices
from nnunet_cardiac.systems.entries import System

#: Endings of the names of plans with narrow networks, and with the papers'.
SMALL_SUFFIX, SHORT_SUFFIX = "Small", "Short"

#: Fields of a recipe that say how a network learns; the others say how long, and in which batches.
DECIDED = (
    "optimizer",
    "initial_lr",
    "weight_decay",
    "schedule",
    "milestones",
    "gamma",
    "loss",
    "augmentation",
    "gate_source",
    "gate_warmup",
    "max_gradient_norm",
)

#: Length of a short training where the name of the trainer says none, and slices in its batch (docs/accuracy.md).
_EPOCHS, _SLICES = 100, 8

Entries = Mapping[str, Mapping[str, Any]]


def short_recipe(system: System, configuration: str) -> dict[str, Any]:
    """Return how a network learns in a short training, with nnU-Net's augmentation unless it regresses positions.

    Args:
        system: Which one.
        configuration: One that the system plans.
    """
    own = system.short_recipe[configuration]
    return {"augmentation": "nnunet", **{name: value for name, value in own.items() if name in DECIDED}}


def short_entries(system: System, entries: Entries, spacing: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Return configurations for short trainings of the papers' networks.

    They are what `short` is in docs/accuracy.md, at full width and of any length; preprocessed data stay the same.

    Args:
        system: Which one.
        entries: Configuration -> entry.
        spacing: Of the system's base in mm.
    """
    short = {}
    for name, entry in entries.items():
        batch = system.short_recipe[name]["batch_size"] if system.short_training_slices else _SLICES
        length = {"epochs": _EPOCHS, "batch_size": batch, "patience": None}
        entry = {**entry, "recipe": {**short_recipe(system, name), **length}}
        short[name] = _with_runs_of_slices(system, entry, spacing)
    return short


def small_entries(system: System, entries: Entries, spacing: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Return configurations with narrow networks and epochs of some steps; preprocessed data stay the same.

    Args:
        system: Which one.
        entries: Configuration -> entry.
        spacing: Of the system's base in mm.
    """
    small = {}
    for name, entry in entries.items():
        path, kwargs = system.small[name]
        if name in system.crops:
            arguments = entry["architecture"]["arch_kwargs"]
            kwargs = {**arguments.get("network_kwargs", {}), **kwargs} if system.volumes else kwargs
            arguments = {**arguments, "network_class_name": path, "network_kwargs": kwargs}
            new = architecture(CROP_NETWORK, arguments)
        else:
            own = entry["architecture"]["arch_kwargs"] if name != system.base else {}
            new = architecture(path, {**own, **kwargs})
        entry = {**entry, "architecture": new, "recipe": dict(system.short_recipe[name])}
        small[name] = _with_runs_of_slices(system, entry, spacing)
    return small


def _with_runs_of_slices(system: System, entry: Mapping[str, Any], spacing: Sequence[float]) -> dict[str, Any]:
    """Let volumes be trained in runs of slices; windows and stacks are planned so, localisers see whole volumes."""
    if not system.volumes or entry.get("previous_stage") or "training_patch_size" in entry:
        return dict(entry)
    return with_fewer_slices(entry, spacing, system.short_training_slices)
