"""Base, mid and apex: which third of the heart a slice belongs to.

The classifier-guided network's paper reports Dice by level; its readers assigned the slices, "roughly even thirds by
clinical standard". Here the slices that hold any reference label are cut into even thirds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

LEVELS = ("base", "mid", "apex")
#: Slices in which the reference labels nothing: beyond the base or the apex.
OUTSIDE = "outside"


def base_is_last(reference: npt.NDArray[np.integer], labels: Mapping[str, int]) -> bool:
    """Whether the base lies at the last slice.

    The header's direction says nothing reliable about it; the end whose cavities are larger is the base. Predictions
    are not asked: false positives beyond the heart must not count.

    Args:
        reference: Label map (Z, Y, X); values that are no structure, such as an ignore label, do not count.
        labels: Structure -> label value; every structure but MYO is a cavity, value 0 is skipped.

    Returns:
        True if the outer third at the end holds more cavity than that at the start; False if nothing is labelled.
    """
    cavities = [value for name, value in labels.items() if name != "MYO" and value != 0]
    labelled = _labelled(reference, labels)
    areas = np.isin(reference[labelled], cavities).sum(axis=(1, 2))
    third = max(1, len(labelled) // 3)
    return bool(areas[-third:].sum() > areas[:third].sum())


def slice_levels(reference: npt.NDArray[np.integer], labels: Mapping[str, int]) -> list[str]:
    """Name the level of each slice.

    Of n slices with any reference label, counted i = 0 ... n - 1 from the base, slice i belongs to third ⌊3i / n⌋: ten
    slices give 4 basal, 3 mid and 3 apical ones.

    Args:
        reference: Label map (Z, Y, X); values that are no structure, such as an ignore label, do not count.
        labels: Structure -> label value.

    Returns:
        For each slice one of `LEVELS`, or `OUTSIDE`.
    """
    levels = [OUTSIDE] * len(reference)
    labelled = _labelled(reference, labels)
    from_base = labelled[::-1] if base_is_last(reference, labels) else labelled
    for i, z in enumerate(from_base):
        levels[z] = LEVELS[3 * i // len(from_base)]
    return levels


def _labelled(reference: npt.NDArray[np.integer], labels: Mapping[str, int]) -> npt.NDArray[np.intp]:
    """Slices that hold a structure."""
    return np.flatnonzero(np.isin(reference, [value for value in labels.values() if value != 0]).any(axis=(1, 2)))
