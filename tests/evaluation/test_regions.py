"""Errors of regions of interest against numbers worked out by hand."""

import json

import numpy as np
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.regions import (
    add_roi_reports,
    compare_boxes,
    known_boxes,
    roi_report,
    slice_boxes,
    stack_box,
)


def mask_of(*boxes, shape=(40, 50)):
    mask = np.zeros((len(boxes), *shape), dtype=bool)
    for plane, box in zip(mask, boxes, strict=True):
        if box is not None:
            plane[box[0] : box[2], box[1] : box[3]] = True
    return mask


def test_boxes_of_slices_and_of_the_stack():
    boxes = slice_boxes(mask_of((3, 5, 10, 20), None, (4, 5, 12, 22), (30, 30, 31, 31)))
    np.testing.assert_array_equal(boxes[0], [3, 5, 10, 20])
    assert np.isnan(boxes[1]).all()
    stack = stack_box(boxes)
    np.testing.assert_array_equal(stack[[0, 2, 3]], [[4, 5, 12, 22]] * 3)
    assert np.isnan(stack[1]).all()


def test_rmse_in_pixels_and_mm():
    true = slice_boxes(mask_of((10, 10, 20, 20), (10, 10, 20, 20)))
    predicted = true + np.array([[0, 0, 0, 4], [2, 2, 2, 2]])
    report = roi_report([(predicted, true, (1.0, 1.5))])
    pixels = [np.sqrt(16 / 4), 2.0]
    mm = [np.sqrt(36 / 4), np.sqrt((4 + 9 + 4 + 9) / 4)]
    assert report.rmse_pixels == pytest.approx(np.mean(pixels))
    assert report.rmse_mm == pytest.approx(np.mean(mm))
    assert report.rmse_mm_sd == pytest.approx(np.std(mm, ddof=1))
    assert (report.slices, report.missed) == (2, 0)


def test_outliers_of_both_kinds():
    true = np.tile([10.0, 10, 20, 20], (20, 1))
    predicted = true + np.linspace(0, 0.5, 20)[:, None]
    predicted[0] += 11  # more than the margin on one side
    report = roi_report([(predicted, true, (1.0, 1.0))])
    assert report.outlier_rate_iqr == pytest.approx(1 / 20)
    assert report.outlier_rate_margin == pytest.approx(1 / 20)


def test_a_missing_box_is_counted_and_does_not_hold_the_true_one():
    true = slice_boxes(mask_of((1, 1, 5, 5), (1, 1, 5, 5), None))
    predicted = slice_boxes(mask_of((1, 1, 5, 5), None, (1, 1, 5, 5)))
    report = roi_report([(predicted, true, (1.0, 1.0))])
    assert (report.slices, report.missed, report.rmse_mm) == (2, 1, 0.0)
    assert report.outlier_rate_margin == 0.5


def test_nothing_to_compare_is_an_error():
    empty = slice_boxes(mask_of(None))
    with pytest.raises(UserError, match="no slice has a true box"):
        roi_report([(empty, empty, (1.0, 1.0))])


def test_stacks_and_slices_are_compared_apart():
    true = slice_boxes(mask_of((10, 10, 20, 20), (12, 12, 16, 16)))
    predicted = true + np.array([[1, 1, -2, -2], [-1, -1, 2, 2]])  # both slices (11, 11, 18, 18)
    reports = compare_boxes([(predicted, true, (1.0, 1.5))], "roi")
    assert reports["roi_stack"].rmse_pixels == 0.0  # the box is the median of both
    assert reports["roi_slice"].rmse_pixels == pytest.approx(np.sqrt(2.5))  # 1, 1, 2, 2
    assert reports["roi_slice"].rmse_mm == pytest.approx(np.sqrt((1 + 4 + 1.5**2 + 3**2) / 4))


def test_reports_enter_the_summary_of_nnunet(tmp_path):
    boxes = slice_boxes(mask_of((10, 10, 20, 20)))
    (tmp_path / "summary.json").write_text('{"foreground_mean": {"Dice": 0.5}}')
    add_roi_reports(tmp_path / "summary.json", compare_boxes([(boxes, boxes, (1.0, 1.0))], "roi"))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["foreground_mean"] == {"Dice": 0.5}
    assert summary["roi_stack"]["rmse_pixels"] == summary["roi_slice"]["rmse_mm"] == 0.0


def test_boxes_that_unannotated_pixels_may_extend_are_not_known():
    labels = np.zeros((5, 12, 14), np.uint8)
    labels[:4, 3:6, 4:9] = 2
    labels[0, 4, 5] = 9  # within the box
    labels[1, 10, 12] = 9  # far away: what is connected would cross annotated background
    labels[2, 6, 5] = 9  # touches the box
    labels[4, 0, 0] = 9  # in a slice without an annotated target
    boxes = known_boxes(labels, [2], ignore=9)
    np.testing.assert_array_equal(boxes[[0, 1, 3]], [[3, 4, 6, 9]] * 3)
    assert np.isnan(boxes[[2, 4]]).all()
    np.testing.assert_array_equal(known_boxes(labels, [2]), slice_boxes(labels == 2))
