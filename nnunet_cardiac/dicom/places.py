"""Where the images of a series lie: their plane, their place along its normal, their shift within it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnunet_cardiac.dicom.headers import DicomImage

#: Positions nearer than this (mm) are one; scanners write them as decimal text.
_SAME_PLACE_MM = 0.1


def plane_of(image: DicomImage) -> tuple:
    """Return what the images of one stack have in common: orientation, shape and pixel size."""
    orientation = tuple(round(cosine, 3) + 0.0 for cosine in image.orientation)
    return (orientation, image.shape, tuple(round(size, 4) for size in image.pixel_mm))


def normal_of(image: DicomImage) -> np.ndarray:
    """Return the direction (3,) in which the slices of a stack are counted: that of a row times that of a column."""
    return np.cross(image.orientation[:3], image.orientation[3:])


def sideways(images: Sequence[DicomImage]) -> float:
    """Return the largest in-plane shift (mm) between parallel images."""
    normal = normal_of(images[0])
    positions = np.array([image.position for image in images])
    within = positions - np.outer(positions @ normal, normal)
    return float(np.abs(within - within[0]).max())


def places_of(images: Sequence[DicomImage]) -> list[tuple[float, list[DicomImage]]]:
    """Return parallel images by their place (mm) along the normal, ascending."""
    normal = normal_of(images[0])
    places: list[tuple[float, list[DicomImage]]] = []
    for along, image in sorted(((float(normal @ image.position), image) for image in images), key=lambda item: item[0]):
        if places and along - places[-1][0] < _SAME_PLACE_MM:
            places[-1][1].append(image)
        else:
            places.append((along, [image]))
    return places
