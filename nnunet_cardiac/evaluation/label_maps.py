"""One label map: read whole or refused, and compared with another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.image_file import Header, read_image

#: Absolute tolerances in mm (spacing, origin) and of the direction cosines: NIfTI stores single precision and rotations
#: as quaternions, so equal grids differ in the last digits.
TOLERANCES = {"spacing": 1e-3, "origin": 1e-2, "direction": 1e-3}

#: Direction cosine from which on an axis counts as parallel to one of the body.
_PARALLEL = 0.9999


@dataclass(frozen=True)
class LabelMap:
    """A label map as its file holds it.

    Attributes:
        path: The file.
        values: (T, Z, Y, X); T is 1 for one volume, Z is 1 for one slice.
        size: Of the file (x, y, z, t), as far as it has these axes.
        spacing: Voxel size (x, y, z) in mm.
        origin: Of the first voxel (x, y, z) in mm.
        direction: Direction cosines (3, 3), a column an axis.
    """

    path: Path
    values: npt.NDArray[np.generic]
    size: tuple[int, ...]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: npt.NDArray[np.float64]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x)."""
        x, y, z = self.spacing
        return z, y, x

    @property
    def right_handed(self) -> bool | None:
        """Whether the directions form a right-handed system; None if they are parallel to the body's axes."""
        if np.abs(self.direction).max(axis=0).min() > _PARALLEL:
            return None
        return bool(np.linalg.det(self.direction) > 0)


def read_label_map(path: Path) -> LabelMap:
    """Read a file.

    Args:
        path: 3D, 2D for one slice, or 4D with the frames last.

    Raises:
        UserError: If it cannot be read or ends too early, has other dimensions or several values a voxel, or does not
            say for certain how large its voxels are.
    """
    # As nnU-Net does: an sform of 1 mm is one that nobody wrote, and pixdim counts. Hearts of animals are evaluated, too.
    image = read_image(path, unit_matrix=True, any_size=True)
    axes, values = len(image.header.size), image.voxels
    if axes not in (2, 3, 4):
        raise UserError(f"{path}: found {axes} dimensions, expected a label map in 3D, or in 4D with the frames last.")
    return LabelMap(path, values.reshape((1,) * (4 - axes) + values.shape), image.header.size, *_geometry(image.header))


def check_same_grid(reference: LabelMap, prediction: LabelMap) -> None:
    """Check that two label maps lie on one grid; the time between frames may differ.

    Raises:
        UserError: If they do not.
    """
    for field in ("size", *TOLERANCES):
        expected, found = (np.ravel(getattr(side, field)) for side in (reference, prediction))
        if len(expected) != len(found) or not np.allclose(expected, found, rtol=0, atol=TOLERANCES.get(field, 0)):
            raise UserError(
                f"{prediction.path}: {field} is {_shown(found)}, expected {_shown(expected)} as in {reference.path} "
                f"({', '.join('xyzt'[: len(expected)] if field == 'size' else 'xyz')}). Predict from the image that "
                "belongs to this reference, and do not resample the result."
            )


def label_values(labels: LabelMap, allowed: set[int], refused: int | None = None) -> npt.NDArray[np.uint8]:
    """Return the values (T, Z, Y, X) of a label map.

    Args:
        labels: The label map.
        allowed: Values that may occur.
        refused: Ignore label of the references where this is a prediction, which must not have it.

    Raises:
        UserError: If other values occur.
    """
    array = labels.values
    if array.dtype == np.uint8:  # as good files are: a table is ten times faster than sorting all voxels
        known = np.zeros(256, bool)
        known[list(allowed)] = True
        if known[array].all():
            return array.astype(np.uint8, copy=False)
    other = [value for value in np.unique(array).tolist() if value not in allowed]
    if refused in other:
        raise UserError(
            f"{labels.path}: found the value {refused} in a prediction, which is the ignore label of the references: "
            f"no network predicts it. Expected only {sorted(allowed)}; give a folder of predictions, no annotations."
        )
    if other:
        raise UserError(
            f"{labels.path}: found label values {_exact(other[:8])}, expected only {sorted(allowed)}. "
            "Check that these are label maps and that dataset.json names every label."
        )
    return array.astype(np.uint8)


def _geometry(
    header: Header,
) -> tuple[tuple[float, float, float], tuple[float, float, float], npt.NDArray[np.float64]]:
    """Spacing, origin and direction in space: a slice gets a third axis, and time is left out."""
    axes = min(len(header.size), 3)
    direction = np.eye(3)
    direction[:axes, :axes] = np.reshape(header.direction, (len(header.size),) * 2)[:axes, :axes]
    x, y, z = (*header.spacing[:axes], 1.0)[:3]
    return (x, y, z), (*header.origin[:axes], 0.0)[:3], direction  # type: ignore[return-value]


def _shown(values: Sequence[float] | npt.NDArray[np.generic]) -> str:
    """Numbers to a tenth of the smallest tolerance, so that what differs looks different."""
    return "(" + ", ".join(f"{round(float(value), 4) + 0.0:.10g}" for value in values) + ")"  # no negative zero


def _exact(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.9g}" for value in values) + ")"
