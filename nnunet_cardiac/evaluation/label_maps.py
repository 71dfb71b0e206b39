"""Label maps: read whole or refused, and brought into one storage, whichever way their files are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.image_file import Header, read_image
from nnunet_cardiac.images.orientation import Way, canonical_way, directions, parallel_to_body
from nnunet_cardiac.images.same_body import way_onto

#: Absolute tolerances in mm (spacing, origin) and of the direction cosines: NIfTI stores single precision and rotations
#: as quaternions, so equal grids differ in the last digits.
TOLERANCES = {"spacing": 1e-3, "origin": 1e-2, "direction": 1e-3}


@dataclass(frozen=True)
class LabelMap:
    """A label map.

    Attributes:
        path: The file.
        values: (T, Z, Y, X); T is 1 for one volume, Z is 1 for one slice.
        header: Geometry of the file, with as many axes as it has.
    """

    path: Path
    values: npt.NDArray[np.generic]
    header: Header

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels (x, y, z, t), as far as the file has these axes."""
        return self.header.size

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size (x, y, z) in mm; a 2D file gets 1 for z."""
        return (*self.header.spacing[:3], 1.0)[:3]

    @property
    def origin(self) -> tuple[float, ...]:
        """Place of the first voxel (x, y, z) in mm."""
        return (*self.header.origin[:3], 0.0)[:3]

    @property
    def direction(self) -> npt.NDArray[np.float64]:
        """Direction cosines (3, 3), a column an axis."""
        axes, direction = min(len(self.header.size), 3), np.eye(3)
        direction[:axes, :axes] = directions(self.header)
        return direction

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x)."""
        x, y, z = self.spacing
        return z, y, x

    @property
    def right_handed(self) -> bool | None:
        """Whether the directions form a right-handed system; None if they are parallel to the body's axes.

        Those of a canonical label map do; a file that does not say how it lies may have others.
        """
        if parallel_to_body(self.direction):
            return None
        return bool(np.linalg.det(self.direction) > 0)

    @property
    def canonical_way(self) -> Way:
        """How it becomes canonical; nothing changes where the file does not say how it lies."""
        return canonical_way(self.header)

    def moved(self, way: Way) -> LabelMap:
        """Return the label map in another storage; every voxel keeps its place in the patient."""
        if way.changes_nothing:
            return self
        return LabelMap(self.path, np.ascontiguousarray(way.apply(self.values)), way.moved(self.header))


def read_label_map(path: Path) -> LabelMap:
    """Read a file as it is stored.

    Args:
        path: 3D, 2D for one slice, or 4D with the frames last.

    Raises:
        UserError: If it cannot be read or ends too early, has other dimensions or several values a voxel, or does not
            say for certain how large its voxels are.
    """
    # As nnU-Net does: an sform of 1 mm is one that nobody wrote, and pixdim counts. Hearts of animals count, too.
    image = read_image(path, unit_matrix=True, any_size=True)
    axes, values = len(image.header.size), image.voxels
    if axes not in (2, 3, 4):
        raise UserError(f"{path}: found {axes} dimensions, expected a label map in 3D, or in 4D with the frames last.")
    return LabelMap(path, values.reshape((1,) * (4 - axes) + values.shape), image.header)


def read_canonical(path: Path) -> LabelMap:
    """Read a file and bring it into canonical storage, so that its slices come first; see :func:`read_label_map`."""
    labels = read_label_map(path)
    return labels.moved(labels.canonical_way)


def read_together(reference: Path, prediction: Path) -> tuple[LabelMap, LabelMap]:
    """Read two label maps of one body and bring both into one storage, the canonical one of the reference.

    Args:
        reference: As for :func:`read_label_map`.
        prediction: Likewise; its axes may be exchanged or turned round against those of the reference.

    Raises:
        UserError: If a file cannot be read, or they do not lie on one grid; the time between frames may differ.
    """
    expected, stored = read_label_map(reference), read_label_map(prediction)
    found = stored.moved(way_onto(stored.header, expected.header))
    if _difference(expected, found):
        # Headers of one size are shown as they are in the files, others with their axes in one order.
        shown = _difference(expected, stored if stored.size == expected.size else found)
        raise UserError(
            f"{prediction}: {shown}.{_silent(expected, stored)} Predict from the image that belongs to this reference, "
            "and do not resample the result."
        )
    way = expected.canonical_way
    return expected.moved(way), found.moved(way)


def _difference(reference: LabelMap, prediction: LabelMap) -> str:
    """The first thing in which two grids differ, what was found and what was expected; empty if none."""
    for field in ("size", *TOLERANCES):
        expected, found = (np.ravel(getattr(side, field)) for side in (reference, prediction))
        if len(expected) != len(found) or not np.allclose(expected, found, rtol=0, atol=TOLERANCES.get(field, 0)):
            axes = "xyzt"[: len(expected)] if field == "size" else "xyz"
            listed = ", ".join(axes)
            return f"{field} is {_shown(found)}, expected {_shown(expected)} as in {reference.path} ({listed})"
    return ""


def _silent(reference: LabelMap, prediction: LabelMap) -> str:
    """Which file does not say how it lies, so that nobody can bring both together; empty if none or both."""
    silent = [labels.path for labels in (reference, prediction) if not labels.header.oriented]
    return f" {silent[0]} does not say how it lies in the patient." if len(silent) == 1 else ""


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


def _shown(values: Sequence[float] | npt.NDArray[np.generic]) -> str:
    """Numbers to a tenth of the smallest tolerance, so that what differs looks different."""
    return "(" + ", ".join(f"{round(float(value), 4) + 0.0:.10g}" for value in values) + ")"  # no negative zero


def _exact(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.9g}" for value in values) + ")"
