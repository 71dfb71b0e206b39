"""Label maps as NIfTI files on the grid of the input, with nothing of the patient in the header."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt

from nnunet_cardiac.files import replacing
from nnunet_cardiac.inference.series import Grid, Series

#: Fields of a NIfTI header that say where the voxels are; the others may hold a name or a date.
_GEOMETRY = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
)

#: ITK counts towards left and posterior, NIfTI towards right and anterior.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

#: Label maps are nearly all zeros; higher levels take longer and save little.
_COMPRESSION = 4


def write_label_map(path: Path, labels: npt.NDArray[np.integer], series: Series) -> None:
    """Write label maps (T, Z, Y, X) with the dimensions of the input.

    Args:
        path: Ends in `.nii.gz`; it appears when it is complete.
        labels: Label values.
        series: What was segmented.
    """
    shape = labels.shape[4 - series.dimensions :]
    voxels = labels.reshape(shape).T
    template = series.grid.nifti
    image_class = nibabel.Nifti2Image if isinstance(template, nibabel.Nifti2Header) else nibabel.Nifti1Image
    header = image_class.header_class()
    header.set_data_dtype(labels.dtype)
    if template is None:
        image = image_class(voxels, affine(series.grid), header)
        image.header.set_xyzt_units("mm", "msec" if series.times_ms else "unknown")
        image.header["pixdim"][4 : len(series.grid.spacing) + 1] = series.grid.spacing[3:]
        image.header.set_sform(image.affine, code="scanner")
        image.header.set_qform(image.affine, code="scanner")
    else:
        for name in _GEOMETRY:
            header[name] = template[name]
        image = image_class(voxels, None, header)
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(image.to_bytes(), _COMPRESSION, mtime=0))


def affine(grid: Grid) -> npt.NDArray[np.float64]:
    """Matrix (4, 4) from voxel (x, y, z) to patient coordinates as NIfTI has them: right, anterior, superior."""
    n = len(grid.spacing)
    direction = np.eye(3)
    cosines = np.array(grid.direction).reshape(n, n)
    m = min(n, 3)
    direction[:m, :m] = cosines[:m, :m]
    spacing, origin = np.ones(3), np.zeros(3)
    spacing[:m], origin[:m] = grid.spacing[:m], grid.origin[:m]
    matrix = np.eye(4)
    matrix[:3, :3] = direction * spacing
    matrix[:3, 3] = origin
    return _LPS_TO_RAS @ matrix
