"""What a predicted heart says against the header of its image."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.images.heart_position import position_in_image
from nnunet_cardiac.images.layout import Header

logger = logging.getLogger(__name__)


def orientation_doubts(
    name: str, labels: npt.NDArray[np.integer], names: Mapping[str, int], header: Header
) -> list[str]:
    """Log and return why the header of a series may be wrong, once for all frames; nothing if it may be right.

    Args:
        name: Of the series, for the log.
        labels: Label maps (T, Z, Y, X) as the image is stored.
        names: Structure -> label value.
        header: Of the image.
    """
    doubt = position_in_image(labels, names, header).contradiction
    if doubt:
        logger.warning("%s: %s", name, doubt)
    return [doubt] if doubt else []
