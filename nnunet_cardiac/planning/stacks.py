"""The configuration of networks that see all slices of a stack at once.

As for a crop, `spacing` keeps two entries, so no slice is resampled, and `patch_size` gets three, so a whole stack is
one sample; in training, too. The in-plane grid is the paper's, so the data have to be preprocessed for it. Images that
are larger than a training patch are predicted in tiles of its size: with more background in view than it has ever seen,
a network that was trained on patches finds hearts where there are none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.options import SMALL
from nnunet_cardiac.planning.request import Request
from nnunet_cardiac.systems.kinds import Network, WholeStack

#: In-plane pixel size in mm and side of a training patch in pixels (classifier-guided network, section 3).
PIXEL_MM, _SIDE = 1.3, 192

#: Room in the inference patch for images larger than any of the training set; what is padded is not computed along z.
_ROOM, _LEAST_SLICES, _DIVISOR = 1.25, 24, 16

#: More slices than any short-axis stack has; volumes of that depth are cut along another axis or are no stacks.
_MOST_SLICES = 60


def stack_entry(kind: WholeStack, request: Request) -> dict[str, Any]:
    """Plan a network of whole stacks on the paper's in-plane grid."""
    spacing = request.base["spacing"]
    small = request.target.kind == SMALL
    # Without a GPU there is no time to compute between pixels that nobody measured.
    pixel_mm = max(PIXEL_MM, *spacing) if small else PIXEL_MM
    # One for all of a grid: they share the data.
    identifier = f"{request.target.plans['plans_name'] if small else request.target.data_prefix}_2d_stack"
    return stack_configuration(
        kind.network, request.stack_shapes, spacing, identifier, pixel_mm, request.training_slices
    )


def stack_configuration(
    network: Network,
    shapes: Sequence[Sequence[int]],
    spacing: Sequence[float],
    data_identifier: str,
    pixel_mm: float = PIXEL_MM,
    training_slices: int | None = None,
) -> dict[str, Any]:
    """Make the entry of a network for whole stacks.

    Args:
        network: Which network.
        shapes: Shapes (z, y, x) of the cases as preprocessed for `2d`.
        spacing: In-plane spacing (y, x) in mm of these.
        data_identifier: Folder of its own preprocessed data.
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
        "architecture": network.to_plans(),
    }


def _rounded_up(n: float) -> int:
    return math.ceil(n / _DIVISOR - 1e-9) * _DIVISOR
