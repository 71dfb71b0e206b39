"""Image files: NIfTI, NRRD, MetaImage; stacks, cine series and single slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.image_file import Header, Image, read_geometry, read_image
from nnunet_cardiac.images.orientation import IDENTITY, Way
from nnunet_cardiac.images.same_body import way_onto
from nnunet_cardiac.inference.series import Grid, Series

#: What `dimensions` may promise -> dimensions of a file that keep the promise.
PROMISES = {"auto": (2, 3, 4), "3d": (2, 3), "4d": (4,)}

_NOT_FINITE = "(NaN or infinite). Export the image again, or fill them"


def read_series(
    name: str, paths: Sequence[Path], promise: str = "auto", spacing_mm: Sequence[float] | None = None
) -> Series:
    """Read one case.

    Args:
        name: Name of the outputs.
        paths: One file a channel, in the order of the training data.
        promise: `3d`, `4d` or `auto`; what the user said the files are.
        spacing_mm: Voxel size (x, y, z) that overrules the headers.

    Raises:
        UserError: If a file is damaged, does not say for certain how large its voxels are, has an unexpected number of
            dimensions or values that are not finite, or the channels lie on different grids.
    """
    headers = [read_geometry(path, spacing_mm)[0] for path in paths]
    for path, header in zip(paths, headers, strict=True):
        _check_dimensions(path, header, promise)
    ways = [_way_to_grid(paths[0], headers[0], path, header) for path, header in zip(paths, headers, strict=True)]
    first = read_image(paths[0], spacing_mm)
    images = (first, *(read_image(path, spacing_mm) for path in paths[1:]))
    dimensions = len(first.header.size)
    # (Y, X), (Z, Y, X) and (T, Z, Y, X) become (T, Z, Y, X).
    shape = (1,) * (4 - dimensions) + first.header.size[::-1]
    channels = [
        way.apply(_finite(path, image)).reshape(shape) for path, image, way in zip(paths, images, ways, strict=True)
    ]
    header = first.header
    grid = Grid(header.spacing, header.origin, header.direction, first.nifti, header.oriented)
    warnings = tuple(f"{repair[0].upper()}{repair[1:]}." for repair in first.repairs)
    return Series(name, np.stack(channels, axis=1), grid, dimensions, warnings)


def _check_dimensions(path: Path, header: Header, promise: str) -> None:
    dimensions = len(header.size)
    if dimensions not in PROMISES[promise]:
        found = f"{dimensions}D, {' x '.join(map(str, header.size))}"
        advice = "split it, or leave --dimensions out" if promise == "3d" else "leave --dimensions out"
        raise UserError(f"{path}: is {found}, and --dimensions says {promise}; {advice}.")


def _way_to_grid(first_path: Path, first: Header, path: Path, header: Header) -> Way:
    """How a channel is brought onto the grid of the first, which may lie in its file in another way."""
    difference = _difference(first, header)
    if not difference:
        return IDENTITY
    way = way_onto(header, first)
    if not way.changes_nothing and not _difference(first, way.moved(header)):
        return way
    raise UserError(
        f"{path}: {difference} is {getattr(header, difference)}, and {first_path.name} has "
        f"{getattr(first, difference)}. The channels of a case must lie on one grid; resample one to the other."
    )


def _difference(first: Header, header: Header) -> str:
    """The first part of the geometry that differs; empty if none does."""
    for what in ("size", "spacing", "origin", "direction"):
        mine, other = getattr(header, what), getattr(first, what)
        if len(mine) != len(other) or not np.allclose(mine, other, rtol=1e-4, atol=1e-2):
            return what
    return ""


def _finite(path: Path, image: Image) -> npt.NDArray[np.float32]:
    voxels = image.voxels.astype(np.float32)
    if image.voxels.dtype.kind == "f":
        wrong = int(np.count_nonzero(~np.isfinite(voxels)))
        if wrong:
            raise UserError(f"{path}: {wrong} of {voxels.size} values are not finite {_NOT_FINITE}.")
    return voxels
