"""Add the configurations that a trainer needs to nnU-Net's plans file."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.cascade.configurations import (
    crop_configuration,
    measure_hearts,
    reference_labels,
    roi_configuration,
    with_configurations,
)
from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.cascade.stack_configurations import PIXEL_MM, stack_configuration
from nnunet_cardiac.checks.plans import check_plans
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.fold_file import FILE_NAME, fold_warnings, known_cases
from nnunet_cardiac.folders import dataset_number
from nnunet_cardiac.patient_tables import find_tables
from nnunet_cardiac.patients import Cohort, read_patients
from nnunet_cardiac.registry import TRAINERS, anatomy_labels
from nnunet_cardiac.short_plans import SHORT_SUFFIX, SMALL_SUFFIX, short_entries, small_entries
from nnunet_cardiac.splits import patient_splits
from nnunet_cardiac.systems import ROI_REGRESSOR, SYSTEMS, System
from nnunet_cardiac.trainer_plans import plans_for
from nnunet_cardiac.volume_plans import volume_entries

logger = logging.getLogger(__name__)

_JITTER_PIXELS = 8


@dataclass(frozen=True)
class CropOptions:
    """What a user may say of the crop; see :class:`nnunet_cardiac.cascade.roi.RegionRule`.

    Attributes:
        window: Side of the square window in pixels; None takes it from the data set.
        margin: Safety margin in pixels, in mm for volumes; None takes the paper's.
        per_slice: One box per slice instead of one per stack.
        mask_outside: Zero the window outside the enlarged box.
        heart_only: Show the network the coarse heart alone, and no other pieces of the coarse labels.
        jitter: Largest shift of a training window in pixels; None means 8 pixels, or 10 mm for volumes.
        coarse_labels: `predicted` or `simulated`; None takes the system's.
        small: Write plans of another name with networks of half the width and a recipe for short trainings, for
            machines without a GPU.
        short: Write plans of another name with this recipe for the networks of full width.
        localiser: Configuration to crop from; None takes the system's own.
        localiser_trainer: Trainer of that configuration; None means the same.
    """

    window: int | None = None
    margin: int | None = None
    per_slice: bool = False
    mask_outside: bool = False
    heart_only: bool = True
    jitter: int | None = None
    coarse_labels: str | None = None
    small: bool = False
    short: bool = False
    localiser: str | None = None
    localiser_trainer: str | None = None

    @property
    def suffix(self) -> str:
        """Ending of the name of the plans that are written."""
        return SMALL_SUFFIX if self.small else SHORT_SUFFIX if self.short else ""


def plan_crops(
    preprocessed: Path,
    plans_name: str = "nnUNetPlans",
    trainer: str = "CroCNetTrainer",
    options: CropOptions = CropOptions(),
    progress: bool = True,
) -> tuple[Path, dict[str, dict[str, Any]]]:
    """Add a trainer's cropping configurations to a plans file.

    The file is replaced atomically and only if something changes; the previous one stays beside it as
    `<plans>.json.backup`, `.backup2` and so on. With `options.small` or `options.short` the given plans stay as they
    are and `<plans>Small.json` or `<plans>Short.json` is written.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`, planned and preprocessed for the system's base, `2d` or
            `3d_fullres`.
        plans_name: Name of the plans file without ending.
        trainer: Name in the registry.
        options: The user's choices.
        progress: Whether to show a progress bar.

    Returns:
        The plans file and the configurations that were added or kept, by name.

    Raises:
        UserError: If the plans file or the preprocessed data is missing or of another kind, or labels do not fit.
    """
    path = preprocessed / f"{plans_name}.json"
    if not path.is_file():
        raise UserError(
            f"{path}: no such plans file. Plan and preprocess first: "
            f"nnUNetv2_plan_and_preprocess -d {dataset_number(preprocessed)} -c {SYSTEMS[trainer].base}"
        )
    plans = read_json(path)
    check_plans(plans, path)
    labels = anatomy_labels(read_json(preprocessed / "dataset.json")["labels"], TRAINERS[trainer].anatomies)
    system = SYSTEMS[trainer]
    if system.stacks:
        entries = _entries_for_stacks(system, plans, preprocessed, options, progress)
    elif system.volumes:
        entries = _entries_for_volumes(system, plans, preprocessed, options, progress)
    else:
        data = preprocessed / plans["configurations"]["2d"]["data_identifier"]
        entries = _entries(system, data, labels, options, progress)
    if options.suffix:
        path = preprocessed / f"{plans['plans_name']}{options.suffix}.json"
        base = plans_for([trainer], plans)["configurations"][system.base]
        plans = read_json(path) if path.is_file() else {**plans, "plans_name": path.stem}
        own = {system.base: base} if system.base in system.short_recipe else {}
        shortened = small_entries if options.small else short_entries
        entries = shortened(system, {**own, **entries}, base["spacing"])
    new = with_configurations(plans, entries, trainer)
    if not path.is_file():
        write_json(path, new)
    elif new != read_json(path):
        shutil.copy2(path, _free_backup_name(path))
        write_json(path, new)
    return path, {name: entry for name, entry in entries.items() if name != system.base}


def ensure_patient_splits(preprocessed: Path, raw: Path | None, cohort: Cohort | None = None) -> Path:
    """Make sure that nnU-Net trains with folds by patient.

    A split that comes with the raw data set is taken over; else one is drawn. A split that is there already stays.
    Warnings say what was guessed of the patients, which patients are on both sides of a fold, and which are in none.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        raw: `nnUNet_raw/<dataset>`, if known.
        cohort: Whose the training cases are; by default what the tables of the raw data set or the names say.

    Returns:
        The file `splits_final.json`.

    Raises:
        UserError: If there are fewer patients than folds.
    """
    path = preprocessed / FILE_NAME
    if cohort is None:
        cohort = read_patients(known_cases(preprocessed), [] if raw is None else find_tables(raw))
    if not path.is_file():
        given = raw / FILE_NAME if raw is not None else None
        if given is not None and given.is_file():
            splits = read_json(given)
        else:
            splits = patient_splits(cohort.cases, patients=cohort.by_case)
        write_json(path, splits)
    cohort.warn(preprocessed.name)
    for warning in fold_warnings(preprocessed, cohort):
        logger.warning("%s", warning)
    return path


def _entries(
    system: System, data: Path, labels: Mapping[str, int], options: CropOptions, progress: bool
) -> dict[str, dict[str, Any]]:
    margin = system.margin if options.margin is None else options.margin
    centre = [labels[anatomy] for anatomy in system.centre] if system.centre else None
    hearts = measure_hearts(data, margin, progress, centre)
    window = hearts.window() if options.window is None else (options.window, options.window)
    try:
        rule = RegionRule(window, margin, 16, options.per_slice, options.mask_outside, heart_only=options.heart_only)
    except ValueError as error:
        raise UserError(f"--window or --margin: {error}") from error
    entries = {}
    if system.roi:
        # Without room for larger images: what is padded would make the heart smaller in the network's fixed grid.
        entries["2d_roi"] = roi_configuration(ROI_REGRESSOR, hearts.inference_patch(room=1.0), options.per_slice)
    for name, network in system.crops.items():
        network_class_name, network_kwargs = network or (None, None)
        entries[name] = crop_configuration(
            options.localiser or system.localiser,
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
    system: System, plans: Mapping[str, Any], preprocessed: Path, options: CropOptions, progress: bool
) -> dict[str, dict[str, Any]]:
    base = plans["configurations"]["2d"]
    folder = preprocessed / base["data_identifier"]
    shapes = [labels.shape for labels in reference_labels(folder, "2d", progress)]
    # Without a GPU there is no time to compute between pixels that nobody measured.
    pixel_mm = max(PIXEL_MM, *base["spacing"]) if options.small else PIXEL_MM
    # One for all of a grid: they share the data.
    identifier = f"{plans['plans_name']}{SMALL_SUFFIX if options.small else ''}_2d_stack"
    training_slices = system.short_training_slices if options.suffix else None
    return {
        name: stack_configuration(network, shapes, base["spacing"], identifier, kwargs, pixel_mm, training_slices)
        for name, (network, kwargs) in system.stacks.items()
    }


def _entries_for_volumes(
    system: System, plans: Mapping[str, Any], preprocessed: Path, options: CropOptions, progress: bool
) -> dict[str, dict[str, Any]]:
    if options.per_slice:
        raise UserError("--per-slice: a system of volumes has one window for a volume; leave it out.")
    return volume_entries(
        system,
        plans,
        preprocessed,
        window=options.window,
        margin_mm=options.margin,
        jitter=options.jitter,
        progress=progress,
        localiser=options.localiser,
        mask_outside=options.mask_outside,
        heart_only=options.heart_only,
        coarse_labels=options.coarse_labels or system.coarse_labels,
        coarse_trainer=options.localiser_trainer,
        training_slices=system.short_training_slices if options.suffix else None,
    )


def _free_backup_name(path: Path) -> Path:
    """First of `.backup`, `.backup2`, ... that does not exist: no earlier plans are ever lost."""
    candidate, number = path.with_name(f"{path.name}.backup"), 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.backup{number}")
    return candidate
