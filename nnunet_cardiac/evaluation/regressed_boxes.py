"""Regressed boxes in pixels of the original image, for the errors that HALSR-Net reports.

A box that is drawn as a label map has whole pixels: an error of 0.2 pixels is reported as none. Here the corners are
taken as the network regresses them, on the preprocessed image, and moved to the grid of the reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nnunet_cardiac.architectures.blocks.box_corners import pixels_of_corners, sort_corners
from nnunet_cardiac.architectures.roi_regressor import ROIRegressor


@torch.inference_mode()
def regressed_boxes(
    network: ROIRegressor, image: torch.Tensor, size: Sequence[int], properties: Mapping[str, Any]
) -> npt.NDArray[np.float64]:
    """Regress the box of each slice of a preprocessed case.

    The network computes in the precision of its weights: half precision alone moves a corner by a tenth of a pixel.

    Args:
        network: On the device of `image`, in evaluation mode.
        image: Preprocessed case (C, Z, H, W).
        size: Rows and columns of a training sample.
        properties: Those of nnU-Net for the case.

    Returns:
        Boxes of all slices of the original image, as :func:`boxes_in_original` gives them.
    """
    corners = sort_corners(network.corners_of_case(image, size).cpu().double())  # not every device has float64
    has_contrast = (image.amax((2, 3)) > image.amin((2, 3))).any(0)  # other slices have no part in any box
    corners[~has_contrast.cpu()] = torch.nan
    return boxes_in_original(pixels_of_corners(corners, image.shape[2:]).numpy(), image.shape[1:], properties)


def boxes_in_original(
    edges: npt.NDArray[np.float64], shape: Sequence[int], properties: Mapping[str, Any]
) -> npt.NDArray[np.float64]:
    """Move boxes from a preprocessed image to the original one: undo nnU-Net's resampling, then its crop.

    Args:
        edges: (Z, 4) in pixels of the preprocessed image: x_min, y_min, x_max, y_max, counted from its first edge.
        shape: Of the preprocessed image (Z, H, W).
        properties: nnU-Net's, with `bbox_used_for_cropping` and `shape_before_cropping` in the order of the axes of
            the preprocessed image.

    Returns:
        (Z, 4) in pixels of the original image, its axes in nnU-Net's order, in the convention of
        :func:`nnunet_cardiac.evaluation.regions.slice_boxes`: first row, first column, end of rows, end of columns; NaN
        for slices that the crop left out.

    Raises:
        ValueError: If slices were resampled; boxes of slices have no place between them.
    """
    (first, last), *in_plane = properties["bbox_used_for_cropping"]
    if last - first != shape[0]:
        raise ValueError(
            f"{shape[0]} slices were made of {last - first}; expected a grid with the slices of the image."
        )
    start = np.array([first for first, _ in in_plane], float)
    scale = np.array([(end - first) / n for (first, end), n in zip(in_plane, shape[1:], strict=True)])
    found = np.full((properties["shape_before_cropping"][0], 4), np.nan)
    found[first:last] = edges[:, [1, 0, 3, 2]] * np.tile(scale, 2) + np.tile(start, 2)
    return found
