"""Plans with the grid, the preprocessing and the recipe of each paper, as far as it states them.

What is the paper's and what is ours is said in :mod:`nnunet_cardiac.planning.paper_notes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_cardiac.planning.paper_notes import PAPER_SUFFIX as PAPER_SUFFIX
from nnunet_cardiac.planning.short import DECIDED
from nnunet_cardiac.planning.slice_crops import CROP_NETWORK, architecture
from nnunet_cardiac.planning.volumes import VolumeGeometry, keeps_z, locate_configuration
from nnunet_cardiac.systems.entries import DR_UNET, E2A_UNET, GCAM_LOCALISER, HALSR_NET, JOINT_DR_UNET, System
from nnunet_cardiac.systems.recipe import PAPER

#: Configuration that trains both 3D DR-UNets as one on the downsampled image.
JOINT_LOW = "3d_joint_low"

#: Fields of a recipe beside those that say how a network learns.
_LENGTH = ("epochs", "batch_size", "patience")


@dataclass(frozen=True)
class Grid:
    """Grid and patch (z, y, x) to which volumes are resampled and padded.

    Attributes:
        spacing: In mm.
        patch: In voxels.
    """

    spacing: tuple[float, float, float]
    patch: tuple[int, int, int]


#: Vesal et al. 2020, section 4, short-axis stacks.
STACKS = Grid((10.0, 1.25, 1.25), (16, 256, 256))


@dataclass(frozen=True)
class PaperUse:
    """How the authors of a system use it.

    Attributes:
        options: Options of `plan` that a user need not give.
        base: Network of nnU-Net's own configuration; None if the system does not train it.
        patch: Patch of that configuration; None keeps nnU-Net's.
        clahe: Whether the networks equalise the contrast of each slice.
        filters: Channels of the first level on stacks and on other volumes; empty where there is no choice.
    """

    options: Mapping[str, Any]
    base: str | None = None
    patch: tuple[int, ...] | None = None
    clahe: bool = False
    filters: tuple[int, ...] = ()


#: Trainer -> use.
USES: dict[str, PaperUse] = {
    "CroCNetTrainer": PaperUse(
        options={"window": 128, "per_slice": True, "mask_outside": True, "heart_only": False, "jitter": 0},
        base=E2A_UNET,
        patch=(224, 224),
    ),
    "HALSRNetTrainer": PaperUse(options={"per_slice": True, "jitter": 0}, base=HALSR_NET),
    "ClassifierGuidedTrainer": PaperUse(options={}),
    "DRUNetTrainer": PaperUse(
        options={"jitter": 0, "coarse_labels": "predicted"}, base=DR_UNET, clahe=True, filters=(32, 16)
    ),
    "DRUNetEndToEndTrainer": PaperUse(options={}, base=JOINT_DR_UNET, clahe=True, filters=(32, 8)),
}


def paper_grid(system: System, base: Mapping[str, Any]) -> Grid | None:
    """Return the grid of the paper for the volumes of a data set, None where it states none.

    Args:
        system: Which one.
        base: nnU-Net's configuration from which those of the system derive.
    """
    return STACKS if system.volumes and keeps_z(base["spacing"]) else None


def on_grid(volumes: VolumeGeometry, grid: Grid) -> VolumeGeometry:
    """Return what would be measured after resampling to a grid."""
    factor = np.array(volumes.spacing) / np.array(grid.spacing)
    hearts = [tuple(math.ceil(n - 1e-6) for n in np.array(heart) * factor) for heart in volumes.hearts]
    return VolumeGeometry(grid.spacing, hearts, volumes.resampled(grid.spacing).shapes)


def base_on_grid(base: Mapping[str, Any], grid: Grid, data_identifier: str) -> dict[str, Any]:
    """Return nnU-Net's configuration for volumes on another grid.

    Args:
        base: As nnU-Net planned it.
        grid: Spacing and patch.
        data_identifier: Folder of its own preprocessed data.
    """
    moved = {"data_identifier": data_identifier, "spacing": list(grid.spacing), "patch_size": list(grid.patch)}
    if "median_image_size_in_voxels" in base:
        sizes = np.array(base["median_image_size_in_voxels"]) * np.array(base["spacing"]) / np.array(grid.spacing)
        moved["median_image_size_in_voxels"] = [float(round(n)) for n in sizes]
    return {**base, **moved}


def low_joint_entry(volumes: VolumeGeometry, data_identifier: str) -> dict[str, Any]:
    """Return the configuration that trains both networks as one on whole volumes of low resolution."""
    entry = locate_configuration(JOINT_DR_UNET, volumes, data_identifier)
    entry["patch_size"] = entry.pop("training_patch_size")  # larger volumes are predicted in tiles of what it has seen
    return entry


def paper_entries(
    trainer: str, system: System, entries: Mapping[str, Mapping[str, Any]], spacing: Sequence[float]
) -> dict[str, dict[str, Any]]:
    """Return configurations with the networks and the recipe of the paper.

    Args:
        trainer: Name in the registry.
        system: Its system.
        entries: Configuration -> entry, with nnU-Net's own if the system trains it.
        spacing: Of nnU-Net's configuration as nnU-Net planned it, in mm.
    """
    use = USES[trainer]
    switches = {"clahe": True} if use.clahe else {}
    if use.filters:
        switches["filters"] = use.filters[0 if keeps_z(spacing) else 1]
    planned = {}
    for name, entry in entries.items():
        if name == system.base:
            patch = {} if use.patch is None else {"patch_size": list(use.patch)}
            entry = {**entry, **patch, "architecture": architecture(use.base, {})}
        planned[name] = {**_with_switches(entry, switches), "recipe": paper_recipe(trainer)}
    return planned


def paper_recipe(trainer: str) -> dict[str, Any]:
    """Return the `recipe` entry of the paper of a trainer, JSON-ready."""
    recipe = PAPER[trainer]
    values = {name: getattr(recipe, name) for name in (*DECIDED, *_LENGTH)}
    return {**values, "milestones": list(recipe.milestones)}


def _with_switches(entry: Mapping[str, Any], switches: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration whose network has further arguments; those of a crop go to its inner network."""
    name, arguments = (entry["architecture"][key] for key in ("network_class_name", "arch_kwargs"))
    if not switches:
        return dict(entry)
    if name == CROP_NETWORK:
        inner = {**arguments.get("network_kwargs", {}), **switches}
        return {**entry, "architecture": architecture(name, {**arguments, "network_kwargs": inner})}
    if name == GCAM_LOCALISER:
        switches = {key: value for key, value in switches.items() if key != "filters"}
    return {**entry, "architecture": architecture(name, {**arguments, **switches})}
