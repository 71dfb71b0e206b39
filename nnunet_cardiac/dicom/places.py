"""Where the images of a series lie: their plane, their place along its normal, their shift within it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from nnunet_cardiac.dicom.headers import DicomImage

#: Positions nearer than this (mm) are one; scanners write them as decimal text.
_SAME_PLACE_MM = 0.1

#: Planes that differ by less (degrees) are parallel; cosines are written with three to six digits.
_PARALLEL_DEGREES = 0.5

#: Pixel sizes that differ by less than this fraction are one size that was rounded.
_SAME_SIZE = 0.005


T = TypeVar("T")


def merged(groups: Iterable[Sequence[T]], belong: Callable[[list[T], Sequence[T]], bool]) -> list[list[T]]:
    """Put each group into the first of those before it to which it belongs; the order decides where several fit."""
    homes: list[list[T]] = []
    for group in groups:
        home = next((home for home in homes if belong(home, group)), None)
        if home is None:
            homes.append(list(group))
        else:
            home.extend(group)
    return homes


def same_plane(first: DicomImage, second: DicomImage) -> bool:
    """Whether rows and columns of two images have the same directions."""
    cosines = np.sum(np.reshape(first.orientation, (2, 3)) * np.reshape(second.orientation, (2, 3)), axis=1)
    return bool(np.all(cosines > np.cos(np.radians(_PARALLEL_DEGREES))))


def same_grid(first: DicomImage, second: DicomImage) -> bool:
    """Whether two images have the same number of pixels of the same size."""
    return first.shape == second.shape and bool(np.allclose(first.pixel_mm, second.pixel_mm, rtol=_SAME_SIZE))


def normal_of(images: Sequence[DicomImage]) -> np.ndarray:
    """Return the direction (3,) in which parallel slices are counted: that of a row times that of a column.

    The mean of all images, since each is rounded; the first says which way it points.
    """
    axes = np.array([image.orientation for image in images]).reshape(-1, 2, 3)
    normals = np.cross(axes[:, 0], axes[:, 1])
    normals *= np.where(normals @ normals[0] < 0, -1.0, 1.0)[:, None]
    normal = normals.mean(axis=0)
    return normal / np.linalg.norm(normal)


def sideways(images: Sequence[DicomImage]) -> float:
    """Return the largest in-plane shift (mm) between parallel images."""
    normal = normal_of(images)
    positions = np.array([image.position for image in images])
    within = positions - np.outer(positions @ normal, normal)
    return float(np.abs(within - within[0]).max())


def along(images: Sequence[DicomImage], normal: np.ndarray) -> np.ndarray:
    """Return the places (mm, one an image) of images along a direction."""
    return np.array([image.position for image in images]) @ normal


def places_of(images: Sequence[DicomImage]) -> list[tuple[float, list[DicomImage]]]:
    """Return parallel images by their place (mm) along the normal, ascending."""
    places: list[tuple[float, list[DicomImage]]] = []
    heights = along(images, normal_of(images))
    for number in np.argsort(heights, kind="stable"):
        height, image = float(heights[number]), images[number]
        if places and height - places[-1][0] < _SAME_PLACE_MM:
            places[-1][1].append(image)
        else:
            places.append((height, [image]))
    return places
