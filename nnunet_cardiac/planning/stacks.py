"""The configuration of networks that see all slices of a stack at once.

As for a crop, `spacing` keeps two entries, so no slice is resampled, and `patch_size` gets three, so a whole stack is
one sample; in training, too. The in-plane grid is the paper's, so the data have to be preprocessed for it. Images that
are larger than a training patch are predicted in tiles of its size: with more background in view than it has ever seen,
a network that was trained on patches finds hearts where there are none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.slice_crops import architecture

#: In-plane pixel size in mm and side of a training patch in pixels (classifier-guided network, section 3).
PIXEL_MM, _SIDE = 1.3, 192

#: Room in the inference patch for images larger than any of the training set; what is padded is not computed along z.
_ROOM, _LEAST_SLICES, _DIVISOR = 1.25, 24, 16

#: More slices than any short-axis stack has; volumes of that depth are cut along another axis or are no stacks.
_MOST_SLICES = 60


def stack_configuration(
    network_class_name: str,
    shapes: Sequence[Sequence[int]],
    spacing: Sequence[float],
    data_identifier: str,
    network_kwargs: Mapping[str, Any] = {},
    pixel_mm: float = PIXEL_MM,
    training_slices: int | None = None,
) -> dict[str, Any]:
    """Make the entry of a network for whole stacks.

    Args:
        network_class_name: Dotted path of the network.
        shapes: Shapes (z, y, x) of the cases as preprocessed for `2d`.
        spacing: In-plane spacing (y, x) in mm of these.
        data_identifier: Folder of its own preprocessed data.
        network_kwargs: Arguments of the network.
        pixel_mm: In-plane spacing to preprocess for.
        training_slices: Slices in a row that a training sample has; None takes whole stacks.

    Returns:
        The entry, JSON-ready.

    Raises:
        UserError: If the cases have more slices than stacks have.
    """
    depth = max(shape[0] for shape in shapes)
    if depth > _MOST_SLICES:
        raise UserError(
            f"a case has {depth} slices along the first axis, and stacks have no more than {_MOST_SLICES}: the first "
            "axis is not the slice axis, or these are volumes. nnU-Net puts the axis with the largest spacing first: "
            "check the spacing in the image headers. For volumes take DRUNetTrainer."
        )
    largest = np.max([shape[1:] for shape in shapes], axis=0) * np.array(spacing) / pixel_mm
    slices = max(math.ceil(depth * _ROOM), _LEAST_SLICES)
    return {
        "inherits_from": "2d",
        "data_identifier": data_identifier,
        "previous_stage": None,
        "next_stage": None,
        "spacing": [pixel_mm, pixel_mm],
        "patch_size": [slices, *(min(_rounded_up(n * _ROOM), _SIDE) for n in largest)],
        "training_patch_size": [training_slices or slices, *(min(_rounded_up(n), _SIDE) for n in largest)],
        "batch_size": 1,
        "batch_dice": False,
        "architecture": architecture(network_class_name, network_kwargs),
    }


def _rounded_up(n: float) -> int:
    return math.ceil(n / _DIVISOR - 1e-9) * _DIVISOR
