"""The entries of systems for volumes in a plans file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.paper import JOINT_LOW, PAPER_SUFFIX, low_joint_entry, on_grid, paper_grid
from nnunet_cardiac.planning.targets import Target
from nnunet_cardiac.planning.volumes import (
    BASE,
    VolumeGeometry,
    divisor_for,
    joint_configuration,
    keeps_z,
    locate_configuration,
    measure_volumes,
    volume_crop_configuration,
)
from nnunet_cardiac.systems.entries import DR_UNET, GCAM_LOCALISER, System


def volume_entries(
    system: System,
    target: Target,
    preprocessed: Path,
    *,
    window: int | None = None,
    margin_mm: float | None = None,
    jitter: int | None = None,
    progress: bool = True,
    training_slices: int | None = None,
    ignore: int | None = None,
    **options: Any,
) -> dict[str, dict[str, Any]]:
    """Make the configurations of a system for volumes.

    Args:
        system: Which one.
        target: The plans that are written and those that they derive from.
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        window: In-plane side of the window in voxels; None takes it from the data set.
        margin_mm: Around the heart, if the window is taken from the data set; None takes the system's.
        jitter: Largest shift of a training window in-plane in voxels; None takes 10 mm along each axis.
        progress: Whether to show a progress bar.
        training_slices: Slices in a row that training samples of stacks have; None takes all.
        ignore: Value of voxels without a reference.
        options: `localiser` (None takes the system's), `mask_outside`, `heart_only`, `coarse_labels` and
            `coarse_trainer`.

    Returns:
        Configuration -> entry.

    Raises:
        UserError: If there is nothing three-dimensional to derive them from, or the window does not fit.
    """
    plans = target.source
    base = plans["configurations"].get(BASE)
    if base is None:
        raise UserError(
            f"plans {plans.get('plans_name')!r} have no configuration {BASE}, from which the 3D networks derive; they "
            f"have {', '.join(plans['configurations'])}. nnU-Net plans it for volumes of more than one slice."
        )
    grid = paper_grid(system, base) if target.kind == PAPER_SUFFIX else None
    prefix = target.data_prefix if grid is None else target.plans["plans_name"]
    if not system.crops and target.kind != PAPER_SUFFIX:
        return _joint_entries(system, base["spacing"], base["patch_size"])
    volumes = measure_volumes(preprocessed / base["data_identifier"], base["spacing"], progress, ignore)
    volumes = volumes if grid is None else on_grid(volumes, grid)
    if not system.crops:
        patch = base["patch_size"] if grid is None else grid.patch
        joint = _joint_entries(system, volumes.spacing, patch)
        return {**joint, JOINT_LOW: low_joint_entry(volumes, f"{prefix}_{JOINT_LOW}")}
    entries = {
        name: locate_configuration(network, volumes, f"{prefix}_{name}")
        for name, network in system.volumes.items()
        if network == GCAM_LOCALISER
    }
    localiser = options.pop("localiser") or system.localiser
    margin = system.margin if margin_mm is None else margin_mm
    for name in system.crops:
        try:
            entries[name] = volume_crop_configuration(
                localiser,
                DR_UNET,
                volumes,
                _window(volumes, window, margin),
                margin,
                jitter=jitter,
                training_slices=training_slices,
                **options,
            )
        except ValueError as error:
            raise UserError(f"--window {window}: {error}") from error
    return entries


def _joint_entries(system: System, spacing: Sequence[float], patch_size: Sequence[int]) -> dict[str, dict[str, Any]]:
    return {name: joint_configuration(network, spacing, patch_size) for name, network in system.volumes.items()}


def _window(volumes: VolumeGeometry, side: int | None, margin_mm: float) -> tuple[int, ...] | None:
    """Window (z, y, x) with a given side in-plane; along z it is that of the data set."""
    if side is None:
        return None
    depth = volumes.window(divisor_for(keeps_z(volumes.spacing)), margin_mm)[0]
    return depth, side, side
