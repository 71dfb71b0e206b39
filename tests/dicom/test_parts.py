"""Images that are one stack are joined, whatever tells them apart; measurements that are two stay apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnunet_cardiac.dicom.headers import DicomImage
from nnunet_cardiac.dicom.parts import find_parts
from nnunet_cardiac.dicom.stacks import NotAStackError, build_stack

from .conftest import NORMAL


def sizes(images: list[DicomImage]) -> list[int]:
    return sorted(len(part) for part in find_parts(images))


def by_slice(first: Any, second: Any) -> Callable[[int, int], Any]:
    """A value for the lower three slices and one for the others."""
    return lambda z, t: first if z < 3 else second


@pytest.mark.parametrize(
    "changes",
    [
        {"series_number": by_slice(5, 6)},
        {"series_number": lambda z, t: 10 + z},
        {"series_number": lambda z, t: 10 + t},
        {"acquisition_number": lambda z, t: z},
        {"acquisition_number": lambda z, t: t},
        {"acquisition_number": lambda z, t: 6 * z + t},
        {"echo": by_slice("1", ""), "echo_ms": by_slice(1.2, 1.25)},
        {"image_type": by_slice(("ORIGINAL", "PRIMARY", "M"), ("ORIGINAL", "PRIMARY", "M", "NORM"))},
        {"flip_degrees": by_slice(60.0, 52.0)},
        {"pixel_mm": by_slice((1.5, 1.5), (1.501, 1.501))},
        {"orientation": by_slice((0.8, 0.6, 0.0, -0.36, 0.48, -0.8), (0.7999, 0.6001, 0.0, -0.36, 0.48, -0.8))},
        {"description": by_slice("one", "other")},
        {"flip_degrees": lambda z, t: 50.0 + t},
        {"series_number": lambda z, t: 10 + z, "time_ms": None, "temporal_index": lambda z, t: t},
    ],
)
def test_one_stack_whatever_tells_its_images_apart(scan: Any, changes: dict[str, Any]) -> None:
    images = scan.stack(**changes)
    (part,) = find_parts(images[::-1])
    stack = build_stack(part)
    found = [[image.instance for image in row if image is not None] for row in stack.images]
    assert found == [[100 * z + t + 1 for z in range(6)] for t in range(4)]


@pytest.mark.parametrize(
    "changes",
    [
        {"component": "phase"},
        {"purpose": "tagging"},
        {"sequence": ("fl2d5_tag", "GR", "SP")},
        {"acquisition_number": 2},
        {"series_number": 9},
        {"study": "9.9"},
        {"echo": "2", "echo_ms": 4.8},
        {"image_type": ("DERIVED", "PRIMARY", "M", "NORM")},
        {"acquisition_number": 2, "time_ms": lambda z, t: 41.3 * t},
        {"flip_degrees": 20.0, "series_number": 9, "time_ms": lambda z, t: 41.3 * t + 3},
    ],
)
def test_two_measurements_stay_apart(scan: Any, changes: dict[str, Any]) -> None:
    assert sizes(scan.stack() + scan.stack(**changes)) == [24, 24]


def test_end_diastole_and_end_systole_in_series_of_their_own_are_no_cine(scan: Any) -> None:
    images = scan.stack(frames=1) + scan.stack(frames=1, series_number=6, time_ms=300.0)
    assert sizes(images) == [6, 6]


@pytest.mark.parametrize(
    "images",
    [
        lambda scan: scan.stack(frames=range(12)) + scan.stack(frames=range(12, 25), series_number=6),
        lambda scan: scan.stack(frames=range(12)) + scan.stack(frames=range(12, 24), acquisition_number=2),
        lambda scan: scan.stack(image_type=lambda z, t: ("ORIGINAL", "PRIMARY", "M", "NORM" if t % 2 else "ND")),
    ],
)
def test_what_may_be_one_cycle_or_two_is_refused(scan: Any, images: Callable[[Any], list[DicomImage]]) -> None:
    (part,) = find_parts(images(scan))
    with pytest.raises(NotAStackError, match="nothing tells whether they are one cycle"):
        build_stack(part)


def test_one_frame_in_a_series_of_its_own_fills_its_gap(scan: Any) -> None:
    images = scan.stack(frames=[0, 1, 3, 4, 5]) + scan.stack(frames=[2], series_number=6)
    assert sizes(images) == [36]
    assert sizes(scan.stack(frames=5) + scan.stack(frames=1, series_number=6, time_ms=100.0)) == [6, 30]
    assert sizes(scan.stack(frames=5) + scan.stack(frames=1, series_number=6, time_ms=600.0)) == [6, 30]


@pytest.mark.parametrize("shift", [3.0, 15.0])
def test_mixed_measurements_are_refused(scan: Any, shift: float) -> None:
    images = scan.stack(frames=8) + scan.stack(frames=8, time_ms=lambda z, t: 40.0 * t + shift)
    with pytest.raises(NotAStackError, match="uneven"):
        build_stack(images)


def test_breath_holds_apart(scan: Any) -> None:
    images = scan.stack(time_ms=None, acquired_s=lambda z, t: 36000.0 + 20 * (t > 1))
    with pytest.raises(NotAStackError, match="20 s apart"):
        build_stack(images)


def test_positions_rounded_to_millimetres(scan: Any) -> None:
    normal = np.array(NORMAL)
    images = scan.stack(position=lambda z, t: tuple(np.rint(8.0 * z * normal).tolist()))
    assert build_stack(images).slice_mm == pytest.approx(8.0, abs=0.25)


@pytest.mark.parametrize(
    ("places", "parts"), [([0, 1, 2, 2.3, 3, 4], [4, 20]), ([0, 1, 2, 4], [16]), ([0, 1, 2, 3, 6.4], [4, 16])]
)
@pytest.mark.parametrize("series", [lambda z, t: 10 + round(10 * z), lambda z, t: 5 if z == round(z) else 6])
def test_a_slice_that_is_none_of_the_stack(scan: Any, places: list[float], parts: list[int], series: Any) -> None:
    assert sizes(scan.stack(slices=places, series_number=series)) == parts


def test_a_redone_slice_replaces_the_first(scan: Any) -> None:
    again = scan.stack(slices=[3], series_number=9)
    (part,) = find_parts(scan.stack() + again)
    stack = build_stack(part)
    assert stack.warnings[1] == "slice 4 was acquired 2 times; the last is used"
    assert [row[3] for row in stack.images] == again


def test_redone_slices_of_another_number_of_frames_are_no_part(scan: Any) -> None:
    assert sizes(scan.stack() + scan.stack(slices=[2, 3], frames=1, series_number=9)) == [2, 24]


def test_parts_that_share_a_slice_are_joined(scan: Any) -> None:
    images = scan.stack(slices=range(4)) + scan.stack(slices=range(3, 7), series_number=6)
    (part,) = find_parts(images)
    assert np.shape(build_stack(part).images) == (4, 7)


def test_a_view_of_the_valves_far_above_is_no_slice_of_the_stack(scan: Any) -> None:
    assert sizes(scan.stack() + scan.stack(slices=[9.4], series_number=9)) == [4, 24]


def test_two_slices_are_a_stack(scan: Any) -> None:
    (part,) = find_parts(scan.stack(slices=2, series_number=lambda z, t: z + 1))
    assert build_stack(part).slice_mm == pytest.approx(8)


def test_a_slice_with_finer_steps_of_time(scan: Any) -> None:
    finer = scan.stack(slices=[2], frames=8, time_ms=lambda z, t: 20.0 * t)
    images = [image for image in scan.stack() if image.instance is not None and not 200 < image.instance < 205] + finer
    stack = build_stack(images)
    assert [row[2].time_ms for row in stack.images if row[2] is not None] == [0.0, 40.0, 80.0, 120.0]
    assert "nearest in time" in stack.warnings[0]


def test_a_slice_with_more_frames_of_unknown_time_is_refused(scan: Any) -> None:
    images = scan.stack(time_ms=None) + scan.stack(slices=[2], time_ms=None, instance=lambda z, t: 900 + t)
    with pytest.raises(NotAStackError, match="slice 3 has 8 images, the others have 4"):
        build_stack(images)


def test_frames_without_time_and_number_are_refused(scan: Any) -> None:
    for instance in (None, 1):
        with pytest.raises(NotAStackError, match="nothing says the order of 4 images"):
            build_stack(scan.stack(time_ms=None, instance=instance))


def test_numbers_with_a_gap_do_not_order_frames_without_times(scan: Any) -> None:
    again = scan.stack(time_ms=None, instance=lambda z, t: 1000 + 100 * z + t)
    with pytest.raises(NotAStackError, match=r"no times, and their numbers 1, 2, 3, 4, 1000, .* leave some out"):
        build_stack(scan.stack(time_ms=None) + again)


def test_equal_times_leave_the_order_to_the_numbers(scan: Any) -> None:
    stack = build_stack(scan.stack(time_ms=0.0)[::-1])
    assert [row[0].instance for row in stack.images if row[0] is not None] == [1, 2, 3, 4]
