"""Region of interest: largest component, margin, window, fallback."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from nnunet_cardiac.cascade.roi import Box, RegionRule, bounding_box, find_region, fixed_window, largest_component


def test_largest_component_counts_voxels_not_box_area() -> None:
    # A diagonal streak has a large bounding box and few pixels, and must lose against a compact heart.
    mask = np.zeros((96, 96), dtype=bool)
    mask[60:85, 10:32] = True  # 550 pixels
    for i in range(40):
        mask[i, i + 40 : i + 42] = True  # 80 pixels, box of 1640
    kept = largest_component(mask)
    assert kept.sum() == 550
    assert bounding_box(kept) == Box((60, 10), (85, 32))


def test_corner_contact_connects() -> None:
    mask = np.zeros((3, 3), dtype=bool)
    mask[0, 0] = mask[1, 1] = mask[2, 2] = True
    assert largest_component(mask).sum() == 3


def test_component_spans_slices() -> None:
    # One slice holds a false blob larger than the heart on that slice, but not than the heart of the whole stack.
    mask = np.zeros((5, 64, 64), dtype=bool)
    mask[:, 20:30, 20:30] = True
    mask[2, 45:60, 45:60] = True
    assert bounding_box(largest_component(mask)) == Box((0, 20, 20), (5, 30, 30))


def test_empty_mask_has_no_box() -> None:
    assert bounding_box(np.zeros((4, 5), dtype=bool)) is None


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box((40, 50), (60, 90)), Box((25, 35), (75, 100))),  # margin 15, right side clipped to 100
        (Box((3, 0), (9, 5)), Box((0, 0), (24, 20))),  # each side is clipped on its own
    ],
)
def test_margin_is_clipped_side_by_side(box: Box, expected: Box) -> None:
    assert box.grown((15, 15), (100, 100)) == expected


def test_window_is_centred_and_enlarged_to_the_next_multiple() -> None:
    small = Box((10, 20), (30, 50))
    window = fixed_window(small, (64, 64), (16, 16))
    assert window.size == (64, 64)
    assert [a + b for a, b in zip(window.start, window.stop, strict=True)] == [40, 70]  # same centre as the box
    large = fixed_window(Box((0, 0), (65, 64)), (64, 64), (16, 16))
    assert large.size == (80, 64)
    assert large.contains(Box((0, 0), (65, 64)))


@pytest.mark.parametrize("shape", [(40, 70), (7, 40, 70)])
def test_every_position_is_inside_its_window(shape: tuple[int, ...]) -> None:
    rule = RegionRule(window=(32, 32), margin=4)
    for y in range(0, 40, 3):
        for x in range(0, 70, 7):
            mask = np.zeros(shape, dtype=bool)
            mask[..., y : y + 5, x : x + 3] = True
            region = find_region(mask, rule)
            heart = bounding_box(mask)
            assert region.found
            assert region.window.size == (32, 32)
            assert region.window.contains(Box(heart.start[-2:], heart.stop[-2:]))
            assert region.window.contains(region.box)


def test_three_entries_crop_the_slice_axis_too() -> None:
    mask = np.zeros((20, 50, 50), dtype=bool)
    mask[8:11, 20:30, 25:35] = True
    region = find_region(mask, RegionRule(window=(8, 32, 32), margin=(1, 4, 4), multiple=(2, 16, 16)))
    assert region.box == Box((7, 16, 21), (12, 34, 39))
    assert region.window.size == (8, 32, 32)
    assert region.window.contains(region.box)


def test_empty_prediction_takes_the_centre_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        region = find_region(np.zeros((9, 100, 61), dtype=bool), RegionRule(window=(32, 32)))
    assert not region.found
    assert region.window == Box((34, 14), (66, 46))
    assert "Empty coarse prediction" in caplog.text


def test_rule_accepts_json_and_rejects_nonsense() -> None:
    assert RegionRule(window=[64, 64], margin=[3, 4]) == RegionRule(window=(64, 64), margin=(3, 4))
    with pytest.raises(ValueError, match=r"window needs 2 entries .* got \(64,\)"):
        RegionRule(window=(64,))
    with pytest.raises(ValueError, match="multiples of"):
        RegionRule(window=(100, 100))
    with pytest.raises(ValueError, match="margin needs 2 entries"):
        RegionRule(margin=-1)
    with pytest.raises(ValueError, match="per_slice needs a window of 2 entries"):
        RegionRule(window=(16, 64, 64), per_slice=True)
    with pytest.raises(ValueError, match="does not fit a mask"):
        find_region(np.zeros((8, 8), dtype=bool), RegionRule(window=(16, 16, 16)))


@pytest.mark.parametrize(
    "rule",
    [
        RegionRule(),
        RegionRule((64, 96), margin=(3, 4), multiple=(16, 32), per_slice=True, mask_outside=True, heart_only=False),
        RegionRule((4, 32, 32), margin=0, multiple=(1, 8, 8), centre="centroid", clamp=True, all_slices=True),
    ],
)
def test_a_rule_comes_back_from_plans(rule: RegionRule) -> None:
    written = json.loads(json.dumps(rule.to_plans()))
    assert RegionRule.from_plans({**written, "network_class_name": "a.Net"}) == rule


def test_switches_are_named() -> None:
    """Two exchanged switches would pass unseen."""
    with pytest.raises(TypeError, match="positional argument"):
        RegionRule((32, 32), 4, 16, True, False)
