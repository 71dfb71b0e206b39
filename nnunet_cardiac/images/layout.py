"""What the header of an image file says: where the voxels are, how they are stored, and their place in the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

#: What to do with a file that is damaged.
COPY_AGAIN = "Copy or convert it again."


@dataclass(frozen=True)
class Header:
    """Geometry of an image file in the order of SimpleITK: x, y, z.

    Attributes:
        size: Voxels along each axis.
        spacing: Voxel size along each axis in mm.
        origin: Position of the first voxel's centre in mm.
        direction: Row-major direction cosines, one column an axis.
        components: Values a voxel; 1 for a grey image.
        oriented: Whether the file says how the axes lie in the patient.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    components: int
    oriented: bool = True


@dataclass(frozen=True)
class Stored:
    """Where the voxels of an image file lie.

    Attributes:
        path: The image file, for messages.
        files: Files with the voxels, each of the same number; often the image file itself.
        shape: Numbers along each axis, the fastest first.
        dtype: Type of a number with its byte order.
        start: Byte of each file at which the voxels, or the compressed stream that holds them, begin; None counts from
            the end, so that the voxels are the last bytes.
        encoding: `raw`, `gzip`, `zlib`, `bzip2`, `text` or `hex`.
        skip: Bytes before the voxels in the decompressed stream.
    """

    path: Path
    files: tuple[Path, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int | None = 0
    encoding: str = "raw"
    skip: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels, all files together."""
        return prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Layout:
    """An image file as its header describes it, before any number in it is believed.

    Attributes:
        stored: Where the voxels are.
        order: Axes of `stored.shape` for x, y, z and time; axes of length 1 and components are not among them.
        dimensions: 2, 3, or 4 for a series over time.
        claims: Name of a part of the header -> voxel size (x, y, z) in mm that it gives. They have to agree.
        origin: Centre of the first voxel (x, y, z) in mm, left, posterior and superior positive.
        axes: Matrix with the direction of x, y, z in its columns, of any length.
        unit: Unit of length that nobody knows; empty if the unit is clear.
        time_step: Distance of the frames, 1 if unknown.
        components: Values a voxel.
        slope: Factor of the stored numbers.
        intercept: Added to them after that.
        nifti: NIfTI header that can be written back as it is; None otherwise.
        oriented: Whether the file says how the axes lie in the patient; a 2D file never does.
    """

    stored: Stored
    order: tuple[int, ...]
    dimensions: int
    claims: Mapping[str, tuple[float, ...]]
    origin: tuple[float, ...]
    axes: npt.NDArray[np.float64]
    unit: str = ""
    time_step: float = 1.0
    components: int = 1
    slope: float = 1.0
    intercept: float = 0.0
    nifti: Any = field(default=None, compare=False)
    oriented: bool = True

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels along x, y, z and time; an axis that the file lacks has one."""
        found = [self.stored.shape[axis] for axis in self.order]
        return (*found, *(1,) * (self.dimensions - len(found)))
