"""One picture stored in many ways has one print; different pictures have different ones."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nnunet_cardiac.images.content import content_print, find_repeated

WAYS = list(product(permutations(range(3)), product((1, -1), repeat=3)))


def picture(seed: int, shape: tuple[int, ...] = (6, 96, 80)) -> np.ndarray:
    """Structures of some pixels, as of a body, from 0 to about 1000, in whole numbers as scanners store them."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = gaussian_filter(noise, (0.0, 1.5, 1.5)) if len(shape) == 3 else gaussian_filter(noise, 1.5)
    return np.rint(400.0 + 1000.0 * smooth).astype(np.int16)


def stored(volume: np.ndarray, order: tuple[int, ...], signs: tuple[int, ...]) -> np.ndarray:
    return volume.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]


def alike(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(find_repeated({"first": content_print(first), "second": content_print(second)}))


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return picture(0)


@pytest.fixture(scope="module")
def whole(volume: np.ndarray) -> np.ndarray:
    return content_print(volume)


@pytest.mark.parametrize(("order", "signs"), WAYS)
def test_the_48_ways_to_store_a_stack_have_one_print(
    volume: np.ndarray, whole: np.ndarray, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    assert len(whole) > 100
    np.testing.assert_array_equal(content_print(stored(volume, order, signs)), whole)


@pytest.mark.parametrize("kind", [np.int32, np.uint16, np.float32, np.float64, ">i2"])
def test_the_type_of_the_numbers_does_not_matter(volume: np.ndarray, whole: np.ndarray, kind: str | type) -> None:
    shifted = volume - volume.min()
    np.testing.assert_array_equal(content_print(shifted.astype(kind)), whole)


@settings(max_examples=15, deadline=None)
@given(factor=st.floats(0.01, 100.0), offset=st.floats(-1e3, 1e3), power=st.sampled_from([0.5, 1.0, 2.0]))
def test_increasing_intensities_do_not_matter(factor: float, offset: float, power: float) -> None:
    volume = picture(1, (2, 64, 70)).astype(np.float64)
    volume -= volume.min()
    np.testing.assert_array_equal(content_print(factor * volume**power + offset), content_print(volume))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_part_is_found_however_it_is_stored(data: st.DataObject) -> None:
    volume = picture(2)
    first = data.draw(st.integers(0, 4))
    last = data.draw(st.integers(first + 1, 6))
    top, left = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 24))
    part = volume[first:last, top : top + 56, left : left + 56]
    assert alike(volume, stored(part, *data.draw(st.sampled_from(WAYS))))


def test_the_print_of_a_part_is_a_part_of_the_print(volume: np.ndarray, whole: np.ndarray) -> None:
    part = content_print(volume[1:4, 5:85, 3:75])
    assert 0 < len(part) < len(whole)
    assert np.isin(part, whole).all()


def test_rounding_to_eight_bits_takes_points_away_and_adds_none(volume: np.ndarray, whole: np.ndarray) -> None:
    low, high = np.percentile(volume, [1, 99])
    rounded = content_print((255 * np.clip((volume - low) / (high - low), 0, 1)).round().astype(np.uint8))
    assert len(whole) > len(rounded) > 0.3 * len(whole)
    assert np.isin(rounded, whole).all()


def test_padding_and_a_little_noise(volume: np.ndarray) -> None:
    assert alike(volume, np.pad(volume, ((1, 0), (20, 7), (0, 33))))
    assert alike(volume, volume + np.random.default_rng(0).normal(0.0, 5.0, volume.shape))


def test_an_isotropic_volume_and_one_plane_of_it_along_any_axis() -> None:
    volume = picture(3, (44, 46, 48))
    cube = gaussian_filter(np.random.default_rng(3).normal(size=(44, 46, 48)), 1.5)
    assert alike(cube, cube.transpose(2, 0, 1)[::-1])
    for axis in range(3):
        assert alike(cube, cube.take(20, axis))
    assert not alike(cube, volume)


def test_one_frame_of_a_series_is_found_and_other_frames_are_not() -> None:
    series = np.stack([picture(10 + frame) for frame in range(4)])
    assert alike(series[2], picture(12)[:, ::-1].astype(np.float32))
    assert not alike(series[2], series[1])


def test_different_pictures_have_no_pair() -> None:
    prints = {f"p{seed}": content_print(picture(100 + seed, (4, 64, 64))) for seed in range(40)}
    white = np.random.default_rng(5).normal(size=(20, 3, 60, 52))
    prints |= {f"n{i}": content_print(noise) for i, noise in enumerate(white)}
    assert min(map(len, prints.values())) > 50
    assert find_repeated(prints) == []


def test_images_without_points_are_like_nothing() -> None:
    blank = [np.zeros((4, 50, 50)), np.full((4, 50, 50), np.nan), np.ones((3, 5, 5), np.uint8), np.arange(2500.0)]
    blank += [np.add.outer(np.arange(60.0), np.arange(60.0)), np.empty((0, 50, 50))]
    assert [len(content_print(image)) for image in blank] == [0] * len(blank)
    assert find_repeated({str(i): content_print(image) for i, image in enumerate(blank)}) == []
    assert find_repeated({}) == []


def test_pairs_of_one_patient_are_left_out_and_many_copies_stay_connected() -> None:
    copy = content_print(picture(0, (2, 64, 64)))
    prints = {f"c{i:02d}": copy for i in range(40)} | {"other": content_print(picture(77))}
    owners = {name: name if name != "c01" else "c00" for name in prints}
    pairs = {(pair.first, pair.second) for pair in find_repeated(prints, owners)}
    assert ("c00", "c01") not in pairs
    assert {("c00", "c02"), ("c01", "c02"), *((f"c{i:02d}", f"c{i + 1:02d}") for i in range(1, 39))} <= pairs
    assert not any("other" in pair for pair in pairs)
    assert {pair.share for pair in find_repeated(prints)} == {1.0}


def test_large_volumes_keep_a_sample_that_is_compared_where_both_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = picture(4, (12, 120, 120))
    everything = content_print(volume)
    monkeypatch.setattr("nnunet_cardiac.images.content.LARGEST_PRINT", 500)
    sample = content_print(volume)
    np.testing.assert_array_equal(sample, everything[:500])
    part = content_print(volume[3:5, 10:90, 10:90])
    (pair,) = find_repeated({"part": part, "whole": sample})
    assert pair.share == pytest.approx(1.0)


def test_one_constellation_by_hand() -> None:
    """Four points within both reaches of the brightest: one constellation at each of the two scales."""

    def points(*places: tuple[int, int]) -> np.ndarray:
        volume = np.zeros((1, 40, 40))
        for value, place in enumerate(places, start=1):
            volume[0][place] = value
        return volume

    four = points((10, 10), (10, 22), (20, 10), (18, 20))
    number = content_print(four)
    assert len(number) == 2
    np.testing.assert_array_equal(content_print(7.0 * four.transpose(2, 1, 0)), number)
    moved = content_print(points((10, 10), (10, 22), (20, 10), (18, 19)))
    exchanged = content_print(points((10, 22), (10, 10), (20, 10), (18, 20)))
    assert len({*number, *moved, *exchanged}) == 6
    assert len(content_print(points((10, 10), (10, 22), (20, 10)))) == 0
