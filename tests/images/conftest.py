"""Small image files, each with a header that a test may spoil."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

#: Voxel (x, y, z) to mm of the files, right, anterior and superior positive.
AFFINE = np.array([[-1.5, 0, 0, 20], [0, -1.25, 0, 30], [0, 0, 8, -40], [0, 0, 0, 1.0]])


def voxels(*shape: int) -> np.ndarray:
    """Different numbers from 1."""
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(np.int16)


@pytest.fixture
def array() -> np.ndarray:
    """A stack (z, y, x)."""
    return voxels(4, 6, 5)


@pytest.fixture
def cine() -> np.ndarray:
    """Stacks over time (t, z, y, x)."""
    return voxels(3, 4, 6, 5)


def _pack(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.name.lower().endswith(".gz") else content)
    return path


@pytest.fixture
def nifti(tmp_path: Path) -> Callable[..., Path]:
    """Write (..., z, y, x) as NIfTI; `fields` are put into the stored header, whatever they contradict."""

    def write(array: np.ndarray, name: str = "p.nii.gz", affine: Any = AFFINE, **fields: Any) -> Path:
        kind = nibabel.Nifti1Image(array.T, affine, dtype=array.dtype)
        kind.header.set_xyzt_units("mm", "msec")
        kind.set_sform(affine, 1)
        kind.set_qform(affine, 1)
        content = bytearray(kind.to_bytes())
        header = np.frombuffer(content, nibabel.nifti1.header_dtype, 1)
        for field, value in fields.items():
            header[field] = value
        return _pack(tmp_path / name, bytes(content))

    return write


@pytest.fixture
def nrrd(tmp_path: Path) -> Callable[..., Path]:
    """Write an array whose last axis is the fastest as NRRD, with the given lines in its header."""

    def write(array: np.ndarray, *lines: str, name: str = "p.nrrd") -> Path:
        head = [
            "NRRD0005",
            "type: int16",
            f"dimension: {array.ndim}",
            f"sizes: {' '.join(map(str, array.shape[::-1]))}",
            "endian: little",
        ]
        if not any(line.startswith("encoding") for line in lines):
            head.append("encoding: raw")
        path = tmp_path / name
        path.write_bytes("\n".join([*head, *lines, "", ""]).encode() + array.astype("<i2").tobytes())
        return path

    return write


@pytest.fixture
def meta(tmp_path: Path) -> Callable[..., Path]:
    """Write (..., z, y, x) as MetaImage with the given fields."""

    def write(array: np.ndarray, name: str = "p.mha", **fields: str) -> Path:
        known = {
            "ObjectType": "Image",
            "NDims": str(array.ndim),
            "BinaryData": "True",
            "BinaryDataByteOrderMSB": "False",
            "DimSize": " ".join(map(str, array.shape[::-1])),
            "ElementType": "MET_SHORT",
        }
        lines = [f"{key} = {value}" for key, value in (known | fields).items()]
        path = tmp_path / name
        path.write_bytes("\n".join([*lines, "ElementDataFile = LOCAL", ""]).encode() + array.astype("<i2").tobytes())
        return path

    return write
