"""Add a cropping configuration to a plans file.

The new configuration inherits from the coarse one and shares its preprocessed data. Its `spacing` keeps two entries,
so no slice is resampled, and its `patch_size` gets three, so a whole stack is one sample at inference and the box is
taken over the volume.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from tqdm import tqdm

from nnunet_cardiac.cascade.roi import RegionRule, find_region
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.folders import dataset_number

#: Dotted path of the network of every cropping configuration.
CROP_NETWORK = "nnunet_cardiac.cascade.coarse_to_fine.CropFromCoarse"

#: Room in the inference patch for images larger than any of the training set.
_ROOM, _LEAST_SLICES = 1.25, 24

#: The window holds the enlarged box of this share of the training cases; larger hearts get a larger window.
_COVERED_PERCENT = 95


@dataclass(frozen=True)
class HeartGeometry:
    """Sizes of a preprocessed data set, in voxels of the working grid.

    Attributes:
        boxes: Enlarged in-plane box (y, x) of the heart of each case.
        shapes: Image shape (z, y, x) of each case.
    """

    boxes: list[tuple[int, int]]
    shapes: list[tuple[int, int, int]]

    def window(self, multiple: int = 16) -> tuple[int, int]:
        """Square window, a multiple of `multiple`, that holds the box of 95 percent of the cases."""
        side = float(np.percentile([max(box) for box in self.boxes], _COVERED_PERCENT))
        return (math.ceil(side / multiple) * multiple,) * 2

    def inference_patch(self, multiple: int = 32) -> list[int]:
        """Patch (z, y, x) that covers every stack of the data set, and larger unseen ones, in one tile.

        What is padded costs nothing, since the network works on the window only.
        """
        depth, height, width = (max(axis) for axis in zip(*self.shapes, strict=True))
        in_plane = (math.ceil(n * _ROOM / multiple) * multiple for n in (height, width))
        return [max(math.ceil(depth * _ROOM), _LEAST_SLICES), *in_plane]


def measure_hearts(folder: Path | str, margin: int, progress: bool = True) -> HeartGeometry:
    """Measure the hearts of a preprocessed data set.

    Args:
        folder: `nnUNet_preprocessed/<dataset>/<data_identifier>`.
        margin: Safety margin in pixels per side, as in :class:`RegionRule`.
        progress: Whether to show a progress bar.

    Returns:
        Boxes and shapes; cases without any label have a shape but no box.

    Raises:
        UserError: If the folder is missing or no case has a label.
    """
    folder = Path(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        raise UserError(
            f"{folder}: no preprocessed data. Preprocess first: "
            f"nnUNetv2_preprocess -d {dataset_number(folder.parent)} -c 2d"
        )
    dataset = infer_dataset_class(str(folder))(str(folder))
    rule = RegionRule(window=(16, 16), margin=margin)
    boxes, shapes = [], []
    for identifier in tqdm(dataset.identifiers, desc="measuring hearts", disable=not progress):
        labels = np.asarray(dataset.load_case(identifier)[1][:])[0]
        shapes.append(tuple(labels.shape))
        mask = labels > 0
        if mask.any():
            boxes.append(find_region(mask, rule).box.size)
    if not boxes:
        raise UserError(f"{folder}: none of {len(shapes)} cases has a labelled voxel; check labelsTr.")
    return HeartGeometry(boxes, shapes)


def crop_configuration(
    coarse: str,
    rule: RegionRule,
    patch_size: Sequence[int],
    *,
    network_class_name: str | None = None,
    network_kwargs: Mapping[str, Any] | None = None,
    jitter: int = 8,
    coarse_labels: str = "predicted",
) -> dict[str, Any]:
    """Make the entry of a cropping configuration.

    Args:
        coarse: Configuration of the first stage.
        rule: How the window is found.
        patch_size: Inference patch (z, y, x).
        network_class_name: Dotted path of the inner network; None leaves the choice to the trainer.
        network_kwargs: Its arguments.
        jitter: Largest shift of a training window in pixels.
        coarse_labels: `predicted` (first-stage validation results, out of fold) or `simulated` (corrupted reference
            labels where those are missing).

    Returns:
        The entry, JSON-ready.
    """
    arch_kwargs: dict[str, Any] = {
        "window": list(rule.window),
        "margin": rule.margin[0] if len(set(rule.margin)) == 1 else list(rule.margin),
        "multiple": rule.multiple[0] if len(set(rule.multiple)) == 1 else list(rule.multiple),
        "per_slice": rule.per_slice,
        "mask_outside": rule.mask_outside,
    }
    if network_class_name is not None:
        arch_kwargs |= {"network_class_name": network_class_name, "network_kwargs": dict(network_kwargs or {})}
    return {
        "inherits_from": coarse,
        "previous_stage": coarse,
        "next_stage": None,
        "patch_size": list(patch_size),
        "batch_dice": False,
        "architecture": {
            "network_class_name": CROP_NETWORK,
            "arch_kwargs": arch_kwargs,
            "_kw_requires_import": [],
        },
        "jitter": jitter,
        "coarse_labels": coarse_labels,
    }


def with_configurations(plans: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return plans with cropping configurations added or replaced, and their first stages pointing at them.

    Args:
        plans: Content of a plans file; stays as it is.
        entries: Configuration name -> entry with a `previous_stage`.

    Returns:
        New plans. Adding the same entries again changes nothing.

    Raises:
        UserError: If a previous stage is not in the plans.
    """
    plans = copy.deepcopy(dict(plans))
    configurations = plans["configurations"]
    for name, entry in entries.items():
        coarse = entry["previous_stage"]
        if coarse not in configurations:
            raise UserError(
                f"plans {plans.get('plans_name')!r}: configuration {coarse!r}, the first stage of {name!r}, is "
                f"missing; it has {', '.join(configurations)}. Plan it first: nnUNetv2_plan_experiment"
            )
        configurations[name] = copy.deepcopy(dict(entry))
        followers = configurations[coarse].get("next_stage") or []
        followers = [followers] if isinstance(followers, str) else list(followers)
        if name not in followers:
            followers.append(name)
        configurations[coarse]["next_stage"] = followers[0] if len(followers) == 1 else followers
    return plans
