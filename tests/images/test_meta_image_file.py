"""MetaImage headers: distance and size of an element, units, places of the voxels."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.image_file import check_complete, read_image

Write = Callable[..., Path]
SIZES = {"ElementSpacing": "1.5 1.25 8"}


def test_oblique_stack(meta: Write, array: np.ndarray) -> None:
    path = meta(array, **SIZES, Offset="1 2 3", TransformMatrix="0.8 0.6 0 -0.6 0.8 0 0 0 1")
    found, oracle = read_image(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(found.voxels, array)
    assert found.header.spacing == oracle.GetSpacing() == (1.5, 1.25, 8)
    assert found.header.origin == oracle.GetOrigin() == (1, 2, 3)
    assert found.header.direction == pytest.approx(oracle.GetDirection())
    assert found.header.direction == pytest.approx((0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "gives no voxel size"),
        ({"ElementSize": "1.5 1.25 8"}, "gives no voxel size"),
        ({"ElementSpacing": "1.5 1.25 0"}, "expected sizes above 0"),
        ({"ElementSpacing": "1.5 1.25"}, "expected 3 numbers"),
        ({"ElementSpacing": "1,5 1,25 8"}, "expected 3 numbers"),
        ({"ElementSpacing": "1 1 1"}, "exactly 1 mm"),
        (SIZES | {"DistanceUnits": "furlong"}, "unit of the voxel size is 'furlong'"),
        (SIZES | {"NDims": "7"}, "has 7 dimensions"),
        (SIZES | {"DimSize": "5 6 0"}, "expected sizes from 1"),
        (SIZES | {"DimSize": "5 6 99999999999999999999"}, "truncated|together"),
        (SIZES | {"ElementNumberOfChannels": "3", "DimSize": "5 2 4"}, "has 3 values a voxel"),
        (SIZES | {"ElementType": "MET_STRING"}, "ElementType is MET_STRING"),
        (SIZES | {"TransformMatrix": "1 0 0 0 1 0"}, "expected 9 numbers"),
        (SIZES | {"TransformMatrix": "1 0 0 0.5 1 0 0 0 1"}, "degrees away from right angles"),
        (SIZES | {"ElementToIntensityFunctionSlope": "nan"}, "expected finite"),
    ],
)
def test_headers_that_are_wrong(meta: Write, array: np.ndarray, fields: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_image(meta(array, **fields))


@pytest.mark.parametrize(("unit", "factor"), [("cm", 10), ("mm", 1), ("um", 0.001), ("?", 1)])
def test_units(meta: Write, array: np.ndarray, unit: str, factor: float) -> None:
    sizes = " ".join(str(size / factor) for size in (1.5, 1.25, 8))
    found = read_image(meta(array, ElementSpacing=sizes, Offset=f"{20 / factor} 0 0", DistanceUnits=unit)).header
    assert found.spacing == pytest.approx((1.5, 1.25, 8))
    assert found.origin == pytest.approx((20, 0, 0))


def test_series_and_scaling(meta: Write, cine: np.ndarray) -> None:
    found = read_image(
        meta(
            cine,
            ElementSpacing="1.5 1.25 8 40",
            ElementToIntensityFunctionSlope="2",
            ElementToIntensityFunctionOffset="1",
        )
    )
    np.testing.assert_array_equal(found.voxels, 2 * cine + 1)
    assert found.header.spacing == (1.5, 1.25, 8, 40)


def test_big_endian_and_text(meta: Write, array: np.ndarray) -> None:
    path = meta(array.byteswap(), **SIZES, BinaryDataByteOrderMSB="True")
    np.testing.assert_array_equal(read_image(path).voxels, array)
    path = meta(array[:0], **SIZES, BinaryData="False", DimSize="5 6 4")
    text = " ".join(map(str, array.ravel())).encode()
    path.write_bytes(path.read_bytes() + text)
    np.testing.assert_array_equal(read_image(path).voxels, array)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="numbers; expected 120"):
        check_complete(path)


def test_voxels_in_other_files(meta: Write, array: np.ndarray) -> None:
    path = meta(array[:0], "p.mhd", **SIZES, DimSize="5 6 4")
    header = path.read_bytes()
    for number, plane in enumerate(array):
        (path.parent / f"s{number}.raw").write_bytes(plane.astype("<i2").tobytes())
    for last in (b"LIST\ns0.raw\ns1.raw\ns2.raw\ns3.raw", b"s%d.raw 0 3 1"):
        path.write_bytes(header.replace(b"LOCAL", last))
        np.testing.assert_array_equal(read_image(path).voxels, array)
    (path.parent / "whole.raw").write_bytes(b"header" + array.astype("<i2").tobytes())
    for skip in (b"6", b"-1"):
        path.write_bytes(b"HeaderSize = " + skip + b"\n" + header.replace(b"LOCAL", b"whole.raw"))
        np.testing.assert_array_equal(read_image(path).voxels, array)
    path.write_bytes(header.replace(b"LOCAL", b"elsewhere.raw"))
    with pytest.raises(UserError, match=r"p\.mhd: its voxels are in elsewhere\.raw, which is not there"):
        read_image(path)


def test_damage_in_compressed_voxels(meta: Write, array: np.ndarray) -> None:
    path = meta(array[:0], **SIZES, DimSize="5 6 4", CompressedData="True")
    packed, header = bytearray(zlib.compress(array.astype("<i2").tobytes())), path.read_bytes()
    path.write_bytes(header + packed)
    np.testing.assert_array_equal(read_image(path).voxels, array)
    packed[-1] ^= 1  # in the sum over the content
    path.write_bytes(header + packed)
    with pytest.raises(UserError, match="damaged"):
        check_complete(path)
