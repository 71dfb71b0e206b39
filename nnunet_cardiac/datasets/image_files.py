"""Reads NIfTI and NRRD files, 4D ones too, and corrects directions that are not orthonormal."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.datasets.subject import Loaded, Volume
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.image_names import is_nifti
from nnunet_cardiac.images.image_file import check_complete, explained, load_nifti

#: A direction is corrected up to this correction; beyond it the axes are sheared on purpose, or the header is nonsense.
MAX_REPAIR_DEGREES = 5.0

#: NIfTI keeps right, anterior, superior; ITK left, posterior, superior.
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def file_volume(path: Path, frame: int | None = None, split: bool = False) -> Volume:
    """Return a volume that is read from a file when needed; the arguments are those of :func:`read_volume`."""
    return Volume((path,), partial(read_volume, path, frame, split))


def read_volume(path: Path, frame: int | None = None, split: bool = False) -> Loaded:
    """Read a file; a 2D image becomes one slice, a series of one frame a volume.

    Args:
        path: Image file.
        frame: Frame of a 4D file, counted from 0; None takes the whole file.
        split: The series may have been split already, so that a 3D file is the frame itself.

    Raises:
        UserError: If the file is missing, damaged, not an image of one channel, has no such frame, or a direction that
            cannot be corrected.
    """
    loaded = _read(path, *_stamp(path))
    image = loaded.image
    if image.GetDimension() == 2:
        image = sitk.JoinSeries([image])
    if image.GetDimension() == 4 and (frame is not None or image.GetSize()[3] == 1):
        image = extract_frame(image, frame or 0, str(path))
    elif frame and not split:
        raise UserError(f"{path}: one volume, but frame {frame} (from 0) was asked for; expected a 4D file.")
    return Loaded(image, loaded.repairs)


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
def _read(path: Path, time_ns: int, size: int) -> Loaded:
    check_complete(path)
    try:
        with explained(path):
            loaded = Loaded(sitk.ReadImage(str(path)))
    except UserError as error:
        if "orthonormal" not in str(error) or not is_nifti(path):
            raise
        loaded = _read_and_mend(path)
    _check_finite(path, loaded.image)
    if loaded.image.GetNumberOfComponentsPerPixel() != 1 or loaded.image.GetDimension() not in (2, 3, 4):
        raise UserError(
            f"{path}: {loaded.image.GetDimension()}D with {loaded.image.GetNumberOfComponentsPerPixel()} values a "
            "voxel; expected one grey value a voxel in 2D, 3D or 4D."
        )
    return loaded


def _check_finite(path: Path, image: sitk.Image) -> None:
    """Refuse NaN and infinity in NIfTI files of floats, which ITK reads as 0 without a word."""
    if image.GetPixelID() in (sitk.sitkFloat32, sitk.sitkFloat64) and is_nifti(path):
        with explained(path):
            voxels = np.asarray(load_nifti(path).dataobj)
        bad = voxels.size - int(np.isfinite(voxels).sum())
        if bad:
            raise UserError(f"{path}: {bad} of {voxels.size} voxels are NaN or infinite; expected finite numbers.")


def _read_and_mend(path: Path) -> Loaded:
    with explained(path):
        file = load_nifti(path)
        voxels = np.asarray(file.dataobj).T
    voxels = voxels.reshape((1,) * (3 - voxels.ndim) + voxels.shape)
    spacing, direction, degrees = nearest_orthonormal(path, file.affine)
    image = sitk.GetImageFromArray(voxels.astype(voxels.dtype.newbyteorder("=")), isVector=False)
    rest = [1.0] * (voxels.ndim - 3)
    whole = np.eye(voxels.ndim)
    whole[:3, :3] = direction
    image.SetSpacing([*spacing.tolist(), *rest])
    image.SetOrigin([*(_RAS_TO_LPS @ file.affine[:3, 3]).tolist(), *(0.0 for _ in rest)])
    image.SetDirection(whole.ravel().tolist())
    return Loaded(image, (f"{path.name}: direction made orthonormal, axes turned by up to {degrees:.2g} degrees",))


def nearest_orthonormal(path: Path, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Split an affine of NIfTI into spacing and the nearest orthonormal direction of ITK.

    The polar factor of the unit axes: of all rotations (and reflections) the one closest to them.

    Args:
        path: For the message.
        affine: Voxel to millimetre, shape (4, 4).

    Returns:
        Spacing (x, y, z) in mm, direction of shape (3, 3), and the largest turn of an axis in degrees.

    Raises:
        UserError: If an axis has no length or would have to be turned by more than `MAX_REPAIR_DEGREES`.
    """
    axes = _RAS_TO_LPS @ affine[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    if not np.isfinite(affine).all() or not (spacing > 0).all():
        raise UserError(
            f"{path}: axes of the header have the lengths {spacing} mm; expected three above 0. Correct it."
        )
    left, _, right = np.linalg.svd(axes / spacing)
    direction = left @ right
    cosines = np.clip((direction * axes / spacing).sum(axis=0), -1.0, 1.0)
    degrees = float(np.degrees(np.arccos(cosines)).max())
    if degrees > MAX_REPAIR_DEGREES:
        raise UserError(
            f"{path}: the axes of the header are {degrees:.1f} degrees away from right angles; expected at most "
            f"{MAX_REPAIR_DEGREES:g}, which rounding explains. Correct the header by hand, or leave the patient out "
            "with --skip."
        )
    return spacing, direction, degrees
