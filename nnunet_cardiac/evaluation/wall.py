"""Wall thickness of the left ventricle in the segments of the American Heart Association (Cerqueira et al. 2002).

From the centroid of the cavity rays are cast in every slice; the thickness is the length of a ray inside the
myocardium.
Basal and mid slices have six segments of 60 degrees, apical ones four of 90. Segment 17, the cap beyond the cavity, has
no radial thickness in a short-axis stack and stays NaN.

Angles count from the middle of the septum, the circular mean of the myocardial pixels that touch the right ventricle in
basal and mid slices. The way round follows from the position of the base and the handedness of the grid: seen from the
apex, anterior wall, septum, inferior and lateral wall follow each other counter-clockwise. A header without rotation
(as in ACDC) tells nothing, for a short-axis plane is never parallel to the axes of the body: the usual view is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nnunet_cardiac.evaluation.slice_levels import LEVELS, OUTSIDE, base_is_last, slice_levels

#: Segment -> name; the number is the index plus one.
SEGMENTS = (
    *(
        f"basal {wall}"
        for wall in ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
    ),
    *(
        f"mid {wall}"
        for wall in ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
    ),
    *(f"apical {wall}" for wall in ("anterior", "septal", "inferior", "lateral")),
    "apex",
)
RAYS = 180
#: Edge neighbours within a slice.
_IN_PLANE = np.array([[[0, 0, 0]] * 3, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0, 0, 0]] * 3], bool)
#: Step along a ray in parts of a pixel: the lengths of a segment's rays average out well below a tenth of a pixel.
_STEP_PIXELS = 0.2
#: A point on the border of two pixels belongs to the later one, whichever way the voxel size was rounded in the file.
_BORDER_PIXELS = 1e-4
#: Level -> (first segment, number of segments, angle of the border between the last and the first segment). With the
#: septum's middle at 0 degrees, the border of segments 2 and 3 lies there, and the apical septum spans -45 to 45.
_LEVEL_SEGMENTS = {"base": (1, 6, -120.0), "mid": (7, 6, -120.0), "apex": (13, 4, -135.0)}


def wall_thickness(
    label_map: npt.NDArray[np.integer],
    labels: Mapping[str, int],
    spacing_mm: Sequence[float],
    right_handed: bool | None = None,
) -> list[dict[str, object]]:
    """Mean radial thickness of each segment.

    Args:
        label_map: Label map (Z, Y, X) of a short-axis stack.
        labels: Structure -> label value.
        spacing_mm: Voxel size (z, y, x).
        right_handed: Whether the directions of the x, y and z index form a right-handed system (determinant +1); None
        if the
            header does not tell. Then the usual view from the apex is assumed, x to the right and y downwards.

    Returns:
        17 rows: `segment` (1 to 17), `name`, `thickness_mm` (mean over the rays of all its slices, NaN if none crosses
        the wall), `rays` (those that do). Empty if LV, MYO or RV is not named or the right ventricle touches no wall.
    """
    if not {"LV", "MYO", "RV"} <= labels.keys():
        return []
    levels = slice_levels(label_map, labels)
    septum = _septum_angle(label_map, labels, levels, spacing_mm)
    if septum is None:
        return []
    # Seen from the apex, counter-clockwise is the way of growing atan2(y, x) if z grows from base to apex.
    from_apex = right_handed is None or base_is_last(label_map, labels) == right_handed
    sense = -1.0 if from_apex else 1.0
    angles = np.arange(RAYS) * 360.0 / RAYS
    lengths: dict[int, list[float]] = {segment: [] for segment in range(1, len(SEGMENTS) + 1)}
    for z, level in enumerate(levels):
        if level == OUTSIDE or not (label_map[z] == labels["LV"]).any():
            continue
        thickness = _radial_thickness(label_map[z], labels, septum + sense * angles, spacing_mm[1:])
        first, count, start = _LEVEL_SEGMENTS[level]
        segments = first + (((angles - start) % 360.0) * count / 360.0).astype(int)
        for segment, value in zip(segments.tolist(), thickness.tolist(), strict=True):
            if value > 0:
                lengths[segment].append(value)
    return [
        {
            "segment": segment,
            "name": SEGMENTS[segment - 1],
            "thickness_mm": float(np.mean(values)) if values else float("nan"),
            "rays": len(values),
        }
        for segment, values in lengths.items()
    ]


def _septum_angle(
    label_map: npt.NDArray[np.integer], labels: Mapping[str, int], levels: Sequence[str], spacing_mm: Sequence[float]
) -> float | None:
    """Direction of the septum's middle in degrees, atan2(y, x) in mm; None if no pixel of the wall touches the RV."""
    found = []
    beside = ndimage.binary_dilation(label_map == labels["RV"], _IN_PLANE)
    for z, level in enumerate(levels):
        cavity = label_map[z] == labels["LV"]
        if level not in LEVELS[:2] or not cavity.any():
            continue
        touching = (label_map[z] == labels["MYO"]) & beside[z]
        offsets = np.argwhere(touching) - np.argwhere(cavity).mean(axis=0)
        found.append(np.arctan2(offsets[:, 0] * spacing_mm[1], offsets[:, 1] * spacing_mm[2]))
    angles = np.concatenate(found) if found else np.empty(0)
    if not angles.size:
        return None
    return float(np.degrees(np.arctan2(np.sin(angles).mean(), np.cos(angles).mean())))


def _radial_thickness(
    plane: npt.NDArray[np.integer], labels: Mapping[str, int], angles: npt.NDArray[np.float64], step_mm: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Length in mm of each ray inside the myocardium, up to where it leaves the wall for the first time."""
    ring = (plane == labels["LV"]) | (plane == labels["MYO"])
    centre = np.argwhere(plane == labels["LV"]).mean(axis=0)
    step = _STEP_PIXELS * min(step_mm)
    reach = np.abs(np.argwhere(ring) - centre).max(axis=0) * step_mm
    radii = np.arange(0.5, np.hypot(*reach) / step + 1 / _STEP_PIXELS) * step
    radians = np.radians(angles)[:, None]
    rows = _pixel(centre[0] + radii * np.sin(radians) / step_mm[0])
    columns = _pixel(centre[1] + radii * np.cos(radians) / step_mm[1])
    inside = (rows >= 0) & (rows < plane.shape[0]) & (columns >= 0) & (columns < plane.shape[1])
    values = np.where(inside, plane[np.clip(rows, 0, plane.shape[0] - 1), np.clip(columns, 0, plane.shape[1] - 1)], 0)
    wall = values == labels["MYO"]
    left = (np.cumsum(wall, axis=1) > 0) & ~wall
    return (wall & (np.cumsum(left, axis=1) == 0)).sum(axis=1) * step


def _pixel(places: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Number of the pixel at each place; pixel 0 spans -0.5 to 0.5."""
    return np.floor(places + 0.5 + _BORDER_PIXELS).astype(np.int64)
