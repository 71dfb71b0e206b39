"""NIfTI headers: matrices against pixdim, units, dimensions, scaling, and files that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.image_file import check_complete, read_image, read_voxels

Write = Callable[..., Path]
NAN, INF = float("nan"), float("inf")


def pixdim(x: float, y: float, z: float, t: float = 1.0) -> np.ndarray:
    return np.array([1, x, y, z, t, 1, 1, 1], "<f4")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pixdim": pixdim(1, 1, 1)}, ("pixdim 1 x 1 x 1 mm", "sform 1.5 x 1.25 x 8 mm", "--spacing 1.5 1.25 8")),
        ({"pixdim": pixdim(1, 1, 1), "qform_code": 0}, ("pixdim 1 x 1 x 1 mm", "sform 1.5 x 1.25 x 8 mm")),
        ({"pixdim": pixdim(1, 1, 1), "qform_code": 0, "sform_code": 0}, ("pixdim 1 x 1 x 1 mm", "1.5 x 1.25 x 8 mm")),
        ({"pixdim": pixdim(1.5, 1.25, 10)}, ("1.5 x 1.25 x 10 mm", "1.5 x 1.25 x 8 mm", "--spacing 1.5 1.25 10 if")),
        ({"srow_x": [-1, 0, 0, 0], "srow_y": [0, -1, 0, 0], "srow_z": [0, 0, 1, 0]}, ("1.5 x 1.25 x 8", "1 x 1 x 1")),
        ({"srow_z": [0, 0, 0, 0]}, ("pixdim 1.5 x 1.25 x 8 mm", "sform 1.5 x 1.25 x 0 mm", "--spacing 1.5 1.25 8")),
        ({"srow_z": [0, 0, NAN, 0]}, ("pixdim 1.5 x 1.25 x 8 mm", "nan")),
        ({"pixdim": pixdim(1.5, 1.25, 0)}, ("pixdim 1.5 x 1.25 x 0 mm",)),
        ({"pixdim": pixdim(1.5, 1.25, NAN)}, ("pixdim 1.5 x 1.25 x nan mm",)),
        ({"pixdim": pixdim(1.5, 1.25, INF)}, ("pixdim 1.5 x 1.25 x inf mm",)),
    ],
)
def test_sizes_that_contradict_are_both_shown(nifti: Write, array: np.ndarray, fields: Any, words: Any) -> None:
    with pytest.raises(UserError) as caught:
        read_image(nifti(array, **fields))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("z", [0, NAN, INF, 1e30])
def test_pixdim_alone_has_to_be_a_distance(nifti: Write, array: np.ndarray, z: float) -> None:
    zeros = {f"srow_{axis}": [0, 0, 0, 0] for axis in "xyz"}
    path = nifti(array, pixdim=pixdim(1.5, 1.25, z), sform_code=0, qform_code=0, **zeros)
    with pytest.raises(UserError, match=r"p\.nii\.gz: .*(expected sizes above 0|apart; expected 0\.2 to 20 mm)"):
        read_image(path)


def test_no_matrix(nifti: Write, array: np.ndarray) -> None:
    zeros = {f"srow_{axis}": [0, 0, 0, 0] for axis in "xyz"}
    path = nifti(array, sform_code=0, qform_code=0, **zeros)
    assert read_image(path).header.spacing == (1.5, 1.25, 8)
    path = nifti(array, sform_code=0, qform_code=0, pixdim=pixdim(1, 1, 1), **zeros)
    with pytest.raises(UserError, match="gives no voxel size"):
        read_image(path)
    assert read_image(path, (1.5, 1.25, 8)).header.spacing == (1.5, 1.25, 8)


def test_rounding_is_no_contradiction(nifti: Write, array: np.ndarray) -> None:
    """Sizes of two digits beside a matrix of many: pixdim counts, as for ITK."""
    found = read_image(nifti(array, pixdim=pixdim(1.5, 1.2531, 8)))
    assert found.header.spacing == pytest.approx((1.5, 1.2531, 8))


def test_a_matrix_of_1_mm_is_trusted_by_archives_only(nifti: Write, array: np.ndarray) -> None:
    path = nifti(array, "p.nii", np.diag([-1.0, -1, 1, 1]), pixdim=pixdim(1.5, 1.25, 8), qform_code=0, sform_code=2)
    assert read_image(path, unit_matrix=True).header.spacing == (1.5, 1.25, 8)
    with pytest.raises(UserError, match=r"pixdim 1\.5 x 1\.25 x 8 mm and sform 1 x 1 x 1 mm"):
        read_image(path)
    path = nifti(array, "q.nii", np.diag([-2.0, -2, 9, 1]), pixdim=pixdim(1.5, 1.25, 8), qform_code=0)
    with pytest.raises(UserError, match=r"sform 2 x 2 x 9 mm"):
        read_image(path, unit_matrix=True)


def test_a_given_size_keeps_directions_and_origin(nifti: Write, array: np.ndarray) -> None:
    """Axes (0.8, 0.6, 0), (-0.6, 0.8, 0) and (0, 0, 1), first voxel at (5, 6, 7), in NIfTI's coordinates."""
    affine = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]])
    found = read_image(nifti(array, affine=affine, pixdim=pixdim(1.5, 1.5, 0)), (1.4, 1.3, 9))
    assert found.header.spacing == (1.4, 1.3, 9)
    assert found.header.origin == pytest.approx((-5, -6, 7))
    np.testing.assert_allclose(np.reshape(found.header.direction, (3, 3)), [[-0.8, 0.6, 0], [-0.6, -0.8, 0], [0, 0, 1]])
    assert found.nifti is None
    assert found.repairs == ("voxel size 1.4 x 1.3 x 9 mm as given, not from the header",)


