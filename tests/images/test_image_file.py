"""The reader against SimpleITK on good files, and on headers with bytes that somebody changed."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.image_file import check_complete, read_header, read_image

ENDINGS = ["nii", "nii.gz", "nrrd", "mha", "mhd"]
DIRECTION = np.stack([[0.8, 0.6, 0], [-0.36, 0.48, -0.8], [-0.48, 0.64, 0.6]], axis=1)


def write(path: Path, array: np.ndarray, packed: bool = True) -> Path:
    image = sitk.GetImageFromArray(array, isVector=False)
    n = image.GetDimension()
    image.SetSpacing((1.3, 1.45, 9.6, 31.5)[:n])
    image.SetOrigin((-12.5, 40.25, 7.0, 0.0)[:n])
    direction = np.eye(n)
    if n > 2:
        direction[:3, :3] = DIRECTION
    image.SetDirection(direction.ravel().tolist())
    sitk.WriteImage(image, str(path), packed)
    return path


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("shape", [(3, 5, 7, 6), (3, 1, 7, 6), (5, 7, 6), (1, 7, 6), (7, 6)])
def test_as_simpleitk_reads_it(tmp_path: Path, shape: tuple[int, ...], ending: str) -> None:
    numbers = np.random.default_rng(0).random(shape) * 100
    for dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"):
        path = write(tmp_path / f"p.{ending}", numbers.astype(dtype), dtype > "i")
        found, oracle = read_image(path), sitk.ReadImage(str(path))
        assert found.voxels.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found.voxels, numbers.astype(dtype))
        assert found.header.size == oracle.GetSize()
        assert found.header.spacing == pytest.approx(oracle.GetSpacing(), rel=1e-7)
        assert found.header.origin == pytest.approx(oracle.GetOrigin(), abs=1e-5)
        assert found.header.direction == pytest.approx(oracle.GetDirection(), abs=2e-6)
        assert found.repairs == ()
        assert read_header(path).spacing == oracle.GetSpacing()


def _spoiled(content: bytes, header: int, chance: random.Random) -> bytes:
    """Flip bits of the header, put extreme numbers there, or cut the file."""
    changed = bytearray(content)
    extremes = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\xc0\x7f", b"\0\0\x80\xff", b"\xff\x7f")
    way = chance.choice(("flip", "extreme", "cut"))
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(min(header, len(changed) - 4))
        if way == "flip":
            changed[place] ^= 1 << chance.randrange(8)
        elif way == "extreme":
            number = chance.choice(extremes)
            changed[place : place + len(number)] = number
    return bytes(changed if way != "cut" else changed[: chance.randrange(len(changed))])


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_spoiled_header_is_read_right_or_refused(tmp_path: Path, ending: str) -> None:
    """What is still read has all of the voxels, sizes of a heart, and right angles."""
    array = np.arange(3 * 4 * 9 * 8, dtype=np.int16).reshape(3, 4, 9, 8)
    path = write(tmp_path / f"p.{ending}", array, packed=ending != "nii")
    packed = ending == "nii.gz"
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    chance, outcomes = random.Random(7), set()
    for _ in range(120):
        spoiled = _spoiled(content, 352 if "nii" in ending else 300, chance)
        path.write_bytes(gzip.compress(spoiled, 1) if packed else spoiled)
        try:
            found = read_image(path)
        except UserError:
            outcomes.add("refused")
            continue
        outcomes.add("read")
        check_complete(path)
        assert found.voxels.size == array.size
        assert all(0 < size < 1000 for size in found.header.spacing[:3])
        count = len(found.header.size)
        direction = np.reshape(found.header.direction, (count, count))
        np.testing.assert_allclose(direction.T @ direction, np.eye(count), atol=1e-5)
    assert outcomes == {"read", "refused"}
