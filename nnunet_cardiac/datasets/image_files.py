"""Reads image files for the converters: volumes, single slices, and frames of 4D files."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from nnunet_cardiac.datasets.subject import Loaded, Volume
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.image_file import read_image


def file_volume(
    path: Path,
    frame: int | None = None,
    split: bool = False,
    spacing_mm: tuple[float, ...] | None = None,
    unit_matrix: bool = True,
) -> Volume:
    """Return a volume that is read from a file when needed; the arguments are those of :func:`read_volume`."""
    return Volume((path,), partial(read_volume, path, frame, split, spacing_mm, unit_matrix))


def read_volume(
    path: Path,
    frame: int | None = None,
    split: bool = False,
    spacing_mm: tuple[float, ...] | None = None,
    unit_matrix: bool = True,
) -> Loaded:
    """Read a file; a 2D image becomes one slice, a series of one frame a volume.

    Args:
        path: Image file.
        frame: Frame of a 4D file, counted from 0; None takes the whole file.
        split: The series may have been split already, so that a 3D file is the frame itself.
        spacing_mm: Voxel size (x, y, z) that overrules the header.
        unit_matrix: A matrix of 1 mm in a NIfTI file means nothing beside other sizes in pixdim. Public archives, such
            as ACDC, have it; in a file of which nothing is known it is a contradiction.

    Raises:
        UserError: If the file is missing, damaged, not an image of one channel, has no such frame, gives no certain
            voxel size, or a direction that cannot be corrected.
    """
    loaded = _read(path, spacing_mm, unit_matrix, *_stamp(path))
    image = loaded.image
    if image.GetDimension() == 2:
        image = sitk.JoinSeries([image], 0.0, 1.0 if spacing_mm is None else spacing_mm[2])
    if image.GetDimension() == 4 and (frame is not None or image.GetSize()[3] == 1):
        image = extract_frame(image, frame or 0, str(path))
    elif frame and not split:
        raise UserError(f"{path}: one volume, but frame {frame} (from 0) was asked for; expected a 4D file.")
    return replace(loaded, image=image)


def extract_frame(series: sitk.Image, frame: int, where: str) -> sitk.Image:
    """Take one volume out of a 4D image.

    Raises:
        UserError: If there is no such frame.
    """
    *size, frames = series.GetSize()
    if not 0 <= frame < frames:
        raise UserError(
            f"{where}: {frames} frames, so 0 to {frames - 1}; frame {frame} (from 0) was asked for. Correct the table "
            "of phases."
        )
    extractor = sitk.ExtractImageFilter()
    extractor.SetSize([*size, 0])
    extractor.SetIndex([0, 0, 0, frame])
    extractor.SetDirectionCollapseToStrategy(sitk.ExtractImageFilter.DIRECTIONCOLLAPSETOSUBMATRIX)
    return extractor.Execute(series)


def _stamp(path: Path) -> tuple[int, int]:
    """Time and size of a file: with them in the key, the cache forgets a file that was written anew."""
    if not path.is_file():
        near = ", ".join(sorted(p.name for p in path.parent.glob("*"))[:10]) if path.parent.is_dir() else "no folder"
        raise UserError(f"{path}: not found; its folder holds {near or 'nothing'}. Unpack the archive again.")
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=2)  # image and label of one cine series, from which several frames are taken
def _read(path: Path, spacing_mm: tuple[float, ...] | None, unit_matrix: bool, time_ns: int, size: int) -> Loaded:
    found = read_image(path, spacing_mm, unit_matrix=unit_matrix)
    _check_finite(path, found.voxels)
    image = sitk.GetImageFromArray(found.voxels, isVector=False)
    image.SetSpacing(found.header.spacing)
    image.SetOrigin(found.header.origin)
    image.SetDirection(found.header.direction)
    return Loaded(image, tuple(f"{path.name}: {repair}" for repair in found.repairs), found.header.oriented)


def _check_finite(path: Path, voxels: npt.NDArray[Any]) -> None:
    bad = voxels.size - int(np.isfinite(voxels).sum()) if voxels.dtype.kind == "f" else 0
    if bad:
        raise UserError(f"{path}: {bad} of {voxels.size} voxels are NaN or infinite; expected finite numbers.")
