"""Grids that papers state for volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_cardiac.planning.volume_sizes import keeps_z
from nnunet_cardiac.systems import TrainerFacts


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


def paper_grid(trainer: TrainerFacts, base: Mapping[str, Any]) -> Grid | None:
    """Return the grid of the paper for the volumes of a data set, None where it states none.

    Args:
        trainer: Which one.
        base: nnU-Net's configuration from which those of the trainer derive.
    """
    return STACKS if trainer.is_for_volumes and keeps_z(base["spacing"]) else None


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
