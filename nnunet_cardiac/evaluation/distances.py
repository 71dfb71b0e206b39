"""Distances between segmentation boundaries in millimetres.

A boundary is the mask minus its erosion by the face-connected element, with background outside the image. Papers and
libraries mean different things by "95th percentile Hausdorff distance"; here both directed sets are pooled and the
percentile is taken once (the variant of medpy, also used for ACDC by CroCNet's authors).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage


def boundary(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Voxels of `mask` with at least one face neighbour outside it, same shape."""
    return mask & ~ndimage.binary_erosion(mask)


def pooled_boundary_distances(
    reference: npt.ArrayLike, prediction: npt.ArrayLike, spacing_mm: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Distances of every boundary voxel of each mask to the boundary of the other.

    Args:
        reference: Mask with axes in the order of `spacing_mm`.
        prediction: Mask of the same shape.
        spacing_mm: Voxel size along each axis, (z, y, x) for volumes.

    Returns:
        Both directed sets in one vector, in mm; empty if either mask is empty.

    Raises:
        ValueError: If the shapes differ or `spacing_mm` does not have one positive entry for each axis.
    """
    reference, prediction = np.asarray(reference, bool), np.asarray(prediction, bool)
    if reference.shape != prediction.shape:
        raise ValueError(f"reference and prediction must have one shape, got {reference.shape} and {prediction.shape}.")
    if len(spacing_mm) != reference.ndim or min(spacing_mm) <= 0:
        raise ValueError(f"spacing_mm must hold {reference.ndim} positive numbers, got {tuple(spacing_mm)}.")
    if not reference.any() or not prediction.any():
        return np.empty(0)
    # Nothing outside the common box changes a boundary or a distance, and a heart fills a small part of an image.
    box = ndimage.find_objects((reference | prediction).astype(np.uint8))[0]
    edge_reference, edge_prediction = boundary(reference[box]), boundary(prediction[box])
    to_reference = ndimage.distance_transform_edt(~edge_reference, sampling=spacing_mm)
    to_prediction = ndimage.distance_transform_edt(~edge_prediction, sampling=spacing_mm)
    return np.concatenate([to_prediction[edge_reference], to_reference[edge_prediction]])


def hd95_mm(reference: npt.ArrayLike, prediction: npt.ArrayLike, spacing_mm: Sequence[float]) -> float:
    """95th percentile of the pooled boundary distances, in mm; NaN if a mask is empty.

    Args:
        reference: Mask with axes in the order of `spacing_mm`.
        prediction: Mask of the same shape.
        spacing_mm: Voxel size along each axis, (z, y, x) for volumes.

    Returns:
        Distance in mm, interpolated linearly between ranks. A structure missing on one side has no distance: the
        caller counts it instead of inventing one.

    Raises:
        ValueError: As :func:`pooled_boundary_distances`.
    """
    distances = pooled_boundary_distances(reference, prediction, spacing_mm)
    return float(np.percentile(distances, 95)) if distances.size else float("nan")
