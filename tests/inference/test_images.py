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
from nnunet_cardiac.inference.series import Series
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
    scaled = nibabel.Nifti1Image(image(6, 7, 5), np.diag([1.5, 1.5, 8, 1]))
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


def sheared(degrees: float) -> np.ndarray:
    """Voxel to mm with a first axis that leans towards the second."""
    affine = np.diag([-1.5, -1.25, 8, 1.0])
    affine[1, 0] = -1.5 * np.tan(np.radians(degrees))
    affine[:3, 3] = (20, 30, -40)
    return affine


def nifti(path: Path, array: np.ndarray, affine: np.ndarray, unit: str = "mm") -> Path:
    """Write (..., z, y, x) with the matrix in the sform alone, which may be sheared."""
    file = nibabel.Nifti1Image(array.T, affine)
    file.header.set_xyzt_units(unit)
    file.set_sform(affine, 1)
    file.set_qform(None, 0)
    nibabel.save(file, path)
    return path


def round_trip(series: Series, folder: Path) -> nibabel.Nifti1Image:
    """Write label maps and read them back with nibabel."""
    shape = (len(series.frames), *series.frames.shape[2:])
    write_label_map(folder / "labels.nii.gz", np.ones(shape, np.uint8), series)
    return nibabel.load(folder / "labels.nii.gz")


def test_a_little_shear_is_corrected_for_computing_and_kept_in_the_label_map(tmp_path: Path) -> None:
    affine = sheared(0.03)
    series = read_series("p", [nifti(tmp_path / "p.nii.gz", image(5, 7, 6), affine)])
    assert series.warnings == ("Direction made orthonormal, axes turned by up to 0.015 degrees.",)
    direction = np.reshape(series.grid.direction, (3, 3))
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(direction, np.eye(3), atol=3e-4)
    result = round_trip(series, tmp_path)
    for field in ("srow_x", "srow_y", "srow_z", "pixdim", "sform_code", "qform_code"):
        np.testing.assert_array_equal(result.header[field], nibabel.load(tmp_path / "p.nii.gz").header[field])
    with pytest.raises(UserError, match="degrees away from right angles"):
        read_series("p", [nifti(tmp_path / "p.nii.gz", image(5, 7, 6), sheared(12))])


def test_oblique_slice(tmp_path: Path) -> None:
    affine = np.array([[1.2, 0, -4.8, 5], [0, 1.5, 0, 6], [0.9, 0, 6.4, 7], [0, 0, 0, 1]])
    series = read_series("p", [nifti(tmp_path / "p.nii", image(7, 6), affine)])
    assert series.grid.spacing == pytest.approx((1.5, 1.5))
    assert (series.dimensions, series.warnings) == (2, ())
    np.testing.assert_allclose(round_trip(series, tmp_path).affine, affine, atol=1e-6)


def test_sequence_of_slicer(tmp_path: Path) -> None:
    """The frames are the first axis of the header, the fastest one."""
    array = image(3, 5, 7, 6)
    head = (
        "NRRD0005\ntype: short\ndimension: 4\nsizes: 3 6 7 5\nspace: left-posterior-superior\n"
        "space directions: none (1.5,0,0) (0,1.25,0) (0,0,8)\nkinds: list domain domain domain\n"
        "space origin: (-20,-30,40)\nendian: little\nencoding: raw\n\n"
    )
    path = tmp_path / "p.seq.nrrd"
    path.write_bytes(head.encode() + np.moveaxis(array, 0, -1).astype("<i2").tobytes())
    series = read_series("p", [path])
    np.testing.assert_array_equal(series.frames[:, 0], array)
    result = round_trip(series, tmp_path)
    assert result.shape == (6, 7, 5, 3)
    np.testing.assert_allclose(result.affine, [[-1.5, 0, 0, 20], [0, -1.25, 0, 30], [0, 0, 8, 40], [0, 0, 0, 1]])


def test_size_given_by_the_user(tmp_path: Path) -> None:
    """The header contradicts itself; the label map does not."""
    affine = np.diag([-1.5, -1.25, 8, 1.0])
    affine[:3, 3] = (20, 30, -40)
    path = nifti(tmp_path / "p.nii", image(5, 7, 6), affine)
    content = bytearray(path.read_bytes())
    content[80:92] = np.array([1, 1, 1], "<f4").tobytes()
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"pixdim 1 x 1 x 1 mm and sform 1\.5 x 1\.25 x 8 mm"):
        read_series("p", [path])
    series = read_series("p", [path], spacing_mm=(1.4, 1.3, 9))
    assert series.grid.spacing_mm == (9, 1.3, 1.4)
    assert series.warnings == ("Voxel size 1.4 x 1.3 x 9 mm as given, not from the header.",)
    result = round_trip(series, tmp_path)
    expected = np.diag([-1.4, -1.3, 9, 1.0])
    expected[:3, 3] = (20, 30, -40)
    for matrix in (result.get_sform(), result.get_qform()):
        np.testing.assert_allclose(matrix, expected, atol=1e-5)
    np.testing.assert_allclose(result.header.get_zooms(), (1.4, 1.3, 9))


def test_label_map_of_an_image_in_metres_is_in_mm(tmp_path: Path) -> None:
    affine = np.diag([-1.5, -1.25, 8, 1000]) / 1000
    series = read_series("p", [nifti(tmp_path / "p.nii", image(5, 7, 6), affine, "meter")])
    result = round_trip(series, tmp_path)
    np.testing.assert_allclose(result.affine, np.diag([-1.5, -1.25, 8, 1]), atol=1e-5)
    assert result.header.get_xyzt_units()[0] == "mm"


def test_series_with_an_empty_fourth_axis(tmp_path: Path) -> None:
    array = image(3, 1, 5, 7, 6)
    path = nifti(tmp_path / "p.nii.gz", array, np.diag([-1.5, -1.25, 8, 1]))
    series = read_series("p", [path], "4d")
    np.testing.assert_array_equal(series.frames[:, 0], array[:, 0])
    assert round_trip(series, tmp_path).shape == (6, 7, 5, 3)


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
