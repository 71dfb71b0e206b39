"""Canonical storage: the 48 ways to store one body, what is found of them, and the way back."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, inv_ornt_aff
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from nnunet_cardiac.images.image_file import read_image
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, WAYS, Way, canonical_way, directions, slice_axis

#: Axes x, y of planes as scanners store them, with the third to the right-handed side; left, posterior, superior.
PLANES = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "short axis": ((0.77, 0.62, 0.16), (-0.15, 0.41, -0.9)),
    "short axis, field of view turned": ((0.48, 0.86, -0.16), (-0.46, 0.09, -0.88)),
    "four-chamber": ((1, 0, -0.08), (-0.04, 0.87, -0.5)),
}


def frame(x: tuple[float, ...], y: tuple[float, ...]) -> NDArray[np.float64]:
    first = np.array(x) / np.linalg.norm(x)
    second = np.array(y) - first @ np.array(y) * first
    second /= np.linalg.norm(second)
    return np.column_stack([first, second, np.cross(first, second)])


def header(
    direction: NDArray[np.float64],
    size: tuple[int, ...] = (20, 24, 9),
    spacing: tuple[float, ...] = (1.4, 1.4, 8.0),
    oriented: bool = True,
) -> Header:
    return Header(size, spacing, (3.0, -20.0, 7.0), tuple(direction.ravel().tolist()), 1, oriented)


def position(header: Header, index: tuple[int, ...]) -> NDArray[np.float64]:
    step = np.array(header.spacing[:3]) * np.array(index)
    return np.array(header.origin[:3]) + directions(header) @ step


class TestWay:
    def test_there_are_48(self) -> None:
        assert len({way.code for way in WAYS}) == 48

    @pytest.mark.parametrize("way", WAYS, ids=lambda way: way.code)
    def test_a_voxel_keeps_its_value_and_its_place(self, way: Way) -> None:
        before = header(frame(*PLANES["short axis"]), size=(4, 3, 2), spacing=(1.4, 1.3, 8.0))
        voxels = np.arange(24).reshape(2, 3, 4)

        after, moved = way.moved(before), way.apply(voxels)

        assert moved.shape == after.size[::-1]
        placed = {tuple(np.round(position(before, (x, y, z)), 6)): voxels[z, y, x] for z, y, x in np.ndindex(2, 3, 4)}
        for z, y, x in np.ndindex(moved.shape):
            assert placed[tuple(np.round(position(after, (x, y, z)), 6))] == moved[z, y, x]

    @pytest.mark.parametrize("way", WAYS, ids=lambda way: way.code)
    def test_the_way_back_gives_every_voxel_back(self, way: Way) -> None:
        voxels = np.random.default_rng(1).integers(0, 99, (2, 3, 4, 5, 6))  # frames and channels in front

        assert np.array_equal(way.inverse.apply(way.apply(voxels)), voxels)
        assert way.then(way.inverse) == IDENTITY
        assert Way.of(way.code) == way

    @given(st.sampled_from(WAYS), st.sampled_from(WAYS))
    @settings(max_examples=200, deadline=None)
    def test_two_ways_in_one(self, first: Way, second: Way) -> None:
        voxels = np.arange(24).reshape(2, 3, 4)

        assert np.array_equal(first.then(second).apply(voxels), second.apply(first.apply(voxels)))

    def test_text_that_is_no_way_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no way to store"):
            Way.of("+x +x +z")


class TestCanonicalWay:
    @pytest.mark.parametrize("plane", PLANES.values(), ids=PLANES)
    def test_planes_as_scanners_store_them_are_canonical(self, plane: tuple[tuple[float, ...], ...]) -> None:
        assert canonical_way(header(frame(*plane))) == IDENTITY

    @given(
        st.sampled_from(WAYS),
        st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1),
        st.sampled_from([(1.4, 1.4, 8.0), (0.7, 0.9, 1.2), (1.25, 1.25, 1.25)]),
        st.sampled_from([(20, 24, 9), (20, 20, 20), (20, 24, 1), (5, 24, 22)]),
    )
    @settings(max_examples=400, deadline=None)
    def test_any_body_ends_in_one_storage(
        self, way: Way, turn: tuple[float, ...], spacing: tuple[float, ...], size: tuple[int, ...]
    ) -> None:
        """Whatever the oblique plane, voxel size and shape; rounded as NIfTI keeps numbers."""
        stored = header(Rotation.from_quat(turn).as_matrix(), size, spacing)
        other = way.moved(stored)
        rounded = Header(
            other.size,
            other.spacing,
            other.origin,
            tuple(np.float32(other.direction).astype(float).tolist()),
            1,
        )

        one, two = canonical_way(stored).moved(stored), canonical_way(rounded).moved(rounded)

        assert one.size == two.size
        assert one.spacing == two.spacing
        assert np.allclose(one.direction, two.direction, atol=1e-5)
        assert np.allclose(one.origin, two.origin, atol=1e-3)
        assert np.linalg.det(directions(one)) > 0

    @pytest.mark.parametrize("plane", PLANES.values(), ids=PLANES)
    def test_small_turns_do_not_flip_it(self, plane: tuple[tuple[float, ...], ...]) -> None:
        axes = np.random.default_rng(0).normal(size=(60, 3))
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)

        for axis in axes:
            turned = Rotation.from_rotvec(np.radians(13) * axis).as_matrix() @ frame(*plane)
            assert canonical_way(header(turned)) == IDENTITY

    @pytest.mark.parametrize("way", WAYS, ids=lambda way: way.code)
    def test_planes_at_exactly_45_degrees(self, way: Way) -> None:
        """Two ways are equally close; one of them is taken, whichever way the file is stored."""
        x, y, z = frame(*PLANES["short axis"]).T
        for angle in np.radians([45, 135, 40, 50]):
            turned = np.column_stack([np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x, z])
            stored = header(turned)
            other = way.moved(stored)

            found = canonical_way(other).moved(other)

            assert np.allclose(found.direction, canonical_way(stored).moved(stored).direction, atol=1e-9)

    def test_a_second_stack_lies_like_the_first(self) -> None:
        """Fields of view turned by 40 degrees against each other, on both sides of where the choice changes."""
        x, y, z = frame(*PLANES["short axis"]).T
        first, second = (
            header(np.column_stack([np.cos(a) * x + np.sin(a) * y, np.cos(a) * y - np.sin(a) * x, z]))
            for a in np.radians([15, 55])
        )

        assert canonical_way(first) == IDENTITY
        assert canonical_way(second) == Way((1, 0, 2), (True, False, False))
        assert canonical_way(second, like=directions(first)) == IDENTITY

    def test_without_a_direction_nothing_is_moved(self) -> None:
        flipped = frame(*PLANES["axial"]) * [-1, 1, 1]

        assert canonical_way(header(flipped, oriented=False)) == IDENTITY
        assert canonical_way(header(flipped)) == Way((0, 1, 2), (True, False, False))

    def test_a_2d_image_says_nothing_of_the_body(self) -> None:
        flat = Header((20, 24), (1.4, 1.4), (0.0, 0.0), (0.0, 1.0, 1.0, 0.0), 1)

        assert canonical_way(flat) == IDENTITY


class TestSliceAxis:
    @pytest.mark.parametrize(
        ("size", "spacing", "expected"),
        [
            ((256, 216, 10), (1.4, 1.4, 8.0), 2),
            ((10, 256, 216), (8.0, 1.4, 1.4), 0),
            ((256, 10, 216), (1.4, 8.0, 1.4), 1),
            ((256, 216, 1), (1.4, 1.4, 1.0), 2),  # one slice whose thickness nobody knew
            ((1, 256, 216), (1.0, 1.4, 1.4), 0),
            ((88, 576, 576), (0.625, 0.625, 0.625), 0),  # cubic: fewest voxels
            ((576, 576, 88), (0.625, 0.625, 1.25), 2),
        ],
    )
    def test_by_geometry(self, size: tuple[int, ...], spacing: tuple[float, ...], expected: int) -> None:
        assert slice_axis(size, spacing, np.eye(3)) == expected

    def test_cubes_of_as_many_voxels_are_axial(self) -> None:
        assert slice_axis((90, 90, 90), (1, 1, 1), np.eye(3)[:, [2, 0, 1]]) == 0


class TestOriented:
    """Which files say how their axes lie."""

    def test_nifti(self, tmp_path: Path) -> None:
        array, affine = np.zeros((20, 24, 9), np.int16), np.diag([-1.4, -1.4, 8.0, 1.0])
        for name, codes in {"both": (1, 1), "qform": (1, 0), "sform": (0, 1), "none": (0, 0)}.items():
            image = nibabel.Nifti1Image(array, affine)
            image.set_qform(affine, codes[0])
            image.set_sform(affine, codes[1])
            nibabel.save(image, tmp_path / f"{name}.nii.gz")

            assert read_image(tmp_path / f"{name}.nii.gz").header.oriented == any(codes)

    def test_nrrd(self, tmp_path: Path) -> None:
        path = tmp_path / "a.nrrd"
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 24, 20), np.int16)), str(path))
        text = path.read_bytes()

        assert read_image(path, any_size=True).header.oriented
        path.write_bytes(text.replace(b"space: left-posterior-superior", b"space dimension: 3"))
        assert not read_image(path, any_size=True).header.oriented

    def test_meta_image(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mha"
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 24, 20), np.int16)), str(path))

        assert read_image(path, any_size=True).header.oriented
        path.write_bytes(path.read_bytes().replace(b"TransformMatrix", b"SomethingElse00"))
        assert not read_image(path, any_size=True).header.oriented


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.code)
def test_nibabel_stores_the_same_body_in_all_ways(tmp_path: Path, way: Way) -> None:
    """An oracle of its own: nibabel moves the voxels and the affine, this package brings both back."""
    direction = frame(*PLANES["short axis, field of view turned"])
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ direction * [1.4, 1.4, 8.0]
    affine[:3, 3] = [10, -20, 30]
    array = np.random.default_rng(2).integers(0, 500, (20, 24, 9)).astype(np.int16)
    ornt = np.array([[way.axes.index(axis), -1 if way.flips[way.axes.index(axis)] else 1] for axis in range(3)])
    nibabel.save(
        nibabel.Nifti1Image(apply_orientation(array, ornt), affine @ inv_ornt_aff(ornt, array.shape)),
        tmp_path / "stored.nii.gz",
    )

    image = read_image(tmp_path / "stored.nii.gz")
    back = canonical_way(image.header)

    assert np.array_equal(back.apply(image.voxels), array.T)
    assert np.allclose(directions(back.moved(image.header)), direction, atol=1e-5)
    assert np.allclose(back.moved(image.header).origin, [-10, 20, 30], atol=1e-4)
