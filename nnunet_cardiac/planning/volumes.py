"""Configurations of networks for volumes: localisation on a low-resolution grid, a crop at full resolution.

Vesal et al. 2020 print neither the low resolution nor the size of the crop. Here the first is the grid on which the
median volume has 128 pixels in-plane, and the second holds 99 percent of the hearts of the training set with 15 mm
around them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_cardiac.cascade.roi import RegionRule, bounding_box, centred_size, centroid, largest_component
from nnunet_cardiac.planning.slice_crops import (
    architecture,
    crop_configuration,
    reference_labels,
    require_hearts,
)

#: Configuration whose plans and preprocessed data those of this module derive from.
BASE = "3d_fullres"

#: Slices more than this many times farther apart than pixels are not pooled: three poolings of a stack of ten slices
#: would leave one. nnU-Net calls data anisotropic from the same factor on.
_ANISOTROPY = 3.0

_LOW_RESOLUTION = 128
_COVERED_PERCENT = 99
_JITTER_MM = 10.0

#: Room in the inference patches for volumes larger than any of the training set.
_ROOM = 1.25

_POOLINGS = 3
_DEFAULT_MARGIN_MM = 15.0


def keeps_z(spacing: Sequence[float]) -> bool:
    """Tell whether slices lie so far apart that a network should pool in-plane alone ("Keep Z").

    Args:
        spacing: (z, y, x) in mm.
    """
    return spacing[0] > _ANISOTROPY * max(spacing[1:])


def divisor_for(keep_z: bool) -> tuple[int, int, int]:
    """What the sides (z, y, x) of an input of the 3D DR-UNet must be multiples of."""
    side = 2**_POOLINGS
    return (1 if keep_z else side, side, side)


@dataclass(frozen=True)
class VolumeGeometry:
    """Sizes of a preprocessed data set in voxels (z, y, x).

    Attributes:
        spacing: Of the grid, in mm.
        hearts: For each labelled case the smallest box around the centroid of the heart that holds the heart.
        shapes: Image shape of each case.
    """

    spacing: tuple[float, float, float]
    hearts: list[tuple[int, ...]]
    shapes: list[tuple[int, ...]]

    def window(self, divisor: Sequence[int], margin_mm: float = _DEFAULT_MARGIN_MM) -> tuple[int, ...]:
        """Window, square in-plane, that holds 99 percent of the hearts with a margin; no larger than the volumes.

        Args:
            divisor: What its sides are multiples of.
            margin_mm: On each side of the heart.
        """
        sizes = np.percentile(np.array(self.hearts), _COVERED_PERCENT, axis=0) + 2 * margin_mm / np.array(self.spacing)
        sizes[1:] = sizes[1:].max()
        largest = np.max(self.shapes, axis=0)
        largest[1:] = largest[1:].max()
        return rounded_up(np.minimum(sizes, largest), divisor)

    def patch(self, divisor: Sequence[int], room: float = 1.0) -> tuple[int, ...]:
        """Patch in which every volume fits, with a factor of room for others."""
        return rounded_up(np.max(self.shapes, axis=0) * room, divisor)

    def resampled(self, spacing: Sequence[float]) -> VolumeGeometry:
        """The same volumes on another grid; the hearts are left out."""
        factor = np.array(self.spacing) / np.array(spacing)
        shapes = [tuple(int(n) for n in np.maximum(np.round(np.array(s) * factor), 1)) for s in self.shapes]
        return VolumeGeometry(tuple(spacing), [], shapes)

    def low_resolution(self) -> tuple[float, float, float]:
        """Spacing in mm on which the median volume has 128 pixels in-plane, and slices are no closer than pixels."""
        factor = max(1.0, float(np.median(np.array(self.shapes)[:, 1:].max(1))) / _LOW_RESOLUTION)
        in_plane = [round(s * factor, 4) for s in self.spacing[1:]]
        return (max(self.spacing[0], *in_plane), *in_plane)


def measure_volumes(
    folder: Path | str, spacing: Sequence[float], progress: bool = True, ignore: int | None = None
) -> VolumeGeometry:
    """Measure volumes and hearts of a data set preprocessed for `BASE`.

    Args:
        folder: `nnUNet_preprocessed/<dataset>/<data_identifier>`.
        spacing: Of its grid (z, y, x) in mm.
        progress: Whether to show a progress bar.
        ignore: Value of voxels without a reference, which are no heart.

    Raises:
        UserError: If the folder is missing or no case has a label.
    """
    hearts, shapes = [], []
    for labels in reference_labels(folder, BASE, progress, ignore):
        shapes.append(tuple(labels.shape))
        heart = largest_component(labels > 0)
        box = bounding_box(heart)
        if box is not None:
            hearts.append(centred_size(box, centroid(heart)))
    require_hearts(folder, hearts, shapes)
    return VolumeGeometry(tuple(spacing), hearts, shapes)


def locate_configuration(
    network_class_name: str, volumes: VolumeGeometry, data_identifier: str, network_kwargs: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """Make the entry of a localiser that sees whole volumes on a low-resolution grid.

    Args:
        network_class_name: Dotted path of the localiser.
        volumes: Measured at full resolution.
        data_identifier: Folder of its own preprocessed data.
        network_kwargs: Further arguments of the network.

    Returns:
        The entry, JSON-ready.
    """
    spacing, keep_z = volumes.low_resolution(), keeps_z(volumes.spacing)  # a stack stays one on a coarser grid
    low, divisor = volumes.resampled(spacing), divisor_for(keep_z)
    return {
        "inherits_from": BASE,
        "data_identifier": data_identifier,
        "previous_stage": None,
        "next_stage": None,
        "spacing": list(spacing),
        "median_image_size_in_voxels": [float(n) for n in np.median(low.shapes, axis=0)],
        "patch_size": list(low.patch(divisor, _ROOM)),
        "training_patch_size": list(low.patch(divisor)),
        "batch_dice": False,
        "architecture": architecture(network_class_name, {"keep_z": keep_z, **network_kwargs}),
    }


def volume_crop_configuration(
    coarse: str,
    network_class_name: str,
    volumes: VolumeGeometry,
    window: Sequence[int] | None = None,
    margin_mm: float = _DEFAULT_MARGIN_MM,
    jitter: int | None = None,
    training_slices: int | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Make the entry of a network on a window of the volume, centred on the centroid of a coarse prediction.

    Args:
        coarse: Configuration of the first stage.
        network_class_name: Dotted path of the inner network, a 3D DR-UNet or one with its arguments.
        volumes: Measured at full resolution.
        window: (z, y, x) in voxels; None takes it from the hearts.
        margin_mm: Around the heart, if the window is taken from there.
        jitter: Largest shift of a training window in-plane in voxels; None takes 10 mm along each axis.
        training_slices: Slices in a row that a training sample has, see `with_fewer_slices`; None takes the window.
        options: `mask_outside`, `heart_only`, `coarse_labels` and `coarse_trainer`, see `crop_configuration` and
            `RegionRule`.

    Returns:
        The entry, JSON-ready.

    Raises:
        ValueError: If the window does not consist of multiples of the divisor of the network.
    """
    keep_z = keeps_z(volumes.spacing)
    divisor = divisor_for(keep_z)
    window = volumes.window(divisor, margin_mm) if window is None else tuple(window)
    shown = {name: options.pop(name) for name in ("mask_outside", "heart_only") if name in options}
    # The margin is in the window: the map marks the middle of the heart, a box around that says nothing of its size.
    holds_all = window[0] >= max(shape[0] for shape in volumes.shapes)  # then a deeper volume is not cut either
    slices = sampled_slices(window[0], keep_z, training_slices if holds_all else None)
    rule = RegionRule((slices, *window[1:]), 0, divisor, centre="centroid", clamp=True, all_slices=holds_all, **shown)
    entry = crop_configuration(
        coarse,
        rule,
        volumes.patch((1, 1, 1), _ROOM),
        network_class_name=network_class_name,
        network_kwargs={"keep_z": keep_z},
        jitter=[round(_JITTER_MM / s) for s in volumes.spacing] if jitter is None else [0, jitter, jitter],
        inherits_from=BASE,
        **options,
    )
    if slices < window[0]:
        entry["architecture"]["arch_kwargs"]["slide"] = True
        entry["batch_dice"] = True
    return entry


