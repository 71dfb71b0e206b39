"""A frame that lacks slices has no volume and is no phase of the heart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.frame_volumes import find_phases, incomplete_frames, volume_curves
from nnunet_cardiac.inference.series import Grid, Series

#: Voxels of 10 x 1 x 1 mm: 0.01 mL.
GRID = Grid((1.0, 1.0, 10.0, 1.0), (0.0,) * 4, tuple(np.eye(4).ravel()))


def series(empty: list[tuple[int, int]]) -> Series:
    """Four frames of three slices, some of which are missing."""
    mask = np.zeros((4, 3), bool)
    for place in empty:
        mask[place] = True
    return Series("p", np.zeros((4, 1, 3, 20, 20), np.float32), GRID, 4, empty=mask if empty else None)


def curves(one: Series) -> dict[str, list[float]]:
    """LV of 100, 70, 40 and 55 voxels in each slice."""
    labels = np.zeros((4, 3, 20, 20), np.uint8)
    for t, voxels in enumerate((100, 70, 40, 55)):
        labels[t].reshape(3, -1)[:, :voxels] = 3
    if one.empty is not None:
        labels[one.empty] = 0
    return volume_curves(labels, {"LV": 3}, one)


def test_all_slices() -> None:
    one = series([])
    assert incomplete_frames(one) == ()
    assert curves(one)["LV"] == pytest.approx([3.0, 2.1, 1.2, 1.65])
    assert find_phases(curves(one)) == ({"ED": 1, "ES": 3}, [])


def test_a_frame_without_a_slice() -> None:
    one = series([(3, 1)])  # with two of three slices, 1.1 mL would be the smallest
    assert incomplete_frames(one) == (4,)
    found = curves(one)
    assert found["LV"][:3] == pytest.approx([3.0, 2.1, 1.2])
    assert math.isnan(found["LV"][3])
    phases, warnings = find_phases(found, incomplete=incomplete_frames(one))
    assert phases == {"ED": 1, "ES": 3}
    assert warnings == ["Frames that lack slices have no volume and are neither end-diastole nor end-systole: 4."]
    with pytest.raises(UserError, match="--es is 4, and this frame lacks slices"):
        find_phases(found, es=4, incomplete=(4,))


def test_a_slice_that_all_frames_lack_is_no_difference() -> None:
    one = series([(t, 1) for t in range(4)])
    assert incomplete_frames(one) == ()
    assert curves(one)["LV"] == pytest.approx([2.0, 1.4, 0.8, 1.1])
    both = series([(t, 1) for t in range(4)] + [(0, 2)])
    assert incomplete_frames(both) == (1,)
    assert find_phases(curves(both), incomplete=(1,))[0] == {"ED": 2, "ES": 3}


def test_too_few_complete_frames() -> None:
    one = series([(0, 0), (1, 1), (2, 2)])
    phases, warnings = find_phases(curves(one), incomplete=incomplete_frames(one))
    assert phases == {}
    assert warnings[1] == "End-diastole and end-systole are unknown: too few frames have all slices."
