"""Errors of a localiser, with hearts and maps that are boxes."""

import numpy as np
import pytest

from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.localisation import localisation_report

RULE = RegionRule((4, 8, 8), margin=0, multiple=(1, 8, 8), centre="centroid", clamp=True)


def box(*slices: slice) -> np.ndarray:
    mask = np.zeros((6, 40, 40), dtype=bool)
    mask[slices] = bool(slices)
    return mask


def test_by_hand() -> None:
    heart = box(slice(1, 5), slice(10, 18), slice(20, 28))
    near = box(slice(2, 4), slice(13, 15), slice(23, 25))  # same centroid
    off = box(slice(2, 4), slice(13, 15), slice(27, 29))  # 4 voxels of 1.5 mm off: half of the heart is outside
    report = localisation_report([(near, heart, (8.0, 1.5, 1.5)), (off, heart, (8.0, 1.5, 1.5))], RULE, (8.0, 1.5, 1.5))
    assert (report.cases, report.empty) == (2, 0)
    assert report.distance_mm == pytest.approx((0 + 6) / 2)
    assert (report.whole, report.least_share) == (0.5, 0.5)


def test_the_window_keeps_its_size_in_mm_on_another_grid() -> None:
    heart = box(slice(1, 5), slice(10, 26), slice(10, 26))
    report = localisation_report([(heart, heart, (8.0, 1.5, 1.5))], RULE, (8.0, 3.0, 3.0))
    assert (report.whole, report.distance_mm) == (1.0, 0.0)


def test_a_window_of_slices_has_all_of_them() -> None:
    heart = box(slice(0, 6), slice(10, 18), slice(20, 28))
    near, off = (box(slice(2, 4), slice(13, 15), slice(x, x + 2)) for x in (23, 25))  # 2 of 8 columns are outside
    cases = [(coarse, heart, (8.0, 1.5, 1.5)) for coarse in (near, off)]
    report = localisation_report(cases, RegionRule((4, 4), margin=0, multiple=4), (3.0, 3.0))
    assert (report.whole, report.least_share) == (0.5, 0.75)


def test_without_a_prediction_the_centre_is_taken_and_counted() -> None:
    heart = box(slice(1, 5), slice(16, 24), slice(16, 24))
    report = localisation_report([(box(), heart, (1, 1, 1)), (heart, box(), (1, 1, 1))], RULE, (1, 1, 1))
    assert (report.cases, report.empty, report.whole) == (1, 1, 1.0)
    assert "1 cases without a prediction" in str(report)


def test_no_heart_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="no case holds a labelled structure"):
        localisation_report([(box(), box(), (1, 1, 1))], RULE, (1, 1, 1))
