"""Image and label have to lie on one grid: small differences of their headers are reported, larger ones refused.

A label that is stored in another way than its image, with axes exchanged or turned round, is brought into the storage
of the image where the headers say that both are the same part of the body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_cardiac.checks.geometry import TOLERANCE
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, Way
from nnunet_cardiac.images.same_body import way_onto

#: Header differences that rounding and converters cause; beyond them the voxels may lie elsewhere.
MAX_SPACING_RATIO = 0.02
MAX_DIRECTION_DIFFERENCE = 0.09  # 5 degrees
MAX_SHIFT_VOXELS = 0.5


def way_to_image(label: Header, image: Header, where: str, trust_voxels: bool = False) -> tuple[Way, tuple[str, ...]]:
    """Decide how the voxels of a label come to lie on those of its image, whose geometry it then takes.

    Args:
        label: Geometry of the label map, 3D.
        image: Geometry of its image, 3D.
        where: File of the label.
        trust_voxels: Where the sizes are equal, the voxels match as they are stored, however different the headers are.

    Returns:
        The way, and one sentence if something is changed.

    Raises:
        UserError: If the sizes differ, or the headers by more than rounding, in whatever way the label is stored.
    """
    way = way_onto(label, image)
    moved = way.moved(label)
    same_size = label.size == image.size
    if not (trust_voxels and same_size) and not way.changes_nothing and moved.size == image.size:
        difference = _difference(moved, image)
        if not difference.far:
            rest = f" ({difference})" if difference.largest > TOLERANCE else ""
            return way, (f"{where}: stored in another way than the image ({way.code}), brought together{rest}",)
    if not same_size:
        raise UserError(_other_size(label, image, moved, where))
    difference = _difference(label, image)
    if difference.largest <= TOLERANCE:
        return IDENTITY, ()
    if difference.far and not trust_voxels:
        raise UserError(_other_place(label, image, difference, where))
    return IDENTITY, (f"{where}: header of the label set to the image's ({difference})",)


@dataclass(frozen=True)
class _Difference:
    """By how much two headers of one size differ.

    Attributes:
        spacing: Largest share.
        direction: Largest difference of direction cosines.
        shift: Of the first voxel along an axis, in mm.
        allowed_mm: Shift that rounding explains.
    """

    spacing: float
    direction: float
    shift: float
    allowed_mm: float

    @property
    def largest(self) -> float:
        return max(self.spacing, self.direction, self.shift)

    @property
    def far(self) -> bool:
        """Whether the voxels may lie elsewhere."""
        turned = self.spacing > MAX_SPACING_RATIO or self.direction > MAX_DIRECTION_DIFFERENCE
        return turned or self.shift > self.allowed_mm

    def __str__(self) -> str:
        return (
            f"spacing by {100 * self.spacing:.2g} %, direction by {self.direction:.2g}, origin by {self.shift:.3g} mm"
        )


def _difference(label: Header, image: Header) -> _Difference:
    spacing = np.abs(np.divide(label.spacing, image.spacing) - 1.0).max()
    direction = np.abs(np.subtract(label.direction, image.direction)).max()
    shift = np.abs(np.subtract(label.origin, image.origin)).max()
    return _Difference(float(spacing), float(direction), float(shift), MAX_SHIFT_VOXELS * min(image.spacing))


def _other_size(label: Header, image: Header, moved: Header, where: str) -> str:
    turned = "" if moved.size == label.size else f", {moved.size} with its axes in the order of the image's"
    return (
        f"{where}: size {label.size}{turned}, but the image has {image.size} (x, y, z); expected one grid."
        f"{_silent(label, image)} Is it the label of another frame or patient?"
    )


def _other_place(label: Header, image: Header, difference: _Difference, where: str) -> str:
    return (
        f"{where}: its header differs from the image's ({difference}); expected the same grid, or the same part of the "
        f"body stored in another way. The label has {_described(label)}; the image has {_described(image)}."
        f"{_silent(label, image)} If the voxels do match all the same, as an overlay shows, convert with "
        "--trust-voxels; else resample the label. --skip leaves the patient out."
    )


def _silent(label: Header, image: Header) -> str:
    """Which of both does not say how it lies, so that nobody can bring them together; empty if none or both."""
    if label.oriented == image.oriented:
        return ""
    who = "image" if label.oriented else "label"
    return f" The file of the {who} does not say how it lies in the patient."


def _described(header: Header) -> str:
    spacing = " x ".join(f"{mm:.4g}" for mm in header.spacing)
    origin = ", ".join(f"{round(mm, 2) + 0.0:g}" for mm in header.origin)
    axes = "; ".join(
        ", ".join(f"{round(cosine, 3) + 0.0:g}" for cosine in column)
        for column in np.reshape(header.direction, (len(header.size),) * 2).T
    )
    return f"spacing {spacing} mm, origin ({origin}), axes ({axes})"
