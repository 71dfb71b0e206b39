"""Is a file one volume, and do an image and its label lie on the same grid?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.direction import nearest_orthonormal
from nnunet_cardiac.images.image_file import Header
from nnunet_cardiac.images.orientation import directions
from nnunet_cardiac.images.same_body import way_onto

#: Absolute, in mm for spacing and origin. NIfTI stores single precision, so equal grids differ by less.
TOLERANCE = 1e-3

#: The same for a label that is stored in another way: its first voxel lies at the image's other end, where rounding
#: adds up.
MOVED_TOLERANCE = 1e-2

_UNITS = {"spacing": " mm", "origin": " mm", "direction": ""}


def volume_problem(path: Path, header: Header) -> str | None:
    """Return what keeps a file from being one grey volume (3D, depth 1 included, or one 2D image), or None."""
    size = " x ".join(map(str, header.size))
    if len(header.size) == 4:
        return (
            f"{path}: 4D, size {size}; expected one 3D volume a file. It looks like a cine series of {header.size[3]} "
            "frames, which nnU-Net would take for channels. Write one file a frame: read it with SimpleITK and write "
            f"image[:, :, :, t] as NAME_frame01_0000, NAME_frame02_0000, ... (labels without _0000)."
        )
    if len(header.size) > 4:
        return f"{path}: {len(header.size)}D, size {size}; expected one 3D volume a file. Split it."
    if header.components != 1:
        return (
            f"{path}: {header.components} values a voxel (colour or vector image); expected one grey value. Write one "
            "file a channel, _0000, _0001, ..."
        )
    return None


def direction_problem(path: Path, header: Header) -> str | None:
    """Return what keeps the directions of a volume from being those of a body: singular or sheared ones, or NaN."""
    if len(header.size) != 3:
        return None
    try:
        nearest_orthonormal(path, directions(header))
    except UserError as error:
        return str(error)
    return None


def grid_problems(image_path: Path, image: Header, label_path: Path, label: Header) -> list[str]:
    """Return the differences between the grids of an image and its label, both values shown."""
    where = f"{image_path} and {label_path.parent.name}/{label_path.name}"
    way = way_onto(label, image)
    if not way.changes_nothing and _same_grid(image, way.moved(label)):
        return [
            f"{where}: the same part of the body, stored in two ways (the label's axes are {way.code} in the order of "
            "the image's); expected one way, because nnU-Net takes the voxels as they lie. nnunet_cardiac convert "
            "generic brings them together."
        ]
    if image.size != label.size:
        found = " x ".join(map(str, image.size))
        other = " x ".join(map(str, label.size))
        return [f"{where}: sizes {found} and {other} differ; expected the same grid. Resample the label to the image."]
    return [
        f"{where}: {name}s {_show(a)}{unit} and {_show(b)}{unit} differ; expected the same within {TOLERANCE:g}. "
        "If the voxels do match, copy the image's geometry: label.CopyInformation(image) in SimpleITK; else resample."
        for name, unit in _UNITS.items()
        for a, b in [(getattr(image, name), getattr(label, name))]
        if not np.allclose(a, b, rtol=0, atol=TOLERANCE)
    ]


def _same_grid(image: Header, label: Header) -> bool:
    return image.size == label.size and all(
        np.allclose(getattr(image, name), getattr(label, name), rtol=0, atol=MOVED_TOLERANCE) for name in _UNITS
    )


def _show(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{round(value, 6) + 0.0:.6g}" for value in values) + ")"  # + 0.0 turns -0 into 0
