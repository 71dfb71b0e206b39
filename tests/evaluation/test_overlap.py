import math

import numpy as np
import pytest

from nnunet_cardiac.evaluation.overlap import dice, dice_per_label

EMPTY = np.zeros((2, 3, 5), np.uint8)


def test_hand_number() -> None:
    reference, prediction = EMPTY.copy(), EMPTY.copy()
    reference[0, :, :2] = 1  # 6 voxels
    prediction[0, :, 1:4] = 1  # 9 voxels, 3 shared
    assert dice(reference, prediction) == pytest.approx(6 / 15)
    assert dice(prediction, reference) == pytest.approx(6 / 15)


@pytest.mark.filterwarnings("error")
def test_both_empty_is_undefined() -> None:
    assert math.isnan(dice(EMPTY, EMPTY))


def test_false_positive_and_miss_score_zero() -> None:
    full = np.ones_like(EMPTY)
    assert dice(EMPTY, full) == 0.0
    assert dice(full, EMPTY) == 0.0


def test_labels_are_looked_up_by_value_and_background_is_skipped() -> None:
    reference = np.array([0, 1, 1, 2, 2, 2])
    prediction = np.array([0, 1, 2, 2, 2, 0])
    scores = dice_per_label(reference, prediction, {"background": 0, "RV": 2, "LV": 1, "MYO": 3})
    assert list(scores) == ["RV", "LV", "MYO"]
    assert scores["RV"] == pytest.approx(4 / 6)
    assert scores["LV"] == pytest.approx(2 / 3)
    assert math.isnan(scores["MYO"])


def test_rejects_different_shapes() -> None:
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3, 5\) and \(2, 3, 1\)"):
        dice(EMPTY, EMPTY[..., :1])  # would broadcast
