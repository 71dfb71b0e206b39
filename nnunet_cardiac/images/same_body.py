"""Two files of one body that are stored in different ways: an image and its label, a reference and a prediction."""

from __future__ import annotations

import numpy as np

from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, WAYS, Way, directions, says_how_it_lies


def way_onto(header: Header, other: Header) -> Way:
    """Return how an image is brought into the storage of another of the same body, by their directions alone.

    The caller compares the grids afterwards.

    Args:
        header: Geometry of the image.
        other: Geometry of the other image.

    Returns:
        Of the 48 ways the one that makes the axes most alike; :data:`IDENTITY` where one of the two does not say how it
        lies in the patient, or already lies best as it is.
    """
    if not (says_how_it_lies(header) and says_how_it_lies(other)):
        return IDENTITY
    cosines = directions(header).T @ directions(other)  # row: axis of the image, column: axis of the other
    return max(WAYS, key=lambda way: _likeness(cosines, way))


def _likeness(cosines: np.ndarray, way: Way) -> float:
    """Sum of the cosines of the moved image's axes with those of the other."""
    return sum(
        float(-cosines[axis, k] if flip else cosines[axis, k])
        for k, (axis, flip) in enumerate(zip(way.axes, way.flips, strict=True))
    )
