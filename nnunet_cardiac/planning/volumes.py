"""Entries of networks for volumes: localisation on a low-resolution grid, a crop at full resolution, both as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.request import Request
from nnunet_cardiac.planning.slice_crops import crop_configuration
from nnunet_cardiac.planning.volume_sizes import (
    BASE,
    DEFAULT_MARGIN_MM,
    VolumeGeometry,
    divisor_for,
    keeps_z,
    rounded_up,
)
from nnunet_cardiac.systems.kinds import JointVolume, Network, VolumeCrop, VolumeLocaliser

_JITTER_MM = 10.0

#: Room in the inference patches for volumes larger than any of the training set.
_ROOM = 1.25


def volume_localiser_entry(kind: VolumeLocaliser, request: Request) -> dict[str, Any]:
    """Plan a localiser on whole volumes of low resolution."""
    return locate_configuration(kind.network, request.volumes, f"{request.volume_data}_{kind.name}")


def volume_crop_entry(kind: VolumeCrop, request: Request) -> dict[str, Any]:
    """Plan a crop: the window holds 99 percent of the hearts of the data set, with a margin.

    Raises:
        UserError: If the window does not fit.
    """
    options, volumes = request.options, request.volumes
    margin_mm = kind.margin_mm if options.margin is None else options.margin
    try:
        return volume_crop_configuration(
            options.localiser or kind.localiser,
            kind.network,
            volumes,
            _window(volumes, options.window, margin_mm),
            margin_mm,
            jitter=options.jitter,
            training_slices=request.training_slices,
            mask_outside=bool(options.mask_outside),
            heart_only=options.heart_only is not False,
            coarse_labels=options.coarse_labels or request.trainer.coarse_labels,
            coarse_trainer=options.localiser_trainer,
        )
    except ValueError as error:
        raise UserError(f"--window {options.window}: {error}") from error


def joint_volume_entry(kind: JointVolume, request: Request) -> dict[str, Any]:
    """Plan localiser and segmenter as one network, on patches or on whole volumes of low resolution."""
    if kind.low_resolution:
        entry = locate_configuration(kind.network, request.volumes, f"{request.volume_data}_{kind.name}")
        # Larger volumes are predicted in tiles of what it has seen.
        entry["patch_size"] = entry.pop("training_patch_size")
        return entry
    if request.grid is not None:
        return joint_configuration(kind.network, request.grid.spacing, request.grid.patch)
    return joint_configuration(kind.network, request.base["spacing"], request.base["patch_size"])


def _window(volumes: VolumeGeometry, side: int | None, margin_mm: float) -> tuple[int, ...] | None:
    """Window (z, y, x) with a given side in-plane; along z it is that of the data set."""
    if side is None:
        return None
    depth = volumes.window(divisor_for(keeps_z(volumes.spacing)), margin_mm)[0]
    return depth, side, side


def locate_configuration(network_path: str, volumes: VolumeGeometry, data_identifier: str) -> dict[str, Any]:
    """Make the entry of a localiser that sees whole volumes on a low-resolution grid.

    Args:
        network_path: Dotted path of the localiser.
        volumes: Measured at full resolution.
        data_identifier: Folder of its own preprocessed data.

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
        "architecture": Network(network_path, {"keep_z": keep_z}).to_plans(),
    }


def volume_crop_configuration(
    coarse: str,
    network_path: str,
    volumes: VolumeGeometry,
    window: Sequence[int] | None = None,
    margin_mm: float = DEFAULT_MARGIN_MM,
    jitter: int | None = None,
    training_slices: int | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Make the entry of a network on a window of the volume, centred on the centroid of a coarse prediction.

    Args:
        coarse: Configuration of the first stage.
        network_path: Dotted path of the inner network, a 3D DR-UNet or one with its arguments.
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
    rule = RegionRule(
        (slices, *window[1:]), margin=0, multiple=divisor, centre="centroid", clamp=True, all_slices=holds_all, **shown
    )
    entry = crop_configuration(
        coarse,
        rule,
        volumes.patch((1, 1, 1), _ROOM),
        network=Network(network_path, {"keep_z": keep_z}),
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


def joint_configuration(network_path: str, spacing: Sequence[float], patch_size: Sequence[int]) -> dict[str, Any]:
    """Make the entry of a network on the grid and patch of `BASE`.

    Args:
        network_path: Dotted path of a network with the arguments of the 3D DR-UNet.
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
        "architecture": Network(network_path, {"keep_z": keep_z}).to_plans(),
    }
