"""Files that are cut, too long, packed otherwise than named, or damaged within."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.image_file import check_complete, read_header, read_image, read_voxels

ENDINGS = ["nii", "nii.gz", "NII", "NII.GZ", "Nii.Gz", "nrrd", "mha", "MHA", "mhd"]


def write(folder: Path, ending: str, packed: bool) -> tuple[Path, Path]:
    """Return the image of 12 x 11 x 10 different numbers, and the file with its voxels."""
    image = sitk.GetImageFromArray(np.arange(12 * 11 * 10, dtype=np.int16).reshape(10, 11, 12))
    image.SetSpacing((1.5, 1.25, 8))
    path = folder / f"p.{ending.lower()}"
    sitk.WriteImage(image, str(path), packed)
    data = next((file for file in folder.iterdir() if file.suffix in (".raw", ".zraw")), path)
    renamed = path.rename(folder / f"p.{ending}")
    return renamed, renamed if data == path else data


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("missing", [1, 300, 0.5])
def test_a_file_without_its_end(tmp_path: Path, ending: str, packed: bool, missing: float) -> None:
    path, data = write(tmp_path, ending, packed)
    check_complete(path)
    content = data.read_bytes()
    data.write_bytes(content[: -missing if isinstance(missing, int) else int(len(content) * missing)])
    for read in (check_complete, read_voxels, read_image):
        with pytest.raises(UserError, match="truncated") as caught:
            read(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha", "mhd"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_length_is_read_whole_or_refused(tmp_path: Path, ending: str, packed: bool) -> None:
    path, data = write(tmp_path, ending, packed)
    content = data.read_bytes()
    for length in range(0, len(content), 97):
        data.write_bytes(content[:length])
        with pytest.raises(UserError):
            read_image(path)


@pytest.mark.parametrize("ending", ["nii", "nrrd", "mha", "mhd", "nii.gz"])
def test_more_than_the_voxels(tmp_path: Path, ending: str) -> None:
    path, data = write(tmp_path, ending, packed=ending == "nii.gz")
    plain = gzip.decompress(data.read_bytes()) if ending == "nii.gz" else data.read_bytes()
    pack = gzip.compress if ending == "nii.gz" else bytes
    data.write_bytes(pack(plain + bytes(100)))  # the rest of a block
    np.testing.assert_array_equal(read_voxels(path).ravel(), np.arange(1320))
    for rest in (b"\1", bytes(513)):
        data.write_bytes(pack(plain + rest))
        with pytest.raises(UserError, match="more bytes than the 2640 of its voxels"):
            read_voxels(path)


def test_bytes_behind_a_compressed_stream(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "nii.gz", True)
    content = path.read_bytes()
    path.write_bytes(content + b"and words")
    with pytest.raises(UserError, match="damaged"):
        read_voxels(path)
    with_error = bytearray(content)
    with_error[-6] ^= 1  # in the sum over the content
    path.write_bytes(with_error)
    with pytest.raises(UserError, match="damaged"):
        read_voxels(path)


def test_a_stream_of_several_members(tmp_path: Path) -> None:
    """Programs that compress in parallel write such files."""
    path, _ = write(tmp_path, "nii.gz", True)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(b"".join(gzip.compress(content[start : start + 500]) for start in range(0, len(content), 500)))
    np.testing.assert_array_equal(read_voxels(path).ravel(), np.arange(1320))


def test_packed_otherwise_than_named(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "nii.gz", True)
    plain = gzip.decompress(path.read_bytes())
    other = tmp_path / "q.nii"
    other.write_bytes(path.read_bytes())
    path.write_bytes(plain)
    for file in (path, other):
        np.testing.assert_array_equal(read_image(file).voxels.ravel(), np.arange(1320))
    path.write_bytes(plain[:-1])
    with pytest.raises(UserError, match="truncated"):
        check_complete(path)


def test_the_file_beside_of_nearly_the_same_name(tmp_path: Path) -> None:
    """ITK takes the voxels of `p.nii` for those of `p.nii.gz`."""
    write(tmp_path, "nii", False)
    image = sitk.GetImageFromArray(np.full((10, 11, 12), 7, np.int16))
    image.SetSpacing((1.5, 1.25, 8))
    sitk.WriteImage(image, str(tmp_path / "p.nii.gz"))
    assert set(read_voxels(tmp_path / "p.nii.gz").ravel()) == {7}


@pytest.mark.parametrize("name", ["p.nii", "p.nii.gz", "p.nrrd", "p.mha", "p.mhd"])
@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x1f\x8b", b"no image" * 100, bytes(1000), b"NRRD0004\n\n", b"NDims = 3"]
)
def test_no_image(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    for read in (read_image, read_header, read_voxels, check_complete):
        with pytest.raises(UserError) as caught:
            read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"p\.nii: cannot be read as an image \(.*No such file"):
        read_image(tmp_path / "p.nii")
    with pytest.raises(UserError, match=r"p\.png: no image; expected one of \.nii\.gz"):
        read_image(tmp_path / "p.png")
    (tmp_path / "q.nii").mkdir()
    with pytest.raises(UserError, match=r"q\.nii: cannot be read"):
        read_image(tmp_path / "q.nii")


@pytest.mark.parametrize("packed", [False, True])
def test_a_header_takes_no_memory(nifti: Callable[..., Path], array: np.ndarray, packed: bool) -> None:
    """The header promises 0.4 GB, which would be possible; the file has a few bytes."""
    path = nifti(array, "p.nii.gz" if packed else "p.nii", dim=[4, 300, 300, 20, 100, 1, 1, 1])
    tracemalloc.start()
    with pytest.raises(UserError, match="truncated"):
        read_image(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
