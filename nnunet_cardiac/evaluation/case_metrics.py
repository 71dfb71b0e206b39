"""All metrics of one case: the unit of work of a worker process.

Both label maps are cropped to what either labels before anything is computed, unless voxels have no reference. A hole
or a component does not depend on the background outside the common box, nor does a boundary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.boxes import bounding_slices
from nnunet_cardiac.evaluation.cases import LabelMapPair
from nnunet_cardiac.evaluation.distances import NAN, SurfaceDistances, surface_distances
from nnunet_cardiac.evaluation.overlap import dice_of_counts
from nnunet_cardiac.evaluation.plausibility import contacts, plausibility
from nnunet_cardiac.evaluation.regions import ended_boxes, slice_boxes
from nnunet_cardiac.evaluation.slice_levels import slice_levels
from nnunet_cardiac.evaluation.volumes import voxel_volume_ml
from nnunet_cardiac.evaluation.wall import wall_thickness
from nnunet_cardiac.images.heart_position import HeartPosition, heart_position

#: Tolerance of surface Dice: about one and a half pixels of clinical cine MRI.
TOLERANCE_MM = 2.0
#: Distances of boundaries that are not known: every metric is NaN.
_UNKNOWN = SurfaceDistances(np.empty(0), np.empty(0))

Row = dict[str, Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CaseMetrics:
    """Metrics of one case.

    Attributes:
        structures: One row for each structure, of the volume as a whole; columns in docs/evaluate.md.
        slices: One row for each structure and each slice that either label map labels at all.
        images: One row for each such slice: how many of all its pixels have the right label, background included.
        walls: One row for each segment of the left wall and label map; empty without LV, MYO and RV.
        plausibility: One row for each structure and label map.
        boxes: Boxes of all structures together by slice, of the prediction and of the reference, (Z, 4) each, in voxels
            of the common crop.
        spacing_mm: Pixel size (row, column).
        confusion: Voxels with reference value i and predicted value j, (K, K).
        contacts: Pixel edges between the labels of the reference, (K, K).
        depth: Slices of the image.
        digests: Hash of the label map of the reference and of the prediction; empty where nothing is labelled.
    """

    structures: list[Row]
    slices: list[Row]
    images: list[Row]
    walls: list[Row]
    plausibility: list[Row]
    boxes: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    spacing_mm: tuple[float, float]
    confusion: npt.NDArray[np.int64]
    contacts: npt.NDArray[np.int64]
    depth: int
    digests: tuple[str, str]


def case_metrics(maps: LabelMapPair, structures: Mapping[str, int], tolerance_mm: float = TOLERANCE_MM) -> CaseMetrics:
    """Compute the metrics of one case.

    Voxels without a reference count neither way, as in nnU-Net's own evaluation. What needs all of a structure then
    does not exist: distances and volumes of such a case, distances of such a slice, wall thickness and plausibility of
    the reference, and a box that may go on.

    Args:
        maps: Label maps (Z, Y, X) of one grid.
        structures: Structure -> label value, without the background.
        tolerance_mm: Of surface Dice.

    Returns:
        Rows of the volume (3D distances; 2D ones where the image has one slice) and of the slices (2D distances in the
        plane).
    """
    box = _common_box(maps)
    reference, whole = maps.reference[box], maps.prediction[box]
    ignored = np.zeros(reference.shape, bool) if maps.ignored is None else maps.ignored
    missing = _ignored_by_slice(maps)
    prediction = np.where(ignored, np.uint8(0), whole)
    voxel_ml = voxel_volume_ml(maps.spacing_mm)
    levels = slice_levels(maps.reference, structures)[box[0]]
    volume_rows: list[Row] = []
    slice_rows: list[Row] = []
    for name, value in structures.items():
        pair = reference == value, prediction == value
        volume = _metrics(*pair, _volume_distances(pair, maps, sum(missing)), tolerance_mm, sum(missing))
        for side in ("reference", "prediction"):
            volume[f"volume_ml_{side}"] = NAN if any(missing) else volume[f"voxels_{side}"] * voxel_ml
        volume_rows.append({"structure": name, **volume})
        for z, level in enumerate(levels):
            if not (reference[z].any() or prediction[z].any()):
                continue
            number = box[0].start + z
            plane = _plane_metrics(pair[0][z], pair[1][z], maps.spacing_mm[1:], tolerance_mm, missing[number])
            slice_rows.append({"structure": name, "slice": number, "level": level, **plane})
    sides = {"prediction": whole} if any(missing) else {"reference": reference, "prediction": whole}
    size = max(structures.values()) + 1
    pairs = np.bincount(reference.ravel().astype(np.intp) * size + prediction.ravel(), minlength=size * size)
    return CaseMetrics(
        volume_rows,
        slice_rows,
        list(_accuracies(maps)),
        _by_side(sides, lambda labels: wall_thickness(labels, structures, maps.spacing_mm, maps.right_handed)),
        _by_side(sides, lambda labels: plausibility(labels, structures, _position(labels, structures, maps))),
        (slice_boxes(prediction > 0), ended_boxes(slice_boxes(reference > 0), ignored)),
        maps.spacing_mm[1:],
        pairs.reshape(size, size),
        # An edge to a voxel without a reference does not say what a structure touches there.
        contacts(np.where(ignored, size, reference), size + 1)[:size, :size],
        len(maps.reference),
        (_digest(maps.reference), _digest(maps.prediction)),
    )


def _position(labels: npt.NDArray[np.uint8], structures: Mapping[str, int], maps: LabelMapPair) -> HeartPosition | None:
    if maps.direction is None:
        return None
    return heart_position(labels, structures, maps.direction, maps.spacing_mm[::-1])


def _digest(labels: npt.NDArray[np.uint8]) -> str:
    if not labels.any():
        return ""
    return blake2b(repr(labels.shape).encode() + labels.tobytes(), digest_size=16).hexdigest()


def _common_box(maps: LabelMapPair) -> tuple[slice, ...]:
    """What either label map labels, or everything where voxels have no reference: what they touch matters, too."""
    either = (maps.reference > 0) | (maps.prediction > 0)
    if maps.ignored is not None:
        return tuple(slice(0, n) for n in either.shape)
    # one voxel replaces two empty label maps: nothing is made for arrays without any
    return bounding_slices(either) if either.any() else (slice(0, 1),) * 3


def _ignored_by_slice(maps: LabelMapPair) -> list[int]:
    """Number of voxels without a reference in each slice."""
    return [0] * len(maps.reference) if maps.ignored is None else maps.ignored.sum(axis=(1, 2)).tolist()


def _by_side(
    sides: Mapping[str, npt.NDArray[np.uint8]], measure: Callable[[npt.NDArray[np.uint8]], list[Row]]
) -> list[Row]:
    return [{"source": side, **row} for side, labels in sides.items() for row in measure(labels)]


def _accuracies(maps: LabelMapPair) -> Iterator[Row]:
    """Share of the pixels with a reference that have the right label, of each slice that either label map labels."""
    labelled = ((maps.reference > 0) | (maps.prediction > 0)).any(axis=(1, 2))
    for z in np.flatnonzero(labelled):
        known = slice(None) if maps.ignored is None else ~maps.ignored[z]
        right = maps.reference[z][known] == maps.prediction[z][known]
        if right.size:
            correct = int(np.count_nonzero(right))
            yield {"slice": int(z), "pixels": right.size, "pixels_right": correct, "accuracy": correct / right.size}


def _distances(reference: Mask, prediction: Mask, spacing_mm: tuple[float, ...], ignored: int) -> SurfaceDistances:
    """Distances of the boundaries of two masks; none where voxels have no reference."""
    return _UNKNOWN if ignored else surface_distances(reference, prediction, spacing_mm)


def _volume_distances(pair: tuple[Mask, Mask], maps: LabelMapPair, ignored: int) -> SurfaceDistances:
    """Distances in 3D; of an image of one slice in its plane, where every voxel is at the surface in 3D."""
    if len(maps.reference) == 1:
        return _distances(pair[0][0], pair[1][0], maps.spacing_mm[1:], ignored)
    return _distances(*pair, maps.spacing_mm, ignored)


def _plane_metrics(
    reference: Mask, prediction: Mask, spacing_mm: tuple[float, float], tolerance_mm: float, ignored: int
) -> Row:
    """Overlap and distances of two masks of a slice, distances also in pixels of its grid."""
    distances = _distances(reference, prediction, spacing_mm, ignored)
    row, column = spacing_mm
    if math.isclose(row, column, rel_tol=1e-6):
        pixels = SurfaceDistances(distances.from_reference / row, distances.from_prediction / row)
    else:
        pixels = _distances(reference, prediction, (1.0, 1.0), ignored)
    return {
        **_metrics(reference, prediction, distances, tolerance_mm, ignored),
        "hd_pixels": pixels.hd_mm(),  # the unit is that of the spacing
        "hd95_pooled_pixels": pixels.hd95_pooled_mm(),
        "assd_mean_of_means_pixels": pixels.assd_mean_of_means_mm(),
    }


def _metrics(reference: Mask, prediction: Mask, distances: SurfaceDistances, tolerance_mm: float, ignored: int) -> Row:
    """Overlap and distances of two masks, 2D or 3D."""
    counts = [int(np.count_nonzero(mask)) for mask in (reference, prediction, reference & prediction)]
    return {
        "dice": dice_of_counts(*counts),
        **dict(_distance_columns(distances, tolerance_mm)),
        "distance_failed": (counts[0] == 0) != (counts[1] == 0),
        "both_empty": counts[0] == counts[1] == 0,
        "voxels_reference": counts[0],
        "voxels_prediction": counts[1],
        "voxels_common": counts[2],
        "voxels_ignored": ignored,
    }


def _distance_columns(distances: SurfaceDistances, tolerance_mm: float) -> Iterator[tuple[str, float]]:
    yield "hd_mm", distances.hd_mm()
    yield "hd95_pooled_mm", distances.hd95_pooled_mm()
    yield "hd95_max_of_directed_mm", distances.hd95_max_of_directed_mm()
    yield "asd_pooled_mm", distances.asd_pooled_mm()
    yield "assd_mean_of_means_mm", distances.assd_mean_of_means_mm()
    yield "surface_dice", distances.surface_dice(tolerance_mm)
