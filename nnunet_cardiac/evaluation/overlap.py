"""Dice overlap, Dice 1945, with the conventions for empty masks stated once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt


def dice(reference: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Dice coefficient 2|A∩B| / (|A| + |B|) of two masks.

    Args:
        reference: Mask of any shape; nonzero is inside.
        prediction: Mask of the same shape.

    Returns:
        Overlap in [0, 1]. NaN if both masks are empty: there is nothing to find, so the case must not count as right
        or wrong. 0 if one of them is empty: a false positive on an empty reference is a failure and stays visible.

    Raises:
        ValueError: If the shapes differ.
    """
    reference, prediction = np.asarray(reference, bool), np.asarray(prediction, bool)
    if reference.shape != prediction.shape:
        raise ValueError(f"reference and prediction must have one shape, got {reference.shape} and {prediction.shape}.")
    return dice_of_counts(*(int(np.count_nonzero(mask)) for mask in (reference, prediction, reference & prediction)))


def dice_of_counts(reference: int, prediction: int, common: int) -> float:
    """Dice coefficient from numbers of voxels, with the conventions of :func:`dice` for empty masks."""
    return 2.0 * common / (reference + prediction) if reference + prediction else float("nan")


def dice_per_label(
    reference: npt.NDArray[np.integer], prediction: npt.NDArray[np.integer], labels: Mapping[str, int]
) -> dict[str, float]:
    """Dice of each structure of two label maps.

    Args:
        reference: Label map of any shape.
        prediction: Label map of the same shape.
        labels: Structure -> label value; the background (value 0) is skipped.

    Returns:
        Structure -> :func:`dice`, in the order of `labels`.

    Raises:
        ValueError: If the shapes differ.
    """
    return {name: dice(reference == value, prediction == value) for name, value in labels.items() if value != 0}
