"""The canonical storage of an image: one of the 48 ways in which the same body can lie in a file.

The axes of a file are exchanged and turned round, never resampled, so the way back gives every voxel back. Canonical
are: the third axis (the first of an array) runs across the slices, x and y run as a DICOM viewer shows the plane (to
the right and down), and the three form a right-handed system, so that slices of a short-axis stack run from apex to
base and axial ones from feet to head.

The slice axis is found by the geometry alone, the first of these rules that decides:

1. the one axis with a single voxel;
2. the axis whose voxels are largest, if by a quarter or more;
3. the axis with fewest voxels, if by a quarter or more;
4. of cubic volumes, the axis closest to head and feet.

Of the eight right-handed ways to lie around it the one is taken whose axes are closest to `REFERENCE` (largest sum of
cosines).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.images.layout import Header

Matrix = npt.NDArray[np.float64]

#: Axes x, y and z of a picture, one a column: to the patient's left, downwards, and away from the viewer, turned
#: between coronal and short-axis planes. So axes of axial, coronal, sagittal, short-axis and four-chamber planes are
#: canonical as scanners store them, and stay so when a plane is turned by up to 13 degrees about any line.
REFERENCE: Matrix = np.array([[0.97, -0.06, -0.24], [0.25, 0.23, 0.94], [0.0, -0.97, 0.23]])

#: Decides between ways that are equally close, as for planes at exactly 45 degrees: nothing is special about it.
_TIE: Matrix = np.array([[0.61, 0.37, 0.19], [0.43, 0.29, 0.53], [0.31, 0.71, 0.11]])

#: Sums of cosines that differ by less are equal: rounding of headers in single precision.
_EQUAL = 1e-4

#: Determinant of axes of which two lie along one line; it is 1 for those at right angles.
_SINGULAR = 0.1

#: A slice axis is told from the others by voxels that are larger, or fewer, by this factor. A little less than a
#: quarter, so that rounding does not decide where it is exactly one, as for voxels of 1.6 and 2 mm.
_CLEAR = 1.249

#: Direction cosine from which on an axis is parallel to one of the body: what programs write that know no direction.
#: A scanner's oblique plane never gets so close.
_PARALLEL = 0.9999

#: Decides between axes that are equally close to head and feet: nothing is special about this line.
_TIE_LINE = np.array([0.61, 0.43, 0.31])


@dataclass(frozen=True)
class Way:
    """How an image that lies in some way becomes one that lies in another.

    Attributes:
        axes: For x, y and z of the result, the axis of the original (0 is x) that it comes from.
        flips: Whether it runs against that axis.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, code: str) -> Way:
        """Return the way of a :attr:`code`.

        Raises:
            ValueError: If the text is none.
        """
        way = _BY_CODE.get(code)
        if way is None:
            raise ValueError(f"{code!r} is no way to store an image; expected one such as {IDENTITY.code!r}")
        return way

    @cached_property
    def code(self) -> str:
        """The original's axis and its sense for x, y and z, such as `-y +x +z`."""
        return " ".join(
            f"{'-' if flip else '+'}{'xyz'[axis]}" for axis, flip in zip(self.axes, self.flips, strict=True)
        )

    @property
    def changes_nothing(self) -> bool:
        """Whether both ways are the same."""
        return self == IDENTITY

    @property
    def inverse(self) -> Way:
        """The way back."""
        back = np.argsort(self.axes)
        return Way(_three(back), tuple(self.flips[axis] for axis in back))  # type: ignore[arg-type]

    def then(self, other: Way) -> Way:
        """Return both ways, this one first, as one."""
        axes = tuple(self.axes[axis] for axis in other.axes)
        flips = tuple(flip != self.flips[axis] for axis, flip in zip(other.axes, other.flips, strict=True))
        return Way(axes, flips)  # type: ignore[arg-type]

    def apply(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Move the voxels; a view.

        Args:
            array: (..., Z, Y, X), the axes of the original; a picture (Y, X) can only stay as it is.
        """
        if self.changes_nothing:
            return array
        last = array.ndim - 1
        order = (*range(array.ndim - 3), *(last - axis for axis in reversed(self.axes)))
        turned = tuple(last - axis for axis, flip in enumerate(self.flips) if flip)
        return np.flip(array.transpose(order), turned)

    def sizes(self, zyx: Sequence[float]) -> tuple[float, ...]:
        """Return voxel sizes or voxel counts (z, y, x) of the result."""
        return tuple(zyx[2 - axis] for axis in reversed(self.axes))

    def moved(self, header: Header) -> Header:
        """Return the header of the moved image; every voxel keeps its place in the patient.

        Args:
            header: Of an image of three dimensions, or four with time last.
        """
        axes, size = list(self.axes), np.array(header.size[:3])
        direction, spacing = directions(header), np.array(header.spacing[:3])
        signs = np.where(self.flips, -1.0, 1.0)
        whole = np.reshape(header.direction, (len(header.size),) * 2).copy()
        whole[:3, :3] = direction[:, axes] * signs + 0.0  # no negative zeros
        last = (spacing * (size - 1) * direction)[:, axes]
        origin = np.array(header.origin[:3]) + last[:, list(self.flips)].sum(axis=1)
        return Header(
            (*size[axes].tolist(), *header.size[3:]),
            (*spacing[axes].tolist(), *header.spacing[3:]),
            (*origin.tolist(), *header.origin[3:]),
            tuple(whole.ravel().tolist()),
            header.components,
            header.oriented,
        )


IDENTITY = Way((0, 1, 2), (False, False, False))

#: All 48 ways.
WAYS: tuple[Way, ...] = tuple(
    Way(axes, flips)  # type: ignore[arg-type]
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
)

_BY_CODE = {way.code: way for way in WAYS}


def says_how_it_lies(header: Header) -> bool:
    """Whether the axes of an image are known in the patient; those of a 2D file, or along one line, never are."""
    if not header.oriented or len(header.size) < 3 or not np.isfinite(header.direction).all():
        return False
    return bool(abs(np.linalg.det(directions(header))) > _SINGULAR)


def canonical_way(header: Header, like: Matrix = REFERENCE) -> Way:
    """Return how an image becomes canonical; :data:`IDENTITY` if its header does not say how it lies in the patient.

    Args:
        header: Its geometry.
        like: Axes x, y, z, one a column, to which those of the result are to be closest, such as those of another stack
            of the study.
    """
    if not says_how_it_lies(header):
        return IDENTITY
    direction = directions(header)
    across = slice_axis(header.size, header.spacing, direction)
    ways = [way for way in WAYS if way.axes[2] == across and np.linalg.det(_columns(direction, way)) > 0]
    close = {way: float((_columns(direction, way) * like).sum()) for way in ways}
    best = max(close.values())
    return max(
        (way for way in ways if close[way] > best - _EQUAL),
        key=lambda way: float((_columns(direction, way) * _TIE).sum()),
    )


def slice_axis(size: Sequence[int], spacing: Sequence[float], direction: Matrix) -> int:
    """Return the axis across the slices, 0 for x; see the rules above.

    Args:
        size: Voxels along x, y, z.
        spacing: Voxel size (x, y, z) in mm.
        direction: Direction cosines (3, 3), one axis a column.
    """
    single = [axis for axis in range(3) if size[axis] == 1]
    if len(single) == 1:
        return single[0]
    largest = np.argsort(spacing[:3])
    if spacing[largest[2]] >= _CLEAR * spacing[largest[1]]:
        return int(largest[2])
    fewest = np.argsort(size[:3])
    if size[fewest[1]] >= _CLEAR * size[fewest[0]]:
        return int(fewest[0])
    upright = np.abs(direction[2])
    equal = [axis for axis in range(3) if upright[axis] > upright.max() - _EQUAL]
    return max(equal, key=lambda axis: float(abs(direction[:, axis] @ _TIE_LINE)))


def directions(header: Header) -> Matrix:
    """Return the direction cosines (3, 3) of x, y and z, one a column."""
    count = len(header.size)
    return np.reshape(header.direction, (count, count))[:3, :3].astype(float)


def parallel_to_body(direction: npt.NDArray[np.floating]) -> bool:
    """Whether every axis is parallel to one of the body, which of a short-axis stack means that its direction is lost.

    Args:
        direction: Direction cosines (3, 3), one axis a column.
    """
    return bool(np.abs(direction).max(axis=0).min() > _PARALLEL)


def _columns(direction: Matrix, way: Way) -> Matrix:
    """Axes of the result, one a column."""
    return direction[:, list(way.axes)] * np.where(way.flips, -1.0, 1.0)


def _three(numbers: Sequence[int] | npt.NDArray[np.integer]) -> tuple[int, int, int]:
    x, y, z = (int(number) for number in numbers)
    return x, y, z
