"""The storage of images in memory: their header, and their voxels moved to another one of the 48 ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from nnunet_cardiac.datasets.subject import Loaded
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import Way, directions, slice_axis


def header_of(loaded: Loaded) -> Header:
    """Return the geometry of an image."""
    image = loaded.image
    return Header(
        image.GetSize(),
        image.GetSpacing(),
        image.GetOrigin(),
        image.GetDirection(),
        image.GetNumberOfComponentsPerPixel(),
        loaded.oriented,
    )


def moved(loaded: Loaded, way: Way) -> sitk.Image:
    """Return an image, 3D or 4D with time last, in another storage; every voxel keeps its place in the patient."""
    if way.changes_nothing:
        return loaded.image
    header = way.moved(header_of(loaded))
    image = sitk.GetImageFromArray(way.apply(sitk.GetArrayViewFromImage(loaded.image)), isVector=False)
    image.SetSpacing(header.spacing)
    image.SetOrigin(header.origin)
    image.SetDirection(header.direction)
    return image


def slices_first(array: npt.NDArray[Any], header: Header) -> npt.NDArray[Any]:
    """Return an array (Z, Y, X) with the axis across the slices first, which images left as stored may have elsewhere.

    Args:
        array: Voxels.
        header: Their geometry.
    """
    return np.moveaxis(array, 2 - slice_axis(header.size, header.spacing, directions(header)), 0)