@pytest.mark.parametrize(("code", "factor"), [(1, 1000.0), (3, 0.001), (0, 1.0), (2, 1.0)])
def test_units_of_length(nifti: Write, array: np.ndarray, code: int, factor: float) -> None:
    affine = np.diag([-1.5, -1.25, 8, 1.0])
    affine[:3, 3] = (20, 30, -40)
    affine[:3] /= factor
    found = read_image(nifti(array, affine=affine, xyzt_units=code + 16))
    assert found.header.spacing == pytest.approx((1.5, 1.25, 8))
    assert found.header.origin == pytest.approx((-20, -30, -40))
    assert (found.nifti is None) == (factor != 1)


def test_units_that_nobody_knows_or_that_are_wrong(nifti: Write, array: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"unit of the voxel size is number 5 \(xyzt_units\); expected mm"):
        read_image(nifti(array, xyzt_units=5))
    with pytest.raises(UserError, match=r"pixels of 1500 x 1250 mm"):
        read_image(nifti(array, xyzt_units=1))


@pytest.mark.parametrize(
    ("dim", "message"),
    [
        ([3, 5, 6, 0, 1, 1, 1, 1], r"header has dim \[3, 5, 6, 0,"),
        ([3, 5, -6, 4, 1, 1, 1, 1], "header has dim"),
        ([0, 5, 6, 4, 1, 1, 1, 1], "header has dim"),
        ([8, 5, 6, 4, 1, 1, 1, 1], "header has dim"),
        ([-3, 5, 6, 4, 1, 1, 1, 1], "header has dim"),
        ([1, 120, 1, 1, 1, 1, 1, 1], "has 1 dimensions"),
        ([5, 5, 6, 4, 2, 2, 1, 1], "has 5 dimensions, 5 x 6 x 4 x 2 x 2"),
        ([3, 5, 6, 17, 1, 1, 1, 1], "truncated"),
        ([3, 5, 6, 3, 1, 1, 1, 1], "more bytes than"),
        ([2, 5, 6, 1, 1, 1, 1, 1], "more bytes than"),
        ([4, 32, 32, 32767, 32767, 1, 1, 1], "truncated|together"),
        ([4, 32767, 32767, 32767, 32767, 1, 1, 1], "truncated|wide|together"),
    ],
)
@pytest.mark.parametrize("name", ["p.nii", "p.nii.gz"])
def test_dimensions(nifti: Write, array: np.ndarray, name: str, dim: list[int], message: str) -> None:
    """The file holds 5 x 6 x 16 voxels."""
    path = nifti(np.tile(array, (4, 1, 1)), name, dim=dim)
    for read in (read_image, read_voxels, check_complete):
        with pytest.raises(UserError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 1, 4, 6, 5), (3, 4, 6, 5)),  # x, y, z, 1, t
        ((1, 3, 4, 6, 5), (3, 4, 6, 5)),
        ((3, 1, 6, 5), (3, 1, 6, 5)),
        ((1, 4, 6, 5), (4, 6, 5)),
        ((1, 6, 5), (1, 6, 5)),
        ((6, 5), (6, 5)),
    ],
)
def test_axes_of_length_1(nifti: Write, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    array = np.arange(1, np.prod(shape) + 1).reshape(shape).astype(np.int16)
    kind = pixdim(1.5, 1.25, 8)
    kind[4:6] = (40, 1) if shape[:1] == (1,) else (1, 40)
    found = read_image(nifti(array, pixdim=kind))
    np.testing.assert_array_equal(found.voxels, array.reshape(expected))
    assert found.header.size == expected[::-1]
    if expected == (3, 4, 6, 5):
        assert found.header.spacing == (1.5, 1.25, 8, 40)
        assert found.nifti["pixdim"][4] == 40


def test_components_are_no_frames(nifti: Write) -> None:
    array = np.ones((3, 1, 4, 6, 5), np.int16)
    with pytest.raises(UserError, match="has 3 values a voxel"):
        read_image(nifti(array, intent_code=1007))


@pytest.mark.parametrize(
    ("dtype", "words"), [(np.complex64, "complex"), (np.complex128, "complex"), ([(c, "u1") for c in "RGB"], "RGB")]
)
def test_voxels_that_are_no_grey_values(tmp_path: Path, dtype: Any, words: str) -> None:
    path = tmp_path / "p.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 6, 4), dtype), np.diag([-1.5, -1.5, 8, 1])), path)
    with pytest.raises(UserError, match=rf"p\.nii: its voxels are .*{words}"):
        read_image(path)


@pytest.mark.parametrize("fields", [{"scl_slope": NAN}, {"scl_slope": INF}, {"scl_slope": 2, "scl_inter": NAN}])
def test_scaling_that_is_not_finite(nifti: Write, array: np.ndarray, fields: Any) -> None:
    with pytest.raises(UserError, match=r"scl_slope, scl_inter\); expected finite"):
        read_image(nifti(array, **fields))


def test_scaling(nifti: Write, array: np.ndarray) -> None:
    assert read_image(nifti(array, scl_slope=0, scl_inter=7)).voxels.dtype == np.int16
    found = read_image(nifti(array, scl_slope=0.5, scl_inter=-2)).voxels
    np.testing.assert_array_equal(found, array / 2 - 2)
    assert found.dtype == np.float32


@pytest.mark.parametrize("offset", [100, 352.5, NAN, -352, 1e30, 400])
@pytest.mark.parametrize("name", ["p.nii", "p.nii.gz"])
def test_begin_of_the_voxels(nifti: Write, array: np.ndarray, name: str, offset: float) -> None:
    np.testing.assert_array_equal(read_voxels(nifti(array, name, vox_offset=0)), array)
    with pytest.raises(UserError, match=r"voxels begin at byte|truncated"):
        read_voxels(nifti(array, name, vox_offset=offset))


def test_extensions_lie_before_the_voxels(tmp_path: Path, array: np.ndarray) -> None:
    image = nibabel.Nifti1Image(array.T, np.diag([-1.5, -1.25, 8, 1]))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"some words" * 20))
    nibabel.save(image, tmp_path / "p.nii.gz")
    np.testing.assert_array_equal(read_voxels(tmp_path / "p.nii.gz"), array)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_versions_and_byte_orders(tmp_path: Path, array: np.ndarray, kind: Any, order: str) -> None:
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.dtype("i2").newbyteorder(order))
    nibabel.save(kind(array.T, np.diag([-1.5, -1.25, 8, 1]), header), tmp_path / "p.nii")
    found = read_image(tmp_path / "p.nii")
    np.testing.assert_array_equal(found.voxels, array)
    assert found.voxels.dtype == np.dtype("=i2")
    assert found.header.spacing == (1.5, 1.25, 8)


