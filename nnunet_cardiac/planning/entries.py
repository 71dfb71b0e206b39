"""The entries of a trainer in a plans file, planned from nnU-Net's plans and the preprocessed data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.options import PAPER, SMALL, CropOptions, with_options
from nnunet_cardiac.planning.paper import paper_entries
from nnunet_cardiac.planning.paper_grid import base_on_grid
from nnunet_cardiac.planning.replanning import NOTE
from nnunet_cardiac.planning.request import Request
from nnunet_cardiac.planning.shared_plans import OWNER, plans_for
from nnunet_cardiac.planning.short import short_entries, small_entries
from nnunet_cardiac.planning.slice_crops import box_regressor_entry, slice_crop_entry
from nnunet_cardiac.planning.stacks import stack_entry
from nnunet_cardiac.planning.targets import Target
from nnunet_cardiac.planning.volumes import joint_volume_entry, volume_crop_entry, volume_localiser_entry
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.systems.kinds import (
    BoxRegressor,
    JointVolume,
    SliceCrop,
    VolumeCrop,
    VolumeLocaliser,
    WholeStack,
)
from nnunet_cardiac.systems.recipe import PLANS_KEY

#: Kind of a configuration -> what plans its entry. nnU-Net plans its own.
_PLANNERS: dict[type, Callable[[Any, Request], dict[str, Any]]] = {
    BoxRegressor: box_regressor_entry,
    SliceCrop: slice_crop_entry,
    WholeStack: stack_entry,
    VolumeLocaliser: volume_localiser_entry,
    VolumeCrop: volume_crop_entry,
    JointVolume: joint_volume_entry,
}


def fresh_entries(
    target: Target,
    preprocessed: Path,
    trainer: str,
    names: Mapping[str, Any],
    options: CropOptions,
    progress: bool,
) -> dict[str, dict[str, Any]]:
    """Plan a trainer's configurations without regard to what is in the file.

    Args:
        target: The plans that are written and those that they derive from.
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        trainer: Key of `TRAINERS`.
        names: `labels` of `dataset.json`.
        options: The user's choices, with those of earlier runs.
        progress: Whether to show a progress bar.

    Returns:
        Configuration -> entry.

    Raises:
        UserError: If preprocessed data are missing, or labels or options do not fit.
    """
    facts = TRAINERS[trainer]
    labels, ignore = anatomy_labels(names, facts.anatomies), names.get("ignore")
    if target.kind == PAPER:
        if facts.paper is None:
            raise UserError(f"--paper: nothing is written down of the paper of {trainer}; leave --paper out.")
        options = with_options({**facts.paper.options, **options.given})
    if options.per_slice and facts.is_for_volumes:
        raise UserError("--per-slice: a system of volumes has one window for a volume; leave it out.")
    request = Request(facts, target, preprocessed, labels, ignore, options, progress)
    entries = {
        one.name: _PLANNERS[type(one)](one, request)
        for one in facts.configurations
        if type(one) in _PLANNERS and (target.kind == PAPER or not one.needs_paper_plans)
    }
    if not target.kind:
        return entries
    base = _base(request)
    if facts.find(facts.base) is not None:
        entries = {facts.base: _on_paper_grid(request, base), **entries}
    if target.kind == PAPER:
        return paper_entries(facts, entries, base["spacing"])
    shortened = small_entries if target.kind == SMALL else short_entries
    return shortened(facts, entries, base["spacing"])


def _base(request: Request) -> dict[str, Any]:
    """nnU-Net's own configuration from which the others derive, as the trainer sees it."""
    name, source = request.trainer.base, request.target.source
    entry = plans_for([request.trainer.name], source)["configurations"][name]
    if request.target.derives_from_itself and request.trainer.is_for_volumes:  # which have patches of fewer slices
        planned = source["configurations"][name]
        sizes = {key: planned[key] for key in ("patch_size", "batch_dice") if key in planned}
        entry = {**{key: value for key, value in entry.items() if key != "batch_dice"}, **sizes}
    return {key: value for key, value in entry.items() if key not in (NOTE, OWNER, PLANS_KEY)}


def _on_paper_grid(request: Request, base: Mapping[str, Any]) -> dict[str, Any]:
    """The base on the paper's grid where plans of that kind are made and it states one."""
    name = f"{request.target.plans['plans_name']}_{request.trainer.base}"
    return dict(base) if request.grid is None else base_on_grid(base, request.grid, name)
