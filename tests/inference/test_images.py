"""Image files in, label maps out on the same grid; what is wrong with a file is said."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.images import read_series
from nnunet_cardiac.inference.label_file import write_label_map
from nnunet_cardiac.inference.sources import find_sources

#: Oblique, in ITK's order.
DIRECTION = np.stack([[0.8, 0.6, 0], [-0.36, 0.48, -0.8], [-0.48, 0.64, 0.6]], axis=1)


def write(path: Path, array: np.ndarray, vector: bool = False) -> Path:
    image = sitk.GetImageFromArray(array, isVector=vector)
    n = image.GetDimension()
    image.SetSpacing((1.3, 1.45, 9.6, 31.5)[:n])
    image.SetOrigin((-12.5, 40.25, 7.0, 0.0)[:n])
    direction = np.eye(n)
    m = min(n, 3)
    direction[:m, :m] = DIRECTION[:m, :m] if m == 3 else np.eye(2)
    image.SetDirection(direction.ravel().tolist())
    sitk.WriteImage(image, path)
    return path


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 900, shape).astype(np.int16)


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "nrrd", "mha", "mhd"])
@pytest.mark.parametrize("shape", [(3, 5, 7, 6), (5, 7, 6), (1, 7, 6), (7, 6)])
def test_round_trip(shape: tuple[int, ...], ending: str, tmp_path: Path) -> None:
    array = image(*shape)
    path = write(tmp_path / f"heart.{ending}", array)
    series = read_series("heart", [path])
    np.testing.assert_array_equal(series.frames.reshape(shape), array)
    assert series.frames.ndim == 5
    labels = (series.frames[:, 0] % 4).astype(np.uint8)
    write_label_map(tmp_path / "labels.nii.gz", labels, series)
    source, result = sitk.ReadImage(path), sitk.ReadImage(tmp_path / "labels.nii.gz")
    assert result.GetSize() == source.GetSize()
    assert result.GetPixelID() == sitk.sitkUInt8
    exact = ending.startswith("nii")
    for get in ("GetSpacing", "GetOrigin", "GetDirection"):
        mine, theirs = getattr(result, get)(), getattr(source, get)()
        if exact:
            assert mine == theirs
        elif len(shape) < 4 or get == "GetSpacing":
            np.testing.assert_allclose(mine, theirs, atol=1e-5)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), array % 4)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_header_is_copied_bit_for_bit_and_without_text(tmp_path: Path) -> None:
    path = write(tmp_path / "heart.nii.gz", image(5, 7, 6))
    source = nibabel.load(path)
    source.header["descrip"], source.header["db_name"] = b"JANE DOE", b"1970-01-01"
    source.header["qform_code"], source.header["sform_code"] = 1, 2
    source.header["srow_x"][3] += 0.001  # sform and qform need not agree
    named = tmp_path / "named.nii.gz"
    nibabel.save(source, named)
    series = read_series("heart", [named])
    write_label_map(tmp_path / "labels.nii.gz", np.zeros((1, 5, 7, 6), np.uint8), series)
    header, result = nibabel.load(named).header, nibabel.load(tmp_path / "labels.nii.gz").header
    for name in ("srow_x", "srow_y", "srow_z", "quatern_b", "qoffset_x", "qform_code", "sform_code"):
        np.testing.assert_array_equal(header[name], result[name])
    np.testing.assert_array_equal(header["pixdim"][:4], result["pixdim"][:4])
    assert bytes(result["descrip"]).strip(b"\0") == b""
    assert bytes(result["db_name"]).strip(b"\0") == b""


def test_values_are_those_of_nnunets_reader(tmp_path: Path) -> None:
    path = tmp_path / "scaled.nii.gz"
    scaled = nibabel.Nifti1Image(image(6, 7, 5), np.eye(4))
    scaled.header.set_slope_inter(0.37, -11)
    nibabel.save(scaled, path)
    np.testing.assert_array_equal(
        read_series("x", [path]).frames[0, 0], sitk.GetArrayFromImage(sitk.ReadImage(path)).astype(np.float32)
    )


def test_channels_are_stacked(tmp_path: Path) -> None:
    arrays = [image(5, 7, 6), image(5, 7, 6) + 1]
    paths = [write(tmp_path / f"case_000{i}.nii.gz", array) for i, array in enumerate(arrays)]
    np.testing.assert_array_equal(read_series("case", paths).frames[0], arrays)
    write(paths[1], image(5, 7, 5))
    with pytest.raises(UserError, match=r"case_0001\.nii\.gz: size is .*must lie on one grid"):
        read_series("case", paths)


def test_bad_files(tmp_path: Path) -> None:
    holes = image(5, 7, 6).astype(np.float32)
    holes[1, 2, :3] = np.nan
    for name in ("holes.nii.gz", "holes.mha"):
        with pytest.raises(UserError, match=rf"{name}: 3 of 210 values are not finite"):
            read_series("x", [write(tmp_path / name, holes)])
    with pytest.raises(UserError, match=r"colour\.mha: has 3 values a voxel"):
        read_series("x", [write(tmp_path / "colour.mha", image(5, 7, 6, 3), vector=True)])
    cine, stack = write(tmp_path / "cine.nii.gz", image(3, 5, 7, 6)), write(tmp_path / "stack.nii.gz", image(5, 7, 6))
    with pytest.raises(UserError, match=r"cine\.nii\.gz: is 4D, 6 x 7 x 5 x 3, and --dimensions says 3d; split it"):
        read_series("x", [cine], "3d")
    with pytest.raises(UserError, match=r"stack\.nii\.gz: is 3D, 6 x 7 x 5, and --dimensions says 4d"):
        read_series("x", [stack], "4d")
    whole = cine.read_bytes()
    cine.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cine\.nii\.gz: truncated or damaged"):
        read_series("x", [cine])


def test_a_direction_that_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "sheared.nrrd", image(5, 7, 6))
    text = path.read_bytes()
    start = text.index(b"space directions: ")
    end = text.index(b"\n", start)
    path.write_bytes(text[:start] + b"space directions: (1,0,0) (1,1,0) (0,0,9)" + text[end:])
    with pytest.raises(UserError, match=r"sheared\.nrrd.*orthonormal"):
        read_series("x", [path])


def names(folder: Path, channels: int = 1) -> list[str]:
    return [source.name for source in find_sources(folder, channels)]


def test_names_of_nnunet_and_any_other(tmp_path: Path) -> None:
    for name in ("b_0000.nii.gz", "a.nrrd", "d.e.nii", "notes.txt", ".hidden.nii.gz"):
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a", "b", "d.e"]
    assert names(tmp_path / "b_0000.nii.gz") == ["b"]
    (tmp_path / "b.mha").touch()
    with pytest.raises(UserError, match=r"b_0000\.nii\.gz and b\.mha would both be b"):
        names(tmp_path)


def test_wrong_number_of_channels(tmp_path: Path) -> None:
    for name in ("a_0000.nii.gz", "a_0001.nii.gz"):
        (tmp_path / name).touch()
    assert names(tmp_path, 2) == ["a"]
    assert [path.name for path in find_sources(tmp_path / "a_0001.nii.gz", 2)[0].paths] == [
        "a_0000.nii.gz",
        "a_0001.nii.gz",
    ]
    with pytest.raises(UserError, match=r"case a has 2 channels \(a_0000\.nii\.gz, a_0001\.nii\.gz\).*trained with 1"):
        names(tmp_path)
    with pytest.raises(UserError, match=r"a has 2 channels.*Expected files named a_0000, a_0001, a_0002"):
        names(tmp_path, 3)


def test_nothing_to_segment(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no image .* and no DICOM file"):
        names(tmp_path)
    with pytest.raises(UserError, match="no such file or folder"):
        names(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("x" * 200)
    with pytest.raises(UserError, match=r"notes\.txt: no image"):
        names(tmp_path / "notes.txt")
