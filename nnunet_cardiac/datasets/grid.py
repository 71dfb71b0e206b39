"""Image and label have to lie on one grid; small differences of their headers are reported, larger ones refused."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.checks.geometry import TOLERANCE
from nnunet_cardiac.errors import UserError

#: Header differences that rounding and converters cause; beyond them the voxels may lie elsewhere.
MAX_SPACING_RATIO = 0.02
MAX_DIRECTION_DIFFERENCE = 0.09  # 5 degrees
MAX_SHIFT_VOXELS = 0.5


def compare_grids(label: sitk.Image, image: sitk.Image, where: str, trust_voxels: bool = False) -> tuple[str, ...]:
    """Decide whether a label may take the geometry of its image.

    Args:
        label: Label map, 3D.
        image: Its image, 3D.
        where: File of the label.
        trust_voxels: Take the image's header however different the label's is.

    Returns:
        One sentence if that changes the label's header, else nothing.

    Raises:
        UserError: If the sizes differ, or the headers by more than rounding.
    """
    if label.GetSize() != image.GetSize():
        raise UserError(
            f"{where}: size {label.GetSize()}, but the image has {image.GetSize()} (x, y, z); expected one grid. Is it "
            "the label of another frame or patient?"
        )
    spacing = np.abs(np.divide(label.GetSpacing(), image.GetSpacing()) - 1.0).max()
    direction = np.abs(np.subtract(label.GetDirection(), image.GetDirection())).max()
    shift = np.abs(np.subtract(label.GetOrigin(), image.GetOrigin())).max()
    if max(spacing, direction, shift) <= TOLERANCE:
        return ()
    difference = f"spacing by {100 * spacing:.2g} %, direction by {direction:.2g}, origin by {shift:.3g} mm"
    allowed_mm = MAX_SHIFT_VOXELS * min(image.GetSpacing())
    far = spacing > MAX_SPACING_RATIO or direction > MAX_DIRECTION_DIFFERENCE or shift > allowed_mm
    if far and not trust_voxels:
        raise UserError(
            f"{where}: its header differs from the image's ({difference}); expected the same grid. If the voxels do "
            "match all the same, as an overlay shows, convert with --trust-voxels; else resample the label. --skip "
            "leaves the patient out."
        )
    return (f"{where}: header of the label set to the image's ({difference})",)
