"""Add the configurations that a trainer needs to nnU-Net's plans file."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.cascade.configurations import crop_configuration, measure_hearts, with_configurations
from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.checks.plans import check_plans
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.folders import dataset_number
from nnunet_cardiac.registry import TRAINERS, anatomy_labels
from nnunet_cardiac.splits import patient_splits, shared_patients

logger = logging.getLogger(__name__)

_SPECIALISTS = "nnunet_cardiac.architectures.specialists.SpecialistNetworks"

#: Cropping configurations: the inner network and its arguments; None leaves the network to the trainer.
CROP_NETWORKS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "2d_crop": None,
    "2d_crop_uncoupled": (_SPECIALISTS, {"mode": "uncoupled"}),
    "2d_crop_single": (_SPECIALISTS, {"mode": "single"}),
}


#: Ending of the name of plans with small networks.
SMALL_SUFFIX = "Small"

#: Half the width of the paper's networks, about a quarter of the arithmetic, and a recipe for short trainings.
_SMALL_COARSE = ("nnunet_cardiac.architectures.e2a_unet.E2AUNet", {"features": [16, 32, 64, 128, 256]})
_SMALL_SPECIALISTS = {"base_width": 8, "layer_scale_init": 0.1}
_SMALL_RECIPE = {
    "initial_lr": 1e-3,
    "schedule": "poly",
    "loss": "dice_ce",
    "batch_size": 4,
    "iterations": 29,
    "val_iterations": 2,
    "test_time_mirroring": False,
}

#: Three networks on each sample: smaller batches for the same time. At the first stage's rate they learn too slowly.
_SMALL_CROP_RECIPE = {**_SMALL_RECIPE, "initial_lr": 3e-3, "batch_size": 3, "iterations": 55}


@dataclass(frozen=True)
class CropOptions:
    """What a user may say of the crop; see :class:`nnunet_cardiac.cascade.roi.RegionRule`.

    Attributes:
        window: Side of the square window in pixels; None takes it from the data set.
        margin: Safety margin in pixels.
        per_slice: One box per slice instead of one per stack.
        mask_outside: Zero the window outside the enlarged box.
        jitter: Largest shift of a training window in pixels.
        coarse_labels: `predicted` or `simulated`.
        small: Write plans of another name with networks of half the width, for machines without a GPU.
    """

    window: int | None = None
    margin: int = 15
    per_slice: bool = False
    mask_outside: bool = False
    jitter: int = 8
    coarse_labels: str = "predicted"
    small: bool = False


def plan_crops(
    preprocessed: Path,
    plans_name: str = "nnUNetPlans",
    trainer: str = "CroCNetTrainer",
    options: CropOptions = CropOptions(),
    progress: bool = True,
) -> tuple[Path, dict[str, dict[str, Any]]]:
    """Add a trainer's cropping configurations to a plans file.

    The file is replaced atomically and only if something changes; the previous one stays beside it as
    `<plans>.json.backup`, `.backup2` and so on. With `options.small` the given plans stay as they are and
    `<plans>Small.json` is written.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`, planned and preprocessed for `2d`.
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
            f"nnUNetv2_plan_and_preprocess -d {dataset_number(preprocessed)} -c 2d"
        )
    plans = read_json(path)
    check_plans(plans, path)
    facts = TRAINERS[trainer]
    anatomy_labels(read_json(preprocessed / "dataset.json")["labels"], facts.anatomies)
    names = [name for name in facts.configurations if name in CROP_NETWORKS]
    entries = _entries(names, preprocessed / plans["configurations"]["2d"]["data_identifier"], options, progress)
    new = with_configurations(plans, entries)
    if options.small:
        new = _with_small_networks(new, names)
        path = preprocessed / f"{new['plans_name']}.json"
    if not path.is_file():
        write_json(path, new)
    elif new != read_json(path):
        shutil.copy2(path, _free_backup_name(path))
        write_json(path, new)
    return path, entries


def _with_small_networks(plans: dict[str, Any], crops: Sequence[str]) -> dict[str, Any]:
    """Rename the plans and put the narrow networks in; their preprocessed data stay the same."""
    plans["plans_name"] += SMALL_SUFFIX
    network_class_name, kwargs = _SMALL_COARSE
    coarse = plans["configurations"]["2d"]
    coarse["architecture"] = {
        "network_class_name": network_class_name,
        "arch_kwargs": dict(kwargs),
        "_kw_requires_import": [],
    }
    coarse["recipe"] = dict(_SMALL_RECIPE)
    for name in crops:
        arch_kwargs = plans["configurations"][name]["architecture"]["arch_kwargs"]
        arch_kwargs.setdefault("network_class_name", _SPECIALISTS)
        arch_kwargs["network_kwargs"] = {**_SMALL_SPECIALISTS, **arch_kwargs.get("network_kwargs", {})}
        plans["configurations"][name]["recipe"] = dict(_SMALL_CROP_RECIPE)
    return plans


def ensure_patient_splits(preprocessed: Path, raw: Path | None) -> Path:
    """Make sure that nnU-Net trains with folds by patient.

    A split that comes with the raw data set is taken over; else one is drawn. A split that is there already stays,
    with a warning if a patient is on both sides.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        raw: `nnUNet_raw/<dataset>`, if known.

    Returns:
        The file `splits_final.json`.
    """
    path = preprocessed / "splits_final.json"
    if not path.is_file():
        given = raw / "splits_final.json" if raw is not None else None
        if given is not None and given.is_file():
            splits = read_json(given)
        else:
            ending = read_json(preprocessed / "dataset.json")["file_ending"]
            references = (preprocessed / "gt_segmentations").glob(f"*{ending}")
            splits = patient_splits(file.name.removesuffix(ending) for file in references)
        write_json(path, splits)
    shared = shared_patients(read_json(path))
    if shared:
        logger.warning(
            "%s: %d patients (%s, ...) are in training and validation of the same fold, so validation results are too "
            "good. Remove the file and plan again for folds by patient; trained folds have to be trained anew.",
            path,
            len(shared),
            shared[0],
        )
    return path


def _entries(names: Sequence[str], data: Path, options: CropOptions, progress: bool) -> dict[str, dict[str, Any]]:
    hearts = measure_hearts(data, options.margin, progress)
    window = hearts.window() if options.window is None else (options.window, options.window)
    try:
        rule = RegionRule(window, options.margin, 16, options.per_slice, options.mask_outside)
    except ValueError as error:
        raise UserError(f"--window or --margin: {error}") from error
    entries = {}
    for name in names:
        network_class_name, network_kwargs = CROP_NETWORKS[name] or (None, None)
        entries[name] = crop_configuration(
            "2d",
            rule,
            hearts.inference_patch(),
            network_class_name=network_class_name,
            network_kwargs=network_kwargs,
            jitter=options.jitter,
            coarse_labels=options.coarse_labels,
        )
    return entries


def _free_backup_name(path: Path) -> Path:
    """First of `.backup`, `.backup2`, ... that does not exist: no earlier plans are ever lost."""
    candidate, number = path.with_name(f"{path.name}.backup"), 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.backup{number}")
    return candidate
