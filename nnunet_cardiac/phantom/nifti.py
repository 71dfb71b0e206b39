"""NIfTI files of phantom studies."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import canonical_way, directions
from nnunet_cardiac.phantom.region import Array
from nnunet_cardiac.phantom.study import CineStudy, Geometry, triple


def write_study(study: CineStudy, folder: str | Path) -> list[Path]:
    """Write end-diastole and end-systole as 3D files and all frames as a 4D file, with their label maps.

    Names follow ACDC: `<patient>_frame01.nii.gz`, `<patient>_frame01_gt.nii.gz`, `<patient>_4d.nii.gz`,
    `<patient>_4d_gt.nii.gz`, frames counted from 1.

    Args:
        study: The study.
        folder: Made if it is not there.

    Returns:
        The files written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for frame in (study.ed_frame, study.es_frame):
        image, label = study.phase(frame)
        stem = f"{study.patient}_frame{frame + 1:02d}"
        written.append(write_volume(image, study.geometry, folder / f"{stem}.nii.gz"))
        written.append(write_volume(label, study.geometry, folder / f"{stem}_gt.nii.gz"))
    written.append(write_series(study.images, study.geometry, folder / f"{study.patient}_4d.nii.gz"))
    written.append(write_series(study.labels, study.geometry, folder / f"{study.patient}_4d_gt.nii.gz"))
    return written


def write_volume(array: Array, geometry: Geometry, path: Path) -> Path:
    """Write one volume of shape (Z, Y, X); intensities are rounded to whole numbers as scanners store them."""
    return _write(_to_image(array, geometry), path)


def write_series(array: Array, geometry: Geometry, path: Path) -> Path:
    """Write a series of shape (T, Z, Y, X) as one 4D file; the spacing of the last axis is 1 frame."""
    return _write(sitk.JoinSeries([_to_image(volume, geometry) for volume in array]), path)


def canonical(array: Array, geometry: Geometry) -> tuple[Array, Geometry]:
    """Return an image in canonical storage, as `convert` writes it: fields of view may be turned by up to 51 degrees.

    Args:
        array: (Z, Y, X), or (T, Z, Y, X).
        geometry: Its position in the patient.
    """
    direction = tuple(geometry.direction.ravel().tolist())
    header = Header(array.shape[:-4:-1], geometry.spacing_mm[::-1], geometry.origin_mm, direction, 1)
    way = canonical_way(header)
    moved = way.moved(header)
    z, y, x = moved.spacing[::-1]
    placed = replace(geometry, spacing_mm=(z, y, x), direction=directions(moved), origin_mm=triple(moved.origin))
    return np.ascontiguousarray(way.apply(array)), placed


def _to_image(array: Array, geometry: Geometry) -> sitk.Image:
    stored = array if array.dtype == np.uint8 else np.rint(array).astype(np.int16)
    image = sitk.GetImageFromArray(stored)
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction.ravel().tolist())
    return image


def _write(image: sitk.Image, path: Path) -> Path:
    partial = path.with_name(f".partial_{path.name}")
    sitk.WriteImage(image, str(partial), useCompression=True)
    os.replace(partial, path)
    return path
