"""What a first stage would have said of a training case that it has not predicted.

A localiser that segments is replaced by corrupted reference labels, one that draws a box or a map by what it would
draw, so that windows lie where they will lie at prediction and coarse channels hold what they will hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from scipy import ndimage

from nnunet_cardiac.architectures.blocks.box_corners import corners_of_mask, draw_corners
from nnunet_cardiac.architectures.roi_regressor import stack_corners
from nnunet_cardiac.cascade.corruption import corrupt_labels

#: What a first stage makes: label maps of the structures, one box, or one map of the whole heart, drawn as label 1.
KINDS = ("labels", "box", "map")

#: Largest error of each edge of a simulated box in pixels.
_BOX_ERROR = 2


@dataclass(frozen=True)
class CoarseSimulation:
    """How coarse labels are made from reference labels.

    Attributes:
        kind: One of `KINDS`.
        structures: Values of the structures in the reference; others, as the ignore label, are no heart. None takes
            all that are not 0.
        boxed: Structures whose box a regressor draws; None takes all. Has no effect on other kinds.
        per_slice: Whether a regressor draws one box for each slice instead of the median of all.

    Raises:
        ValueError: If the kind is unknown.
    """

    kind: str = "labels"
    structures: tuple[int, ...] | None = None
    boxed: tuple[int, ...] | None = None
    per_slice: bool = False

    def __post_init__(self) -> None:
        """Check the kind."""
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}, expected one of {', '.join(KINDS)}.")

    def without_errors(self, reference: np.ndarray) -> np.ndarray:
        """Return what a first stage without errors says of a case, (Z, Y, X) from reference labels (Z, Y, X)."""
        reference = np.asarray(reference)
        heart = _heart(reference, self.structures)
        if self.kind == "labels":
            return np.where(heart, reference, 0).astype(reference.dtype)
        if self.kind == "box":
            boxed = heart if self.boxed is None else np.isin(reference, self.boxed)
            heart = _drawn_boxes(boxed, self.per_slice)
        return heart.astype(reference.dtype)

    def sample(self, labels: np.ndarray, box: Sequence[Sequence[int]], heart_only: bool) -> np.ndarray:
        """Return coarse labels with the errors of a first stage, for a box of a case.

        Args:
            labels: What :meth:`without_errors` says of the case, (Z, Y, X).
            box: First and one past the last voxel of each axis; may reach outside.
            heart_only: Whether pieces apart from the heart are left out, as `RegionRule.heart_only` does at prediction.

        Returns:
            Label map of the size of the box.
        """
        if self.kind == "box":
            return _with_moved_edges(crop_and_pad_nd(labels, box, 0))
        (first, last), *in_plane = box
        above, below = int(first > 0), int(last < len(labels))  # neighbours lend their outlines
        slab = crop_and_pad_nd(labels, [[first - above, last + below], *in_plane], 0)
        corrupted = corrupt_labels(slab)
        if heart_only:
            corrupted = _touching(corrupted, slab > 0)
        return corrupted[above : above + last - first]


def _heart(labels: np.ndarray, structures: Sequence[int] | None) -> np.ndarray:
    return labels > 0 if structures is None else np.isin(labels, structures)


def _drawn_boxes(mask: np.ndarray, per_slice: bool) -> np.ndarray:
    """Boxes around a mask (Z, Y, X) as `ROIRegressor` draws them: on each slice its own, or on all the median."""
    planes = torch.from_numpy(np.ascontiguousarray(mask))
    corners, present = corners_of_mask(planes)
    if not present.any():
        return np.zeros_like(mask)
    if per_slice:
        return (draw_corners(corners, mask.shape[1:]) & present[:, None, None]).numpy()
    one = draw_corners(stack_corners(corners, present)[None], mask.shape[1:])
    return one.expand_as(planes).numpy()


def _with_moved_edges(labels: np.ndarray) -> np.ndarray:
    """Move each edge of the box on a region (Z, Y, X) by up to two pixels, alike on all slices."""
    out = np.zeros_like(labels)
    moves = np.random.randint(-_BOX_ERROR, _BOX_ERROR + 1, size=4)
    for z, plane in enumerate(labels):
        rows, columns = (np.flatnonzero(plane.any(axis)) for axis in (1, 0))
        if len(rows):
            top, left = max(rows[0] + moves[0], 0), max(columns[0] + moves[1], 0)
            out[z, top : rows[-1] + 1 + moves[2], left : columns[-1] + 1 + moves[3]] = 1
    return out


def _touching(labels: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """Leave out pieces of a label map that have no voxel in common with the heart."""
    pieces, _ = ndimage.label(labels > 0, structure=np.ones((3,) * labels.ndim, dtype=bool))
    kept: Any = np.unique(pieces[heart])
    return np.where(np.isin(pieces, kept[kept > 0]), labels, 0).astype(labels.dtype)
