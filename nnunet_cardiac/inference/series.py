"""What is segmented and written as one: a stack, a cine series or a single slice, with its place in the patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import Matrix


@dataclass(frozen=True)
class Grid:
    """Place of the voxels, in the order and the coordinates of ITK (x, y, z; left, posterior, superior).

    Attributes:
        spacing: Voxel size in mm; a fourth entry is the time between frames. Two entries for a 2D file.
        origin: Centre of the first voxel.
        direction: Row-major direction cosines.
        nifti: Header of the NIfTI file it was read from, whose geometry is written back bit for bit; None otherwise.
        oriented: Whether the direction is known; else it is that which readers assume.
    """

    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    nifti: Any = None
    oriented: bool = True

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x). A 2D file gets nnU-Net's slice distance, 999 times the pixel size."""
        if len(self.spacing) == 2:
            return (999 * max(self.spacing), self.spacing[1], self.spacing[0])
        return (self.spacing[2], self.spacing[1], self.spacing[0])


@dataclass(frozen=True)
class Series:
    """Images to segment.

    Attributes:
        name: Name of the outputs, without ending.
        frames: Intensities (T, C, Z, Y, X), float32.
        grid: Place of the voxels.
        dimensions: Of the file: 2, 3, or 4 for a cine series.
        warnings: What a reader of the result should know.
        times_ms: Time of each frame after the R wave, if known.
        empty: (T, Z), True where no image exists and the label map is to stay background; None if there is no gap.
        identifiers: What the input says of the patient; written only if asked for.
        dicom: Source of a DICOM series, for DICOM-SEG: files and frame numbers (T, Z); None for other files.
        like: Canonical axes of another stack of the study, one a column, that lies nearly parallel; None if there is
            none.
    """

    name: str
    frames: npt.NDArray[np.float32]
    grid: Grid
    dimensions: int
    warnings: tuple[str, ...] = ()
    times_ms: tuple[float, ...] | None = None
    empty: npt.NDArray[np.bool_] | None = None
    identifiers: dict[str, str] = field(default_factory=dict)
    dicom: Any = None
    like: Matrix | None = None

    @property
    def header(self) -> Header:
        """Geometry in the order of the file (x, y, z, time)."""
        grid = self.grid
        size = (*self.frames.shape[:1:-1], len(self.frames))[: len(grid.spacing)]
        return Header(size, grid.spacing, grid.origin, grid.direction, 1, grid.oriented)
