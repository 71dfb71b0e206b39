"""Plans with the grid, the preprocessing and the recipe of each paper, as far as it states them.

What is the paper's, what is ours because the paper is silent, and what plans cannot say is in the file of each system
(:class:`nnunet_cardiac.systems.facts.AsInPaper`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nnunet_cardiac.anatomy import canonical_anatomy
from nnunet_cardiac.planning.slice_crops import CROP_NETWORK
from nnunet_cardiac.planning.volume_sizes import keeps_z
from nnunet_cardiac.systems import TrainerFacts
from nnunet_cardiac.systems.facts import AsInPaper
from nnunet_cardiac.systems.kinds import Network, Planned, VolumeLocaliser
from nnunet_cardiac.systems.recipe import DECIDED, Recipe

#: Fields of a recipe beside those that say how a network learns.
_LENGTH = ("epochs", "batch_size", "patience")


def paper_entries(
    trainer: TrainerFacts, entries: Mapping[str, Mapping[str, Any]], spacing: Sequence[float]
) -> dict[str, dict[str, Any]]:
    """Return configurations with the networks and the recipe of the paper.

    Args:
        trainer: One with `paper`.
        entries: Configuration -> entry, with nnU-Net's own if the system trains it.
        spacing: Of nnU-Net's configuration as nnU-Net planned it, in mm.
    """
    use = _as_in_paper(trainer)
    planned = {}
    for name, entry in entries.items():
        configuration = trainer.find(name)
        if isinstance(configuration, Planned):
            patch = {} if use.patch is None else {"patch_size": list(use.patch)}
            entry = {**entry, **patch, "architecture": Network(configuration.network).to_plans()}
        switches: dict[str, Any] = {"clahe": True} if use.clahe else {}
        if use.filters and not isinstance(configuration, VolumeLocaliser):
            switches["filters"] = use.filters[0 if keeps_z(spacing) else 1]
        planned[name] = {**_with_switches(entry, switches), "recipe": recipe_entry(use.recipe)}
    return planned


def recipe_entry(recipe: Recipe) -> dict[str, Any]:
    """Return the `recipe` entry of plans, JSON-ready."""
    values = {name: getattr(recipe, name) for name in (*DECIDED, *_LENGTH)}
    return {**values, "milestones": list(recipe.milestones)}


def _with_switches(entry: Mapping[str, Any], switches: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration whose network has further arguments; those of a crop go to its inner network."""
    if not switches:
        return dict(entry)
    path, arguments = (entry["architecture"][key] for key in ("network_class_name", "arch_kwargs"))
    if path == CROP_NETWORK:
        switches = {"network_kwargs": {**arguments.get("network_kwargs", {}), **switches}}
    return {**entry, "architecture": Network(path, {**arguments, **switches}).to_plans()}


def paper_notes(trainer: TrainerFacts, labels: Mapping[str, object]) -> Iterator[str]:
    """Yield the lines that `plan --paper` prints.

    Args:
        trainer: One with `paper`.
        labels: Those of `dataset.json`.
    """
    use = _as_in_paper(trainer)
    yield from (f"Of the paper: {line}" for line in use.stated)
    yield from (f"Ours: {line}" for line in use.ours)
    yield from (f"Not in plans: {line}" for line in use.elsewhere)
    if use.anatomies is None:
        return
    named = {anatomy for name in labels if (anatomy := canonical_anatomy(name)) is not None}
    more, less = sorted(named - set(use.anatomies)), sorted(set(use.anatomies) - named)
    if more:
        yield f"Not of the paper: the data set names {', '.join(more)}, which is segmented, too"
    if less:
        yield f"Not of the paper: the data set does not name {', '.join(less)}"


def _as_in_paper(trainer: TrainerFacts) -> AsInPaper:
    if trainer.paper is None:
        raise ValueError(f"{trainer.name} says nothing of its paper")
    return trainer.paper
