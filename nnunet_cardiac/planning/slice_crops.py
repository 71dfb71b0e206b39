"""Add localising and cropping configurations to a plans file.

A new configuration inherits from the coarse one and shares its preprocessed data. Its `spacing` keeps two entries,
so no slice is resampled, and its `patch_size` gets three, so a whole stack is one sample at inference and the box is
taken over the volume.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from tqdm import tqdm

from nnunet_cardiac.cascade.roi import RegionRule, find_region
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.shared_plans import FIRST_TRAINER, put_entry
from nnunet_cardiac.workflow.folders import dataset_number

#: Dotted path of the network of every cropping configuration.
CROP_NETWORK = "nnunet_cardiac.cascade.coarse_to_fine.CropFromCoarse"

#: Room in the inference patch for images larger than any of the training set.
_ROOM, _LEAST_SLICES = 1.25, 24

#: The window holds the enlarged box of this share of the training cases; larger hearts get several windows.
_COVERED_PERCENT = 95

#: Images longer than this many times the median are left out where a size has to suit all.
_OUTLIER = 1.5


@dataclass(frozen=True)
class HeartGeometry:
    """Sizes of a preprocessed data set, in voxels of the working grid.

    Attributes:
        boxes: Sides (y, x) of the enlarged in-plane box of the heart of each case.
        shapes: Image shape (z, y, x) of each case.
    """

    boxes: list[tuple[int, int]]
    shapes: list[tuple[int, int, int]]

    def window(self, multiple: int = 16) -> tuple[int, int]:
        """Square window, a multiple of `multiple`, that holds the box of 95 percent of the cases."""
        side = float(np.percentile([max(box) for box in self.boxes], _COVERED_PERCENT))
        return (math.ceil(side / multiple) * multiple,) * 2

    def inference_patch(self, room: float = _ROOM, multiple: int = 32) -> list[int]:
        """Patch (z, y, x) that covers every stack of the data set, and larger unseen ones, in one tile.

        What is padded costs nothing where a network works on the window only.

        Args:
            room: Factor on the largest image in-plane.
            multiple: What its sides are multiples of.
        """
        depth, height, width = (max(axis) for axis in zip(*self.shapes, strict=True))
        in_plane = (math.ceil(n * room / multiple) * multiple for n in (height, width))
        return [max(math.ceil(depth * _ROOM), _LEAST_SLICES), *in_plane]

    def whole_slice_patch(self, multiple: int = 32) -> list[int]:
        """Patch (z, y, x) that holds whole slices, for networks that see an image in a frame of fixed size.

        One image of an unusual size must not make the heart small in all others: images with a side above 1.5 times
        the median do not count, and are shrunk into the patch as a whole.
        """
        sides = np.array(self.shapes)[:, 1:]
        usual = sides[(sides <= _OUTLIER * np.median(sides, axis=0)).all(1)]
        depth = max(math.ceil(max(shape[0] for shape in self.shapes) * _ROOM), _LEAST_SLICES)
        return [depth, *(math.ceil(n / multiple) * multiple for n in usual.max(0).tolist())]


def measure_hearts(
    folder: Path | str,
    margin: int,
    progress: bool = True,
    centre_labels: Sequence[int] | None = None,
    ignore: int | None = None,
) -> HeartGeometry:
    """Measure the hearts of a preprocessed data set.

    Args:
        folder: `nnUNet_preprocessed/<dataset>/<data_identifier>`.
        margin: Safety margin in pixels per side, as in :class:`RegionRule`.
        progress: Whether to show a progress bar.
        centre_labels: Labels on whose box the window will be centred; the boxes reported then have that centre and
            hold all labels. None means all labels.
        ignore: Value of pixels without a reference, which are no heart.

    Returns:
        Boxes and shapes; cases without any label have a shape but no box.

    Raises:
        UserError: If the folder is missing or no case has a label.
    """
    boxes, shapes = [], []
    for labels in reference_labels(folder, "2d", progress, ignore):
        shapes.append(tuple(labels.shape))
        centre = labels > 0 if centre_labels is None else np.isin(labels, centre_labels)
        if centre.any():
            boxes.append(centred_box(labels > 0, centre, margin))
    require_hearts(folder, boxes, shapes)
    return HeartGeometry(boxes, shapes)


def reference_labels(
    folder: Path | str, configuration: str, progress: bool, ignore: int | None = None
) -> Iterator[np.ndarray]:
    """Yield the reference labels (Z, Y, X) of a preprocessed data set, case by case.

    Args:
        folder: `nnUNet_preprocessed/<dataset>/<data_identifier>`.
        configuration: What it was preprocessed for, for the message.
        progress: Whether to show a progress bar.
        ignore: Value of pixels without a reference; they come out as background.

    Raises:
        UserError: If the folder is missing or empty.
    """
    folder = Path(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        raise UserError(
            f"{folder}: no preprocessed data. Preprocess first: "
            f"nnUNetv2_preprocess -d {dataset_number(folder.parent)} -c {configuration} "
            f"-plans_name {folder.name.removesuffix(f'_{configuration}')}"  # of which nnU-Net makes the folder's name
        )
    dataset = infer_dataset_class(str(folder))(str(folder))
    for identifier in tqdm(dataset.identifiers, desc="measuring hearts", disable=not progress):
        labels = np.asarray(dataset.load_case(identifier)[1][:])[0]
        yield labels if ignore is None else np.where(labels == ignore, 0, labels)


def require_hearts(folder: Path | str, boxes: Sequence[Any], shapes: Sequence[Any]) -> None:
    """Refuse a data set without any labelled voxel.

    Raises:
        UserError: If there are no boxes.
    """
    if not boxes:
        raise UserError(f"{folder}: none of {len(shapes)} cases has a labelled voxel; check labelsTr.")


def centred_box(mask: np.ndarray, centre: np.ndarray, margin: int) -> tuple[int, int]:
    """Size of the in-plane box that holds a heart and is centred on a part of it.

    Args:
        mask: Whole heart (Z, Y, X); the box holds its largest component with the margin.
        centre: Part whose own enlarged box gives the centre.
        margin: Pixels on each side, clipped at the border of the image.

    Returns:
        Sides (y, x) in pixels.
    """
    box, middle = (find_region(m, RegionRule((16, 16), margin)).box for m in (mask, centre))
    rows, columns = (
        max(first + last - 2 * start, 2 * stop - first - last)
        for start, stop, first, last in zip(box.start, box.stop, middle.start, middle.stop, strict=True)
    )
    return rows, columns


def crop_configuration(
    coarse: str,
    rule: RegionRule,
    patch_size: Sequence[int],
    *,
    network_class_name: str | None = None,
    network_kwargs: Mapping[str, Any] | None = None,
    jitter: int | Sequence[int] = 8,
    coarse_labels: str = "predicted",
    coarse_trainer: str | None = None,
    inherits_from: str = "2d",
) -> dict[str, Any]:
    """Make the entry of a cropping configuration.

    Args:
        coarse: Configuration of the first stage.
        rule: How the window is found.
        patch_size: Inference patch (z, y, x), in which a whole case should fit.
        network_class_name: Dotted path of the inner network; None leaves the choice to the trainer.
        network_kwargs: Its arguments.
        jitter: Largest shift of a training window in voxels, a number or one per window axis.
        coarse_labels: `predicted` (first-stage validation results, out of fold) or `simulated` (corrupted reference
            labels where those are missing).
        coarse_trainer: Trainer of the first stage, if it is another one.
        inherits_from: Configuration whose preprocessed data are shared.

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
    if rule.centre != "box" or rule.clamp:
        arch_kwargs |= {"centre": rule.centre, "clamp": rule.clamp}
    if not rule.heart_only:
        arch_kwargs["heart_only"] = False
    if rule.all_slices:
        arch_kwargs["all_slices"] = True
    if network_class_name is not None:
        arch_kwargs |= {"network_class_name": network_class_name, "network_kwargs": dict(network_kwargs or {})}
    entry = {
        "inherits_from": inherits_from,
        "previous_stage": coarse,
        "next_stage": None,
        "patch_size": list(patch_size),
        "architecture": architecture(CROP_NETWORK, arch_kwargs),
        "jitter": jitter if isinstance(jitter, int) else list(jitter),
        "coarse_labels": coarse_labels,
    }
    return entry if coarse_trainer is None else {**entry, "coarse_trainer": coarse_trainer}


