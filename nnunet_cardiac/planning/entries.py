"""The entries of each system in a plans file, planned from nnU-Net's plans and the preprocessed data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunet_cardiac.anatomy import TRAINERS, anatomy_labels
from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.options import CropOptions, with_options
from nnunet_cardiac.planning.paper import PAPER_SUFFIX, USES, base_on_grid, paper_entries, paper_grid
from nnunet_cardiac.planning.replanning import NOTE
from nnunet_cardiac.planning.shared_plans import OWNER, plans_for
from nnunet_cardiac.planning.short import SHORT_SUFFIX, SMALL_SUFFIX, short_entries, small_entries
from nnunet_cardiac.planning.slice_crops import (
    crop_configuration,
    measure_hearts,
    reference_labels,
    roi_configuration,
)
from nnunet_cardiac.planning.stacks import PIXEL_MM, stack_configuration
from nnunet_cardiac.planning.targets import Target
from nnunet_cardiac.planning.volume_entries import volume_entries
from nnunet_cardiac.systems.entries import ROI_REGRESSOR, SYSTEMS, System
from nnunet_cardiac.systems.recipe import PLANS_KEY

_JITTER_PIXELS = 8


def fresh_entries(
    target: Target,
    preprocessed: Path,
    trainer: str,
    names: Mapping[str, Any],
    options: CropOptions,
    progress: bool,
) -> dict[str, dict[str, Any]]:
    """Plan a system without regard to what is in the file.

    Args:
        target: The plans that are written and those that they derive from.
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        trainer: Name in the registry.
        names: `labels` of `dataset.json`.
        options: The user's choices, with those of earlier runs.
        progress: Whether to show a progress bar.

    Returns:
        Configuration -> entry.

    Raises:
        UserError: If preprocessed data are missing, or labels or options do not fit.
    """
    system = SYSTEMS[trainer]
    labels, ignore = anatomy_labels(names, TRAINERS[trainer].anatomies), names.get("ignore")
    if target.kind == PAPER_SUFFIX:
        options = with_options({**USES[trainer].options, **options.given})
    if system.stacks:
        entries = _entries_for_stacks(system, target, preprocessed, progress)
    elif system.volumes:
        entries = _entries_for_volumes(system, target, preprocessed, options, progress, ignore)
    else:
        data = preprocessed / target.source["configurations"]["2d"]["data_identifier"]
        entries = _entries(system, data, labels, options, progress, ignore)
    if not target.kind:
        return entries
    base = _base(target, trainer)
    spacing = base["spacing"]
    own = {system.base: _on_paper_grid(target, system, base)} if system.base in system.short_recipe else {}
    entries = {**own, **entries}
    if target.kind == PAPER_SUFFIX:
        return paper_entries(trainer, system, entries, spacing)
    shortened = small_entries if target.kind == SMALL_SUFFIX else short_entries
    return shortened(system, entries, spacing)


def _base(target: Target, trainer: str) -> dict[str, Any]:
    """nnU-Net's own configuration from which those of the system derive, as the trainer sees it."""
    name = SYSTEMS[trainer].base
    entry = plans_for([trainer], target.source)["configurations"][name]
    if target.derives_from_itself and SYSTEMS[trainer].volumes:  # which have patches of fewer slices
        planned = target.source["configurations"][name]
        sizes = {key: planned[key] for key in ("patch_size", "batch_dice") if key in planned}
        entry = {**{key: value for key, value in entry.items() if key != "batch_dice"}, **sizes}
    return {key: value for key, value in entry.items() if key not in (NOTE, OWNER, PLANS_KEY)}


def _on_paper_grid(target: Target, system: System, base: Mapping[str, Any]) -> dict[str, Any]:
    """The base on the paper's grid where plans of that kind are made and it states one."""
    grid = paper_grid(system, base) if target.kind == PAPER_SUFFIX else None
    name = f"{target.plans['plans_name']}_{system.base}"
    return dict(base) if grid is None else base_on_grid(base, grid, name)


def _entries(
    system: System, data: Path, labels: Mapping[str, int], options: CropOptions, progress: bool, ignore: int | None
) -> dict[str, dict[str, Any]]:
    margin = system.margin if options.margin is None else options.margin
    localiser = options.localiser or system.localiser
    boxed = next((one.centre for one in SYSTEMS.values() if one.roi and one.localiser == localiser), None)
    centre = [labels[anatomy] for anatomy in boxed if anatomy in labels] if boxed else None
    hearts = measure_hearts(data, margin, progress, centre, ignore)
    window = hearts.window() if options.window is None else (options.window, options.window)
    per_slice, heart_only = bool(options.per_slice), options.heart_only is not False
    try:
        rule = RegionRule(window, margin, 16, per_slice, bool(options.mask_outside), heart_only=heart_only)
    except ValueError as error:
        raise UserError(f"--window or --margin: {error}") from error
    entries = {}
    if system.roi:
        entries["2d_roi"] = roi_configuration(ROI_REGRESSOR, hearts.whole_slice_patch(), per_slice)
    for name, network in system.crops.items():
        network_class_name, network_kwargs = network or (None, None)
        entries[name] = crop_configuration(
            localiser,
            rule,
            hearts.inference_patch(),
            network_class_name=network_class_name,
            network_kwargs=network_kwargs,
            jitter=_JITTER_PIXELS if options.jitter is None else options.jitter,
            coarse_labels=options.coarse_labels or system.coarse_labels,
            coarse_trainer=options.localiser_trainer,
        )
    return entries


def _entries_for_stacks(
    system: System, target: Target, preprocessed: Path, progress: bool
) -> dict[str, dict[str, Any]]:
    base = target.source["configurations"]["2d"]
    folder = preprocessed / base["data_identifier"]
    shapes = [labels.shape for labels in reference_labels(folder, "2d", progress)]
    small = target.kind == SMALL_SUFFIX
    # Without a GPU there is no time to compute between pixels that nobody measured.
    pixel_mm = max(PIXEL_MM, *base["spacing"]) if small else PIXEL_MM
    # One for all of a grid: they share the data.
    identifier = f"{target.plans['plans_name'] if small else target.data_prefix}_2d_stack"
    training_slices = system.short_training_slices if target.kind in (SMALL_SUFFIX, SHORT_SUFFIX) else None
    return {
        name: stack_configuration(network, shapes, base["spacing"], identifier, kwargs, pixel_mm, training_slices)
        for name, (network, kwargs) in system.stacks.items()
    }


def _entries_for_volumes(
    system: System, target: Target, preprocessed: Path, options: CropOptions, progress: bool, ignore: int | None
) -> dict[str, dict[str, Any]]:
    if options.per_slice:
        raise UserError("--per-slice: a system of volumes has one window for a volume; leave it out.")
    return volume_entries(
        system,
        target,
        preprocessed,
        window=options.window,
        margin_mm=options.margin,
        jitter=options.jitter,
        progress=progress,
        ignore=ignore,
        localiser=options.localiser,
        mask_outside=bool(options.mask_outside),
        heart_only=options.heart_only is not False,
        coarse_labels=options.coarse_labels or system.coarse_labels,
        coarse_trainer=options.localiser_trainer,
        training_slices=system.short_training_slices if target.kind in (SMALL_SUFFIX, SHORT_SUFFIX) else None,
    )
