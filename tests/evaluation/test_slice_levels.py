import numpy as np
import pytest

from nnunet_cardiac.evaluation.slice_levels import base_is_last, slice_levels

LABELS = {"background": 0, "RV": 1, "MYO": 2, "LV": 3}


def stack(*cavity: int) -> np.ndarray:
    """Slices with the given numbers of LV voxels and one voxel of myocardium; a negative number leaves it empty."""
    array = np.zeros((len(cavity), 4, 30), np.uint8)
    for z, count in enumerate(cavity):
        array[z, 0, : max(count, 0)] = 3
        array[z, 1, 0] = 2 if count >= 0 else 0
    return array


@pytest.mark.parametrize(
    ("slices", "thirds"),
    [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1)), (8, (3, 3, 2)), (10, (4, 3, 3)), (11, (4, 4, 3))],
)
def test_even_thirds(slices: int, thirds: tuple[int, int, int]) -> None:
    levels = slice_levels(stack(*range(20, 20 - slices, -1)), LABELS)
    assert [levels.count(name) for name in ("base", "mid", "apex")] == list(thirds)
    assert levels == sorted(levels, key=("base", "mid", "apex").index)


def test_base_last_and_slices_outside() -> None:
    array = stack(-1, -1, 0, 2, 5, 9, 12, 12, -1)
    assert base_is_last(array, LABELS)
    assert slice_levels(array, LABELS) == ["outside"] * 2 + ["apex"] * 2 + ["mid"] * 2 + ["base"] * 2 + ["outside"]
    assert slice_levels(array[::-1], LABELS) == slice_levels(array, LABELS)[::-1]


def test_myocardium_does_not_tell_the_base() -> None:
    array = stack(9, 5, 1)
    array[2, 2] = 2  # a thick apex
    assert not base_is_last(array, LABELS)
    assert slice_levels(array, LABELS) == ["base", "mid", "apex"]


def test_nothing_labelled() -> None:
    assert slice_levels(np.zeros((3, 4, 4), np.uint8), LABELS) == ["outside"] * 3