def roi_configuration(network_class_name: str, patch_size: Sequence[int], per_slice: bool = False) -> dict[str, Any]:
    """Make the entry of a configuration that regresses the box of the heart: slices in training, stacks at prediction.

    Args:
        network_class_name: Dotted path of the regressor.
        patch_size: Inference patch (z, y, x); its slices are the training patch, so that every slice is seen whole.
        per_slice: One box per slice instead of one per stack.

    Returns:
        The entry, JSON-ready.
    """
    return {
        "inherits_from": "2d",
        "previous_stage": None,
        "next_stage": None,
        "patch_size": list(patch_size),
        "training_patch_size": list(patch_size[-2:]),
        "architecture": architecture(network_class_name, {"per_slice": per_slice}),
    }


def architecture(network_class_name: str, arch_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `architecture` entry of a plans file for a network whose arguments are plain JSON."""
    return {
        "network_class_name": network_class_name,
        "arch_kwargs": dict(arch_kwargs),
        "_kw_requires_import": [],
    }


def with_configurations(
    plans: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]], trainer: str = FIRST_TRAINER
) -> dict[str, Any]:
    """Return plans with a trainer's configurations added or replaced, and their first stages pointing at them.

    Args:
        plans: Content of a plans file; stays as it is.
        entries: Configuration name -> entry; cropping ones have a `previous_stage`.
        trainer: Trainer they are for. Entries of the same name that are another trainer's stay.

    Returns:
        New plans. Adding the same entries again changes nothing.

    Raises:
        UserError: If a previous stage is not in the plans.
    """
    plans = copy.deepcopy(dict(plans))
    configurations = plans["configurations"]
    for name, entry in entries.items():
        put_entry(configurations, name, copy.deepcopy(dict(entry)), trainer)
        coarse = entry.get("previous_stage")
        if coarse is None:
            continue
        if coarse not in configurations:
            raise UserError(
                f"plans {plans.get('plans_name')!r}: configuration {coarse!r}, the first stage of {name!r}, is "
                f"missing; it has {', '.join(configurations)}. Plan it first: nnUNetv2_plan_experiment"
            )
        _link(configurations[coarse], name)
    return plans


def _link(coarse: dict[str, Any], follower: str) -> None:
    """Enter a follower into `next_stage`, which nnU-Net reads as a name or a list of names."""
    followers = coarse.get("next_stage") or []
    followers = [followers] if isinstance(followers, str) else list(followers)
    if follower not in followers:
        followers.append(follower)
    coarse["next_stage"] = followers[0] if len(followers) == 1 else followers
