"""NRRD headers: axes by kind, units, voxels elsewhere."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.image_file import check_complete, read_image

Write = Callable[..., Path]
LPS = "space: left-posterior-superior"
STACK = "space directions: (1.5,0,0) (0,1.25,0) (0,0,8)"


def test_plain_stack(nrrd: Write, array: np.ndarray) -> None:
    path = nrrd(array, LPS, STACK, "space origin: (-20,-30,40)")
    found, oracle = read_image(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(found.voxels, array)
    assert found.header.spacing == oracle.GetSpacing() == (1.5, 1.25, 8)
    assert found.header.origin == oracle.GetOrigin() == (-20, -30, 40)
    assert found.header.direction == oracle.GetDirection()


@pytest.mark.parametrize(
    ("space", "signs"),
    [("right-anterior-superior", (-1, -1, 1)), ("RAS", (-1, -1, 1)), ("left-anterior-superior", (1, -1, 1))],
)
def test_spaces_of_other_orientation(nrrd: Write, array: np.ndarray, space: str, signs: tuple[int, ...]) -> None:
    path = nrrd(array, f"space: {space}", STACK, "space origin: (20,30,40)")
    found, oracle = read_image(path).header, sitk.ReadImage(str(path))
    assert found.origin == oracle.GetOrigin() == tuple(np.multiply(signs, (20, 30, 40)))
    assert found.direction == oracle.GetDirection() == tuple(np.diag(signs).ravel())


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("space dimension: 3",), "gives no voxel size"),
        ((), "gives no voxel size"),
        (("thicknesses: 1 1 8",), "gives no voxel size"),
        (("spacings: 1.5 1.25 0",), "expected sizes above 0"),
        (("spacings: 1.5 1.25 nan",), "expected sizes above 0"),
        (("spacings: 1.5 1.25",), "expected 3 numbers"),
        (("spacings: 1.5 1.25 eight",), "expected numbers"),
        (("spacings: 1 1 1",), "exactly 1 mm along all axes"),
        ((LPS, STACK, "spacings: 1.5 1.25 10"), "two voxel sizes, space directions 1.5 x 1.25 x 8 mm and spacings"),
        ((LPS, STACK, 'space units: "pixel" "pixel" "pixel"'), "unit of the voxel size is 'pixel'"),
        ((LPS, STACK, 'space units: "m" "m" "m"'), "pixels of 1500 x 1250 mm"),
        ((LPS, "space directions: (1.5,0,0) (0,1.25,0) (0,0,0)"), "expected sizes above 0"),
        ((LPS, "space directions: (1.5,0,0) (0,1.25,0)"), "expected one vector"),
        ((LPS, "space directions: (1.5,0,0) (0.75,1.25,0) (0,0,8)"), "degrees away from right angles"),
        ((LPS, STACK, "space origin: (1,2)"), "expected 3 numbers"),
    ],
)
def test_sizes_that_are_none(nrrd: Write, array: np.ndarray, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_image(nrrd(array, *lines))


@pytest.mark.parametrize(
    ("unit", "factor"), [("m", 1000), ("cm", 10), ("um", 0.001), ("\u00b5m", 0.001), ("mm", 1), ("", 1)]
)
def test_units(nrrd: Write, array: np.ndarray, unit: str, factor: float) -> None:
    x, y, z, origin = (value / factor for value in (1.5, 1.25, 8, 20))
    vectors = f"space directions: ({x},0,0) (0,{y},0) (0,0,{z})"
    units = f'space units: "{unit}" "{unit}" "{unit}"'
    found = read_image(nrrd(array, LPS, vectors, units, f"space origin: ({origin},0,0)")).header
    assert found.spacing == pytest.approx((1.5, 1.25, 8))
    assert found.origin == pytest.approx((20, 0, 0))
    found = read_image(nrrd(array, f"spacings: {x} {y} {z}", f'units: "{unit}" "{unit}" "{unit}"')).header
    assert found.spacing == pytest.approx((1.5, 1.25, 8))


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", ["list", "time"])
def test_frames_along_any_axis(nrrd: Write, cine: np.ndarray, place: int, kind: str) -> None:
    """`place` is where the header lists the axis of the frames; its first axis is the last of the array."""
    kinds, vectors = ["domain"] * 3, ["(1.5,0,0)", "(0,1.25,0)", "(0,0,8)"]
    kinds.insert(place, kind)
    vectors.insert(place, "none")
    stored = np.moveaxis(cine, 0, 3 - place)
    path = nrrd(stored, LPS, f"space directions: {' '.join(vectors)}", f"kinds: {' '.join(kinds)}")
    found = read_image(path)
    np.testing.assert_array_equal(found.voxels, cine)
    assert found.header.size == (5, 6, 4, 3)
    assert found.header.spacing == (1.5, 1.25, 8, 1)


def test_four_axes_of_space_are_a_series_as_itk_writes_it(tmp_path: Path, cine: np.ndarray) -> None:
    image = sitk.GetImageFromArray(cine, isVector=False)
    image.SetSpacing((1.5, 1.25, 8, 40))
    sitk.WriteImage(image, str(tmp_path / "p.nrrd"), True)
    found = read_image(tmp_path / "p.nrrd")
    np.testing.assert_array_equal(found.voxels, cine)
    assert found.header.spacing == (1.5, 1.25, 8, 40)


def test_time_among_four_directions(nrrd: Write, cine: np.ndarray) -> None:
    """The unit of time is no unit of length."""
    path = nrrd(
        cine,
        "space: right-anterior-superior-time",
        "space directions: (0.15,0,0,0) (0,0.125,0,0) (0,0,0.8,0) (0,0,0,40)",
        "space origin: (2,3,4,0)",
        'space units: "cm" "cm" "cm" "ms"',
        "kinds: domain domain domain time",
    )
    found = read_image(path)
    np.testing.assert_array_equal(found.voxels, cine)
    assert found.header.spacing == pytest.approx((1.5, 1.25, 8, 40))
    assert found.header.origin == pytest.approx((-20, -30, 40, 0))
    assert found.header.direction == pytest.approx(np.diag([-1, -1, 1, 1]).ravel())


def test_frames_of_one_axis_without_a_kind(nrrd: Write, cine: np.ndarray) -> None:
    found = read_image(nrrd(cine, LPS, "space directions: (1.5,0,0) (0,1.25,0) (0,0,8) none"))
    np.testing.assert_array_equal(found.voxels, cine)
    first = nrrd(np.moveaxis(cine, 0, -1), LPS, "space directions: none (1.5,0,0) (0,1.25,0) (0,0,8)")
    with pytest.raises(UserError, match="has 3 values a voxel"):
        read_image(first)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("kinds: vector domain domain domain",), "has 3 values a voxel"),
        (("kinds: RGB-color domain domain domain",), "has 3 values a voxel"),
        (("kinds: list domain domain domain", "modality:=DWMRI"), "are a diffusion series, not frames"),
        (("kinds: list domain domain domain", "Segment0_ID:=one"), "are layers of a segmentation, not frames"),
        (("kinds: list domain domain",), "expected 4 words"),
    ],
)
def test_axes_that_are_no_frames(nrrd: Write, cine: np.ndarray, lines: tuple[str, ...], message: str) -> None:
    path = nrrd(np.moveaxis(cine, 0, -1), LPS, "space directions: none (1.5,0,0) (0,1.25,0) (0,0,8)", *lines)
    with pytest.raises(UserError, match=message):
        read_image(path)


def test_too_many_axes(nrrd: Write, cine: np.ndarray) -> None:
    with pytest.raises(UserError, match="has 5 dimensions"):
        read_image(nrrd(np.stack([cine, cine]), "kinds: domain domain domain time list", "spacings: 1.5 1.25 8 1 1"))


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("raw", bytes),
        ("gzip", gzip.compress),
        ("bzip2", bz2.compress),
        ("hex", lambda content: content.hex().encode()),
        ("ascii", lambda content: " ".join(map(str, np.frombuffer(content, "<i2"))).encode()),
    ],
)
@pytest.mark.parametrize("detached", [False, True])
def test_encodings(nrrd: Write, array: np.ndarray, encoding: str, pack: Callable, detached: bool) -> None:
    data = ("data file: p.raw",) if detached else ()
    path = nrrd(array[:0], f"encoding: {encoding}", LPS, STACK, *data)
    path.write_bytes(path.read_bytes().replace(b"sizes: 5 6 0", b"sizes: 5 6 4"))
    header, packed = path.read_bytes(), pack(array.astype("<i2").tobytes())
    place = path.with_name("p.raw") if detached else path
    place.write_bytes(packed if detached else header + packed)
    check_complete(path)
    np.testing.assert_array_equal(read_image(path).voxels, array)
    place.write_bytes(packed[:-8] if detached else header + packed[:-8])
    with pytest.raises(UserError, match="truncated"):
        check_complete(path)


def test_voxels_in_several_files(nrrd: Write, array: np.ndarray) -> None:
    for number, plane in enumerate(array, start=1):
        (nrrd(array).parent / f"slice{number:02d}.raw").write_bytes(plane.astype("<i2").tobytes())
    pattern = nrrd(array[:0], LPS, STACK, "data file: slice%02d.raw 1 4 1")
    names = "\n".join(f"slice{number:02d}.raw" for number in range(1, 5))
    listed = nrrd(array[:0], LPS, STACK, f"data file: LIST\n{names}", name="q.nrrd")
    for path in (pattern, listed):
        path.write_bytes(path.read_bytes().replace(b"sizes: 5 6 0", b"sizes: 5 6 4"))
        np.testing.assert_array_equal(read_image(path).voxels, array)
    (pattern.parent / "slice03.raw").unlink()
    with pytest.raises(UserError, match=r"p\.nrrd: its voxels are in slice03\.raw, which is not there"):
        read_image(pattern)


def test_bytes_and_lines_before_the_voxels(nrrd: Write, array: np.ndarray) -> None:
    content = array.astype("<i2").tobytes()
    for skip, before in (("byte skip: 3", b"abc"), ("line skip: 2", b"a\nb\n"), ("byte skip: -1", b"any number")):
        path = nrrd(array[:0], LPS, STACK, skip)
        path.write_bytes(path.read_bytes().replace(b"sizes: 5 6 0", b"sizes: 5 6 4") + before + content)
        np.testing.assert_array_equal(read_image(path).voxels, array)


@pytest.mark.parametrize("missing", ["type", "dimension", "sizes", "encoding", "endian"])
def test_fields_that_are_missing(nrrd: Write, array: np.ndarray, missing: str) -> None:
    path = nrrd(array, LPS, STACK)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(line for line in lines if not line.startswith(missing.encode())))
    with pytest.raises(UserError, match=missing):
        read_image(path)
