"""Plans for short trainings: a recipe that learns fast, on the papers' networks or on narrow ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_cardiac.planning.slice_crops import CROP_NETWORK
from nnunet_cardiac.planning.volumes import with_fewer_slices
from nnunet_cardiac.systems import TrainerFacts
from nnunet_cardiac.systems.kinds import Configuration, Network, SliceCrop, VolumeCrop
from nnunet_cardiac.systems.recipe import DECIDED

#: Length of a short training where the name of the trainer says none, and slices in its batch.
_EPOCHS, _SLICES = 100, 8

Entries = Mapping[str, Mapping[str, Any]]


def short_recipe(trainer: TrainerFacts, configuration: str) -> dict[str, Any]:
    """Return how a network learns in a short training, with nnU-Net's augmentation unless it regresses positions.

    Args:
        trainer: Which one.
        configuration: One of its configurations.
    """
    own = _find(trainer, configuration).short
    return {"augmentation": "nnunet", **{name: value for name, value in own.items() if name in DECIDED}}


def short_entries(trainer: TrainerFacts, entries: Entries, spacing: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Return configurations for short trainings of the papers' networks.

    They are at full width and of any length; preprocessed data stay the same.

    Args:
        trainer: Which one.
        entries: Configuration -> entry.
        spacing: Of the trainer's base in mm.
    """
    short = {}
    for name, entry in entries.items():
        batch = _find(trainer, name).short.get("batch_size", _SLICES) if trainer.short_slices else _SLICES
        length = {"epochs": _EPOCHS, "batch_size": batch, "patience": None}
        entry = {**entry, "recipe": {**short_recipe(trainer, name), **length}}
        short[name] = _with_runs_of_slices(trainer, entry, spacing)
    return short


def small_entries(trainer: TrainerFacts, entries: Entries, spacing: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Return configurations with narrow networks and epochs of some steps; preprocessed data stay the same.

    Args:
        trainer: Which one.
        entries: Configuration -> entry.
        spacing: Of the trainer's base in mm.
    """
    small = {}
    for name, entry in entries.items():
        configuration = _find(trainer, name)
        entry = {**_narrowed(trainer, configuration, entry), "recipe": dict(configuration.short)}
        small[name] = _with_runs_of_slices(trainer, entry, spacing)
    return small


def _narrowed(trainer: TrainerFacts, configuration: Configuration, entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with the narrow network of its configuration, if it has one."""
    narrow = configuration.narrow
    if narrow is None:
        return dict(entry)
    arguments = entry["architecture"]["arch_kwargs"]
    if isinstance(configuration, SliceCrop | VolumeCrop):
        # Those of volumes say whether slices are pooled; those of slices are the narrow network's alone.
        inner = arguments.get("network_kwargs", {}) if isinstance(configuration, VolumeCrop) else {}
        inside = {"network_class_name": narrow.path, "network_kwargs": {**inner, **narrow.arguments}}
        network = Network(CROP_NETWORK, {**arguments, **inside})
    else:
        own = arguments if configuration.name != trainer.base else {}
        network = Network(narrow.path, {**own, **narrow.arguments})
    return {**entry, "architecture": network.to_plans()}


def _find(trainer: TrainerFacts, name: str) -> Configuration:
    found = trainer.find(name)
    if found is None:
        raise KeyError(f"{trainer.name} has no configuration {name!r}")
    return found


def _with_runs_of_slices(trainer: TrainerFacts, entry: Mapping[str, Any], spacing: Sequence[float]) -> dict[str, Any]:
    """Let volumes be trained in runs of slices; windows and stacks are planned so, localisers see whole volumes."""
    if not trainer.is_for_volumes or entry.get("previous_stage") or "training_patch_size" in entry:
        return dict(entry)
    return with_fewer_slices(entry, spacing, trainer.short_slices)