def sampled_slices(slices: int, keep_z: bool, training_slices: int | None) -> int:
    """Slices of a training sample: those of the patch or window, or fewer where the network does not pool them.

    Args:
        slices: Of a patch or window.
        keep_z: Whether pooling leaves the slice axis alone.
        training_slices: Wanted; None takes all.
    """
    return min(slices, training_slices) if keep_z and training_slices is not None else slices


def with_fewer_slices(
    entry: Mapping[str, Any], spacing: Sequence[float], training_slices: int | None
) -> dict[str, Any]:
    """Return a configuration with fewer slices in a patch, which nnU-Net slides over a volume.

    A structure is missing in many of so small samples, so Dice is taken over a batch.

    Args:
        entry: With `patch_size` (z, y, x).
        spacing: Of the grid (z, y, x) in mm.
        training_slices: See :func:`sampled_slices`.
    """
    depth, *in_plane = entry["patch_size"]
    slices = sampled_slices(depth, keeps_z(spacing), training_slices)
    return {**entry, **({"patch_size": [slices, *in_plane], "batch_dice": True} if slices < depth else {})}


def joint_configuration(network_class_name: str, spacing: Sequence[float], patch_size: Sequence[int]) -> dict[str, Any]:
    """Make the entry of a network on the grid and patch of `BASE`.

    Args:
        network_class_name: Dotted path of a network with the arguments of the 3D DR-UNet.
        spacing: Of the grid (z, y, x) in mm.
        patch_size: nnU-Net's patch; it is rounded up to what the network takes.

    Returns:
        The entry, JSON-ready.
    """
    keep_z = keeps_z(spacing)
    return {
        "inherits_from": BASE,
        "previous_stage": None,
        "next_stage": None,
        "patch_size": list(rounded_up(patch_size, divisor_for(keep_z))),
        "batch_dice": False,
        "architecture": architecture(network_class_name, {"keep_z": keep_z}),
    }


def rounded_up(sizes: Sequence[float] | np.ndarray, divisor: Sequence[int]) -> tuple[int, ...]:
    """Smallest multiples that are not below `sizes`."""
    return tuple(math.ceil(n / d - 1e-9) * d for n, d in zip(sizes, divisor, strict=True))
