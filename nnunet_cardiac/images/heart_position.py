"""Anatomy as a second witness: whether a label map of the ventricles fits the directions in its header.

Three signs, all measured in the patient's axes, so that they are the same however the voxels are stored:

- **Where the right ventricle lies.** Seen from the left one it lies right and in front. The angle to that direction is
  measured within the slices where these are thick, because they cut the ventricles off at their ends.
- **Where the heart is wide.** The base lies right, behind and above; from there the heart narrows to the apex.
- **How the right ventricle winds.** From apex to base its middle moves from below to the front, as on a right-handed
  screw. In a mirror the screw is left-handed, wherever the ventricles lie.

Each sign is silent where it is not certain. Directions parallel to the body's axes say nothing, either: a short-axis
stack is oblique, so a program lost its directions (as in all of ACDC), and nothing is left that could be contradicted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.anatomy import canonical_anatomy
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import directions, parallel_to_body

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: From the centre of the left ventricle to that of the right one: to the left, backwards, upwards.
TO_RIGHT_VENTRICLE: Vector = np.array([-0.8, -0.6, 0.0])
#: From the apex of the left ventricle to its base.
TO_BASE: Vector = np.array([-0.62, 0.67, 0.41])

#: A larger angle is a contradiction. Measured: at most 18 degrees where headers are known to be true; with one typical
#: direction for every patient of ACDC and M&Ms, so that turns of the planes count as well, about 95 % are below it.
TOLERANCE_DEGREES = 50.0

#: Slices are thick if their distance is larger than the pixels by this factor.
_THICK = 1.5
#: Cosine of slice axis and long axis: below the first it is a long-axis view, above the second a short-axis stack.
_LONG_AXIS, _SHORT_AXIS = 0.3, 0.5
#: Smallest structures that have a position.
_MIN_VOXELS, _MIN_SLICES = 50, 3
#: Distance of the centres, in radii of the left ventricle, below which they have no direction; 1.1 or more in ACDC.
_MIN_DISTANCE = 0.25
#: Slices that a course along the heart needs, and share of the largest area of the right ventricle that each needs.
_COURSE_SLICES, _COURSE_AREA = 5, 0.1
#: Smallest certain shift of the area towards one end, in lengths of the heart.
_WIDER = 0.06
#: Smallest certain turn from one end to the other, and in standard errors.
_WINDS_DEGREES, _WINDS_ERRORS = 15.0, 4.0

#: What a label map says of its header; an empty text where it says nothing.
AGREES, LOST = "agrees", "direction lost"
TURNED, REVERSED, MIRRORED = "turned", "slices reversed", "mirrored"
#: Faults of a file or of its label map.
CONTRADICTIONS = (TURNED, REVERSED, MIRRORED)

_CAUSE = "or its header belongs to another image, or the label map is wrong."
_CHECK = "Compare it with the original in a viewer that shows left and right, and convert it again."


@dataclass(frozen=True)
class HeartPosition:
    """What a label map and the directions of its header say together. NaN and 0 are silent.

    Attributes:
        angle: Degrees between where the right ventricle lies and where it is expected; within thick slices, where a
            positive angle turns as a right-handed screw that moves from apex to base, else in space.
        wider: Shift of the area of the ventricles towards where the header puts the base, in lengths of the heart;
            negative if the base is at the other end.
        winds: Degrees by which the right ventricle turns as a right-handed screw along the heart; negative in a mirror.
        lost: Whether the directions are parallel to the body's axes.
    """

    angle: float = math.nan
    wider: float = 0.0
    winds: float = 0.0
    lost: bool = False

    @property
    def verdict(self) -> str:
        """:data:`AGREES`, one of :data:`CONTRADICTIONS`, :data:`LOST`, or nothing."""
        if math.isnan(self.angle):
            return LOST if self.lost else ""
        if abs(self.angle) > TOLERANCE_DEGREES:
            return TURNED
        if self.wider < 0 and self.winds <= 0:
            return REVERSED
        return MIRRORED if self.winds < 0 else AGREES

    @property
    def contradiction(self) -> str:
        """What contradicts the header, and what to do; empty if nothing does."""
        return explain(self.verdict, self.angle)


def explain(verdict: str, angle: float) -> str:
    """Return a contradiction in words.

    Args:
        verdict: Of a :class:`HeartPosition`.
        angle: Its angle in degrees.

    Returns:
        Sentences for a person; empty if the verdict is no contradiction.
    """
    degrees = f"{abs(angle):.0f} degrees"
    found = {
        TURNED: f"The right ventricle lies {degrees} from where the header of the image puts right and front: the file "
        "is mirrored or turned",
        REVERSED: "The heart is wide where the header of the image puts its apex, and narrow where it puts the base "
        f"(the right ventricle lies {degrees} from right and front, within the limit): the slices are in reverse order",
        MIRRORED: "From apex to base, the right ventricle winds round the left one as it does in a mirror (it lies "
        f"{degrees} from right and front, within the limit): rows, columns or slices of the file are in reverse order",
    }
    return f"{found[verdict]}, {_CAUSE} {_CHECK}" if verdict in found else ""


def position_in_image(labels: npt.NDArray[np.integer], names: Mapping[str, int], header: Header) -> HeartPosition:
    """Measure the position of the ventricles in an image or a series, of which most frames decide.

    Args:
        labels: Label map (Z, Y, X), or (T, Z, Y, X) for a series.
        names: Structure in any known spelling -> label value; without both ventricles nothing is said.
        header: Of the image; one without direction, or of a picture, says nothing.
    """
    if not header.oriented or len(header.size) < 3:
        return HeartPosition()
    values = {canonical_anatomy(name) or name: value for name, value in names.items()}
    frames = labels.reshape((-1, *labels.shape[-3:]))
    return common_position([heart_position(one, values, directions(header), header.spacing) for one in frames])


def heart_position(
    labels: npt.NDArray[np.integer],
    values: Mapping[str, int],
    direction: npt.NDArray[np.floating],
    spacing: Sequence[float],
) -> HeartPosition:
    """Measure the position of the ventricles.

    Args:
        labels: Label map (Z, Y, X).
        values: LV, MYO and RV -> label value; without LV or RV nothing is said.
        direction: Direction cosines (3, 3) of x, y and z in the patient, one a column.
        spacing: Voxel size (x, y, z) in mm.
    """
    if not {"LV", "RV"} <= values.keys() or min(labels.shape) < 2:
        return HeartPosition()
    left, right = labels == values["LV"], labels == values["RV"]
    if min(np.count_nonzero(left), np.count_nonzero(right)) < _MIN_VOXELS:
        return HeartPosition()
    *_, middle, largest = np.sort(spacing[:3])
    thick = largest >= _THICK * middle
    if parallel_to_body(direction):
        return HeartPosition(lost=bool(thick))
    if "MYO" in values:
        left |= labels == values["MYO"]
    axes = np.asarray(direction, float) * np.asarray(spacing[:3], float)
    if thick:
        return _in_slices(left, right, axes, int(np.argmax(spacing[:3])))
    between = axes @ (_centre(right) - _centre(left))
    cosine = between @ TO_RIGHT_VENTRICLE / max(np.linalg.norm(between), 1e-9)
    return HeartPosition(math.degrees(math.acos(np.clip(cosine, -1.0, 1.0))))


def common_position(positions: Sequence[HeartPosition]) -> HeartPosition:
    """Return what most frames of a series say: the middle of those that say anything."""
    found = [position for position in positions if not math.isnan(position.angle)]
    if not found:
        return HeartPosition(lost=any(position.lost for position in positions))
    middle = sorted((position.angle for position in found), key=abs)[len(found) // 2]
    wider, winds = (float(np.median([getattr(one, name) for one in found])) for name in ("wider", "winds"))
    return HeartPosition(middle, wider, winds)


def _in_slices(left: Mask, right: Mask, axes: Vector, across: int) -> HeartPosition:
    """Position in a stack of thick slices.

    Args:
        left: Left ventricle with its wall, (Z, Y, X).
        right: Right ventricle.
        axes: Steps of x, y and z in the patient in mm, one a column.
        across: Axis across the slices, 0 for x.
    """
    normal = axes[:, across] / float(np.linalg.norm(axes[:, across]))
    normal = normal if normal @ TO_BASE > 0 else -normal
    expected = TO_RIGHT_VENTRICLE - (TO_RIGHT_VENTRICLE @ normal) * normal
    areas, centres = _by_slice(left, axes, across)
    right_areas, right_centres = _by_slice(right, axes, across)
    both = (areas > 0) & (right_areas > 0)
    if normal @ TO_BASE < _LONG_AXIS or np.linalg.norm(expected) < _SHORT_AXIS or both.sum() < _MIN_SLICES:
        return HeartPosition()
    expected = expected / float(np.linalg.norm(expected))
    plane = np.stack([expected, np.cross(normal, expected)])  # a turn from the first to the second is right-handed
    x, y = plane @ axes @ (_centre(right) - _centre(left))
    pixel_mm2 = math.prod(np.linalg.norm(np.delete(axes, across, axis=1), axis=0))
    if math.hypot(x, y) < _MIN_DISTANCE * math.sqrt(areas[areas > 0].mean() * pixel_mm2 / math.pi):
        return HeartPosition()
    angle = math.degrees(math.atan2(y, x))
    if normal @ TO_BASE < _SHORT_AXIS:  # the slices do not run from base to apex
        return HeartPosition(angle)
    levels = np.arange(len(areas), dtype=np.float64) * float(axes[:, across] @ normal)
    x, y = plane @ (right_centres - centres)[both].T
    turns = (np.degrees(np.arctan2(y, x)) - angle + 180.0) % 360.0 - 180.0
    wider = _wider(levels[areas > 0], (areas + right_areas)[areas > 0])
    return HeartPosition(angle, wider, _winds(levels[both], turns, right_areas[both]))


def _by_slice(mask: Mask, axes: Vector, across: int) -> tuple[Vector, Vector]:
    """Pixels (N,) and centre (N, 3) in mm of a structure in each slice; the centre is 0 where it has none."""
    stack = np.moveaxis(mask, 2 - across, 0)
    first, second = (axes[:, axis] for axis in (2, 1, 0) if axis != across)
    rows, columns = stack.sum(axis=2), stack.sum(axis=1)
    areas = rows.sum(axis=1).astype(float)
    count = np.maximum(areas, 1.0)
    along = (rows @ np.arange(rows.shape[1])) / count, (columns @ np.arange(columns.shape[1])) / count
    return areas, np.outer(along[0], first) + np.outer(along[1], second)


def _wider(levels: Vector, areas: Vector) -> float:
    """Shift of the area towards higher levels, in lengths of the heart; 0 if it is not certain."""
    if len(levels) < _COURSE_SLICES:
        return 0.0
    shift = float((levels - levels.mean()) @ areas / areas.sum() / np.ptp(levels))
    return shift if abs(shift) >= _WIDER else 0.0


def _winds(levels: Vector, turns: Vector, areas: Vector) -> float:
    """Turn in degrees from one end of the heart to the other, by weighted least squares; 0 if it is not certain."""
    used = areas >= _COURSE_AREA * areas.max()
    if used.sum() < _COURSE_SLICES:
        return 0.0
    levels, turns, weights = levels[used], turns[used], areas[used] / areas[used].sum()
    levels = levels - weights @ levels
    turns = turns - weights @ turns
    spread = weights @ levels**2
    slope = weights @ (levels * turns) / spread
    error = math.sqrt(weights @ (turns - slope * levels) ** 2 / spread / (len(levels) - 2))
    total = float(slope * np.ptp(levels))
    return total if abs(total) >= _WINDS_DEGREES and abs(slope) >= _WINDS_ERRORS * error else 0.0


def _centre(mask: Mask) -> Vector:
    """Centre (x, y, z) in voxels."""
    sums = (mask.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in (2, 1, 0))
    return np.array([(np.arange(len(one)) @ one) / one.sum() for one in sums])
