"""What a heart does not have: holes, fragments, an open wall, a missing slice, a place that contradicts its header.

Counted in slices and voxels of a short-axis or long-axis stack. A flag is a reason to look at a case and no proof of a
fault: references have some too, for example where the wall ends at the valve plane, so both label maps are counted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nnunet_cardiac.images.heart_position import HeartPosition

#: Edge neighbours within a slice: a ring that closes over a corner is closed.
_PLANE_4 = np.zeros((3, 3, 3), bool)
_PLANE_4[1] = ndimage.generate_binary_structure(2, 1)
_VOLUME_26 = np.ones((3, 3, 3), bool)


def plausibility(
    label_map: npt.NDArray[np.integer], labels: Mapping[str, int], position: HeartPosition | None = None
) -> list[dict[str, object]]:
    """Count what is implausible for each structure.

    Args:
        label_map: Label map (Z, Y, X).
        labels: Structure -> label value, without the background.
        position: Where the ventricles lie in the patient; None if that is not known.

    Returns:
        For each structure `structure` and

        - `hole_voxels`: background enclosed by the structure within a slice. The cavity inside the myocardium is none,
          for it is labelled.
        - `fragments`: components (26 neighbours) besides the largest, and `fragment_voxels`, what they hold.
        - `missing_slices`: slices without the structure between two that have it.
        - `outside_percent`: for LV, if MYO is named: share of the pixel edges on the cavity's outline, within slices,
          that touch neither cavity nor myocardium; NaN for other structures and an empty cavity.
        - `rv_angle_degrees` and `orientation`: for RV, the angle and the verdict of its position; NaN and empty for
          other structures.
    """
    rows = []
    position = position or HeartPosition()
    for name, value in labels.items():
        mask = label_map == value
        sizes = _component_sizes(mask)
        used = np.flatnonzero(mask.any(axis=(1, 2)))
        rows.append(
            {
                "structure": name,
                "hole_voxels": _hole_voxels(mask, label_map),
                "fragments": max(len(sizes) - 1, 0),
                "fragment_voxels": int(sizes.sum() - sizes.max()) if len(sizes) else 0,
                "missing_slices": int(used[-1] - used[0] + 1 - used.size) if used.size else 0,
                "outside_percent": _outside_percent(label_map, labels) if name == "LV" else float("nan"),
                "rv_angle_degrees": position.angle if name == "RV" else float("nan"),
                "orientation": position.verdict if name == "RV" else "",
            }
        )
    return rows


def contacts(label_map: npt.NDArray[np.integer], size: int) -> npt.NDArray[np.int64]:
    """Count pixel edges between labels within slices.

    Args:
        label_map: Label map (Z, Y, X) with values below `size`; beyond the image there is background.
        size: Number of label values.

    Returns:
        (size, size), symmetric, zero on the diagonal: entry (a, b) is the number of edges between a and b.
    """
    padded = np.pad(label_map, ((0, 0), (1, 1), (1, 1))).astype(np.intp)
    found = np.zeros((size, size), np.int64)
    for first, second in ((padded[:, :-1], padded[:, 1:]), (padded[:, :, :-1], padded[:, :, 1:])):
        differ = first != second
        pairs = first[differ] * size + second[differ]
        found += np.bincount(pairs, minlength=size * size).reshape(size, size)
    return found + found.T


def _hole_voxels(mask: npt.NDArray[np.bool_], label_map: npt.NDArray[np.integer]) -> int:
    """Background components within a slice that touch the mask alone and not the border."""
    framed = np.pad(label_map, ((0, 0), (1, 1), (1, 1)))
    background, count = ndimage.label(framed == 0, _PLANE_4)
    other = (framed > 0) & ~np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    open_ = np.zeros(count + 1, bool)
    open_[background[:, 0, 0]] = True  # the background outside: it holds the frame
    open_[background[ndimage.binary_dilation(other, _PLANE_4)]] = True
    open_[0] = True  # no background
    return int(np.bincount(background.ravel(), minlength=count + 1)[~open_].sum())


def _component_sizes(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    return np.bincount(ndimage.label(mask, _VOLUME_26)[0].ravel())[1:]


def _outside_percent(label_map: npt.NDArray[np.integer], labels: Mapping[str, int]) -> float:
    if "MYO" not in labels:
        return float("nan")
    edges = contacts(label_map, int(max(*labels.values(), 0)) + 1)[labels["LV"]]
    return 100.0 * float(1 - edges[labels["MYO"]] / edges.sum()) if edges.sum() else float("nan")
