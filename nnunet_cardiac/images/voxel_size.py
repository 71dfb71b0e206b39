"""The voxel size: what the parts of a header say of it, whether they agree, and whether a heart can be that large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.layout import Layout
from nnunet_cardiac.images.orientation import slice_axis

#: Share by which two parts of a header may differ: sizes rounded to two digits, such as 0.70 for 0.7031.
ROUNDING = 5e-3

#: Pixel size in mm. Cine and late-enhancement images have 0.6 to 3; coarse phantoms have 4.
PIXEL_MM = (0.2, 5.0)
#: Distance of slices in mm: 0.6 in isotropic images, 5 to 13 in stacks.
SLICE_MM = (0.2, 20.0)
#: Pixels are nearly square.
MAX_PIXEL_RATIO = 3.0
#: Widest image in mm: the bore of a scanner is 700 mm wide.
MAX_FIELD_MM = 800.0
#: An image that shows a heart is wider; images of fewer pixels may be parts of one.
MIN_FIELD_MM, WHOLE_IMAGE_PIXELS = 50.0, 64
#: Programs write 1 mm along all axes where they know no size; isotropic images of a heart have more slices.
PLACEHOLDER_SLICES = 30

_ADVICE = "Correct the header; predict and convert generic also take the true size, --spacing X Y Z in mm."


def choose_spacing(
    layout: Layout, given: Sequence[float] | None = None, *, unit_matrix: bool = False, any_size: bool = False
) -> tuple[float, ...]:
    """Return the voxel size (x, y, z) in mm, or (x, y) of a 2D file.

    Args:
        layout: Header.
        given: The user's (x, y, z) in mm, which overrules the header and every limit.
        unit_matrix: An sform of 1 mm means that nobody wrote it, so that pixdim counts, as in the archive of ACDC.
        any_size: Sizes that no picture of a human heart has are taken, too: a lab trains on animals as well.

    Raises:
        UserError: If the header gives no size, two different ones, one in an unknown unit, or none that a picture of a
            heart can have.
    """
    path, count = layout.stored.path, min(layout.dimensions, 3)
    if given is not None:
        return check_given(given)[:count]
    if layout.unit:
        raise UserError(f"{path}: the unit of the voxel size is {layout.unit}; expected mm. {_ADVICE}")
    claims = {name: sizes[:count] for name, sizes in layout.claims.items()}
    if not claims:
        raise UserError(f"{path}: the header gives no voxel size, so distances and volumes have no unit. {_ADVICE}")
    if unit_matrix and claims.get("sform") == (1.0,) * count:
        del claims["sform"]
    (first, sizes), *others = claims.items()
    for name, other in others:
        if not all(math.isclose(a, b, rel_tol=ROUNDING) for a, b in zip(sizes, other, strict=True)):
            raise UserError(_contradiction(path, first, sizes, name, other))
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        raise UserError(f"{path}: {first} gives a voxel size of {_shown(sizes)}; expected sizes above 0. {_ADVICE}")
    if not any_size and (problem := implausible(layout.size, sizes)):
        raise UserError(f"{path}: {problem}. {_ADVICE}")
    return tuple(sizes)


def check_given(given: Sequence[float]) -> tuple[float, ...]:
    """Return a size (x, y, z) in mm that a user gave.

    Raises:
        UserError: If it is not three positive numbers.
    """
    sizes = tuple(float(size) for size in given)
    if len(sizes) != 3 or not all(math.isfinite(size) and size > 0 for size in sizes):
        found = " ".join(f"{size:g}" for size in sizes)
        raise UserError(f"--spacing is {found}; expected three sizes above 0 in mm, in the order x y z of the header.")
    return sizes


def _contradiction(path: Path, first: str, sizes: Sequence[float], second: str, other: Sequence[float]) -> str:
    ready = [
        f"--spacing {' '.join(f'{size:.6g}' for size in found)} if {name} is right"
        for name, found in ((first, sizes), (second, other))
        if len(found) == 3 and all(math.isfinite(size) and size > 0 for size in found)
    ]
    choice = f"; predict and convert generic also take {', or '.join(ready)}" if ready else ""
    return (
        f"{path}: the header gives two voxel sizes, {first} {_shown(sizes)} and {second} {_shown(other)}. Find the "
        f"true one in the DICOM files or the description of the data, and correct the header{choice}."
    )


def implausible(size: Sequence[int], spacing: Sequence[float]) -> str:
    """Say what no image of a heart has; empty if nothing is wrong.

    Args:
        size: Voxels (x, y, z); a 2D image has no z.
        spacing: Voxel size (x, y, z) in mm.
    """
    size, spacing = _slices_last(size, spacing)
    x, y = spacing[:2]
    if min(x, y) < PIXEL_MM[0] or max(x, y) > PIXEL_MM[1]:
        return f"pixels of {_shown((x, y))}; expected {_range(PIXEL_MM)} for a heart"
    if max(x, y) > MAX_PIXEL_RATIO * min(x, y):
        return f"pixels of {_shown((x, y))}; expected nearly square ones"
    fields = (size[0] * x, size[1] * y)
    if max(fields) > MAX_FIELD_MM:
        return f"the image is {_shown(fields)} wide; expected at most {MAX_FIELD_MM:g} mm"
    if min(fields) < MIN_FIELD_MM and min(size[:2]) >= WHOLE_IMAGE_PIXELS:
        return f"the image is {_shown(fields)} wide; expected at least {MIN_FIELD_MM:g} mm, as a heart needs"
    if spacing == (1.0, 1.0, 1.0) and 1 < size[2] < PLACEHOLDER_SLICES:
        return (
            f"voxels of exactly 1 mm along all axes, and {size[2]} slices; programs write that where they know no size"
        )
    # The distance of a single slice is its thickness, or a number that some program needed there.
    if len(spacing) == 3 and size[2] > 1 and not SLICE_MM[0] <= spacing[2] <= SLICE_MM[1]:
        return f"slices {spacing[2]:.6g} mm apart; expected {_range(SLICE_MM)}"
    if len(spacing) == 3 and size[2] > 1 and size[2] * spacing[2] > MAX_FIELD_MM:
        together = f"{size[2]} slices {spacing[2]:.6g} mm apart, {size[2] * spacing[2]:.6g} mm together"
        return f"{together}; expected at most {MAX_FIELD_MM:g} mm"
    return ""


def _slices_last(size: Sequence[int], spacing: Sequence[float]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Sizes with the axis across the slices last; for cubic voxels it does not matter which axis that is."""
    if len(spacing) < 3:
        return tuple(size), tuple(spacing)
    across = slice_axis(size, spacing, np.eye(3))
    order = [axis for axis in range(3) if axis != across] + [across]
    return tuple(size[axis] for axis in order), tuple(spacing[axis] for axis in order)


def _range(limits: tuple[float, float]) -> str:
    return f"{limits[0]:g} to {limits[1]:g} mm"


def _shown(sizes: Sequence[float]) -> str:
    return " x ".join(f"{size:.6g}" for size in sizes) + " mm"
