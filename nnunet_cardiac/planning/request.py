"""What an entry of a plans file is planned from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.hearts import HeartGeometry, measure_hearts, reference_labels
from nnunet_cardiac.planning.options import PAPER, SHORT, SMALL, CropOptions
from nnunet_cardiac.planning.paper_grid import Grid, paper_grid
from nnunet_cardiac.planning.targets import Target
from nnunet_cardiac.planning.volume_sizes import VolumeGeometry, measure_volumes
from nnunet_cardiac.systems import TRAINERS, TrainerFacts
from nnunet_cardiac.systems.kinds import BoxRegressor


@dataclass(frozen=True)
class Request:
    """A trainer, the data, and what the user said. Hearts are measured when a configuration asks for them.

    Attributes:
        trainer: Whose configurations are planned.
        target: The plans that are written and those that they derive from.
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        labels: Structure -> value.
        ignore: Value of pixels without a reference, or None.
        options: The user's choices, with those of earlier runs.
        progress: Whether to show a progress bar.
    """

    trainer: TrainerFacts
    target: Target
    preprocessed: Path
    labels: Mapping[str, int]
    ignore: int | None
    options: CropOptions
    progress: bool
    _hearts: dict[int, HeartGeometry] = field(default_factory=dict)

    @cached_property
    def base(self) -> dict[str, Any]:
        """nnU-Net's configuration from which those of the trainer derive.

        Raises:
            UserError: If nnU-Net has not planned it.
        """
        name, plans = self.trainer.base, self.target.source
        if name not in plans["configurations"]:
            raise UserError(
                f"plans {plans.get('plans_name')!r} have no configuration {name}, from which those of "
                f"{self.trainer.name} derive; they have {', '.join(plans['configurations'])}. nnU-Net plans 3d_fullres "
                "for volumes of more than one slice."
            )
        return plans["configurations"][name]

    @property
    def training_slices(self) -> int | None:
        """Slices in a row that training samples of stacks have; None takes all."""
        return self.trainer.short_slices if self.target.kind in (SMALL, SHORT) else None

    def hearts(self, margin: int) -> HeartGeometry:
        """Sizes of hearts and slices.

        Args:
            margin: Around the hearts in pixels.
        """
        if margin not in self._hearts:
            folder = self.preprocessed / self.base["data_identifier"]
            self._hearts[margin] = measure_hearts(folder, margin, self.progress, self._boxed_labels(), self.ignore)
        return self._hearts[margin]

    def _boxed_labels(self) -> list[int] | None:
        """Labels whose box the localiser finds; None means all."""
        names = {self.options.localiser} - {None} or {
            one.localiser for one in self.trainer.configurations if hasattr(one, "localiser")
        }
        for other in TRAINERS.values():
            if other.boxed and any(one.name in names for one in other.of_kind(BoxRegressor)):
                return [self.labels[anatomy] for anatomy in other.boxed if anatomy in self.labels]
        return None

    @cached_property
    def stack_shapes(self) -> list[tuple[int, ...]]:
        """Shape (z, y, x) of each case as preprocessed for `2d`."""
        folder = self.preprocessed / self.base["data_identifier"]
        return [labels.shape for labels in reference_labels(folder, "2d", self.progress)]

    @cached_property
    def grid(self) -> Grid | None:
        """Grid of the paper for volumes, in plans of that kind and where it states one."""
        return paper_grid(self.trainer, self.base) if self.target.kind == PAPER else None

    @cached_property
    def volumes(self) -> VolumeGeometry:
        """Sizes of hearts and volumes, on the grid of the paper where one is asked for."""
        folder, spacing = self.preprocessed / self.base["data_identifier"], self.base["spacing"]
        measured = measure_volumes(folder, spacing, self.progress, self.ignore)
        return measured if self.grid is None else on_grid(measured, self.grid)

    @property
    def volume_data(self) -> str:
        """Start of the names of data folders of configurations with a grid of their own."""
        return self.target.data_prefix if self.grid is None else self.target.plans["plans_name"]


def on_grid(volumes: VolumeGeometry, grid: Grid) -> VolumeGeometry:
    """Return what would be measured after resampling to a grid."""
    factor = np.array(volumes.spacing) / np.array(grid.spacing)
    hearts = [tuple(math.ceil(n - 1e-6) for n in np.array(heart) * factor) for heart in volumes.hearts]
    return VolumeGeometry(grid.spacing, hearts, volumes.resampled(grid.spacing).shapes)