def test_negative_sizes_are_distances(nifti: Write, array: np.ndarray) -> None:
    found = read_image(nifti(array, pixdim=pixdim(-1.5, 1.25, -8)))
    assert found.header.spacing == (1.5, 1.25, 8)
    assert found.nifti["pixdim"][1:4].tolist() == [1.5, 1.25, 8]


def test_a_slice_that_is_oblique_in_space(nifti: Write, array: np.ndarray) -> None:
    affine = np.array([[1.2, 0, -4.8, 5], [0, 1.25, 0, 6], [0.9, 0, 6.4, 7], [0, 0, 0, 1.0]])
    found = read_image(nifti(array[0], affine=affine))
    assert found.header.spacing == (1.5, 1.25)
    assert found.header.direction == (1, 0, 0, 1)
    assert found.repairs == ()


@pytest.mark.parametrize("fields", [{"magic": b"ni1"}, {"magic": b""}, {"sizeof_hdr": 0}, {"sform_code": -1}])
def test_headers_that_are_none(nifti: Write, array: np.ndarray, fields: Any) -> None:
    with pytest.raises(UserError, match=r"p\.nii\.gz: "):
        read_image(nifti(array, **fields))


@pytest.mark.parametrize("fields", [{"srow_x": [-1.5, 0, 0, NAN]}, {"srow_x": [-1.5, 0, 0, 1e9]}])
def test_position_that_is_none(nifti: Write, array: np.ndarray, fields: Any) -> None:
    with pytest.raises(UserError, match="the first voxel is at"):
        read_image(nifti(array, **fields))
