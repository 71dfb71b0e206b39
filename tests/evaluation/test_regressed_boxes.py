"""Regressed boxes on the grid of the reference: worked out by hand, and against nnU-Net's own preprocessing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

from nnunet_cardiac.architectures.blocks.box_corners import corners_of_mask, draw_corners, pixels_of_corners, roi_rmse
from nnunet_cardiac.evaluation.regions import compare_boxes, roi_report, slice_boxes
from nnunet_cardiac.evaluation.regressed_boxes import boxes_in_original, regressed_boxes

#: Four slices of 60 x 40 pixels of 1 x 2 mm, cropped to three of 40 x 32, resampled to 80 x 48.
PROPERTIES = {"bbox_used_for_cropping": [[1, 4], [10, 50], [4, 36]], "shape_before_cropping": (4, 60, 40)}
SPACING = (1.0, 2.0)
#: Rows 20 to 29 and columns 10 to 21 of the original: rows 20 to 40, columns 9 to 27 of the image that the network
#: sees, which lies in a square of 80 pixels with 16 more on its left.
CORNERS = torch.tensor([(9 + 16) / 80, 20 / 80, (27 + 16) / 80, 40 / 80], dtype=torch.float64)
BOX = [20.0, 10.0, 30.0, 22.0]


class Regressor:
    """Says the corners that it is given, slice by slice."""

    def __init__(self, corners: torch.Tensor) -> None:
        self.corners = corners

    def corners_of_case(self, image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        assert size == (96, 96)
        return self.corners.clone()


def image() -> torch.Tensor:
    return torch.rand(1, 3, 80, 48, generator=torch.Generator().manual_seed(0))


def true_boxes() -> np.ndarray:
    mask = np.zeros((4, 60, 40), bool)
    mask[1:, 20:30, 10:22] = True
    return slice_boxes(mask)


def test_known_corners_give_the_box_of_the_reference() -> None:
    boxes = regressed_boxes(Regressor(CORNERS.tile(3, 1)), image(), (96, 96), PROPERTIES)
    assert np.isnan(boxes[0]).all()  # cropped away
    np.testing.assert_allclose(boxes[1:], [BOX] * 3, atol=1e-12)
    np.testing.assert_allclose(boxes[1:], true_boxes()[1:], atol=1e-12)


def test_an_error_below_a_pixel_is_not_rounded_away() -> None:
    corners = CORNERS.tile(3, 1)
    corners[:, 2] += 0.4 / 80  # 0.4 pixels of the network's image are 0.4 x 32 / 48 columns of 2 mm
    assert torch.equal(draw_corners(corners, (80, 48)), draw_corners(CORNERS.tile(3, 1), (80, 48)))
    boxes = regressed_boxes(Regressor(corners), image(), (96, 96), PROPERTIES)
    for report in compare_boxes([(boxes, true_boxes(), SPACING)], "roi").values():
        assert report.rmse_pixels == pytest.approx(0.4 * 2 / 3 / 2)
        assert report.rmse_mm == pytest.approx(0.4 * 2 / 3)


def test_the_box_of_the_stack_is_the_median_of_its_slices() -> None:
    corners = CORNERS.tile(3, 1)
    corners[0, 1], corners[1, 1] = 10 / 80, 24 / 80  # first rows 15 and 22 of the original, the third 20
    boxes = regressed_boxes(Regressor(corners), image(), (96, 96), PROPERTIES)
    reports = compare_boxes([(boxes, true_boxes(), SPACING)], "roi")
    assert reports["roi_stack"].rmse_pixels == pytest.approx(0.0, abs=1e-12)
    assert reports["roi_slice"].rmse_pixels == pytest.approx((5 / 2 + 2 / 2 + 0) / 3)


def test_corners_in_reverse_order_and_slices_of_one_value() -> None:
    stack = image()
    stack[:, 1] = 0.25
    boxes = regressed_boxes(Regressor(CORNERS[[2, 1, 0, 3]].tile(3, 1)), stack, (96, 96), PROPERTIES)
    assert np.isnan(boxes[[0, 2]]).all()
    np.testing.assert_allclose(boxes[[1, 3]], [BOX] * 2, atol=1e-12)
    assert roi_report([(boxes, true_boxes(), SPACING)]).missed == 1


def test_the_error_is_that_of_roi_rmse_where_nothing_is_cropped_or_resampled() -> None:
    generator = torch.Generator().manual_seed(3)
    masks = torch.zeros(6, 50, 33, dtype=torch.bool)
    for k, mask in enumerate(masks):
        mask[5 + k : 20 + 2 * k, 3 : 12 + k] = True
    true, _ = corners_of_mask(masks)
    predicted = true + 0.02 * torch.randn(6, 4, generator=generator)
    properties = {"bbox_used_for_cropping": [[0, 6], [0, 50], [0, 33]], "shape_before_cropping": (6, 50, 33)}
    boxes = boxes_in_original(pixels_of_corners(predicted, (50, 33)).numpy(), (6, 50, 33), properties)
    report = roi_report([(boxes, slice_boxes(masks.numpy()), (1.5, 1.5))])
    assert report.rmse_mm == pytest.approx(roi_rmse(predicted, true, 50 * 1.5).mean().item(), rel=1e-5)


def test_resampled_slices_are_refused() -> None:
    with pytest.raises(ValueError, match="5 slices were made of 3"):
        boxes_in_original(np.zeros((5, 4)), (5, 80, 48), PROPERTIES)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_it_undoes_nnunets_preprocessing(order: tuple[int, int, int]) -> None:
    # in nnU-Net's order: slices x rows x columns; the borders of the image are black and are cropped away
    seg = np.zeros((5, 64, 52), np.int16)
    for z in range(1, 4):
        seg[z, 20 + 2 * z : 40, 10 : 30 - 2 * z] = 1
    scan = np.zeros(seg.shape, np.float32)
    scan[:4, 8:60, 6:46] = np.random.default_rng(0).uniform(1, 2, (4, 52, 40))
    in_file = np.argsort(order)  # axes as the file has them
    spacing = np.array([9.0, 1.0, 3.0])
    properties = {"spacing": list(spacing[in_file])}
    resampling = {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None}
    labels = SimpleNamespace(has_regions=False, foreground_labels=[1], has_ignore_label=False)
    plans = SimpleNamespace(
        transpose_forward=list(order),
        foreground_intensity_properties_per_channel={"0": {}},
        get_label_manager=lambda dataset_json: labels,
    )
    configuration = SimpleNamespace(
        spacing=[2.0, 1.5],  # rows coarser, columns finer
        normalization_schemes=["ZScoreNormalization"],
        use_mask_for_norm=[False],
        resampling_fn_data=lambda d, *a: resample_data_or_seg_to_shape(d, *a, **{**resampling, "is_seg": False}),
        resampling_fn_seg=lambda d, *a: resample_data_or_seg_to_shape(d, *a, **resampling),
    )
    files = [array.transpose(in_file)[None] for array in (scan, seg)]
    _, preprocessed, properties = DefaultPreprocessor(verbose=False).run_case_npy(
        *files, properties, plans, configuration, {}
    )
    assert preprocessed.shape == (1, 4, 26, 80)
    corners, present = corners_of_mask(torch.from_numpy(preprocessed[0] == 1))
    edges = pixels_of_corners(corners.double(), preprocessed.shape[2:]).numpy()
    edges[~present.numpy()] = np.nan
    boxes = boxes_in_original(edges, preprocessed.shape[1:], properties)
    np.testing.assert_allclose(boxes, slice_boxes(seg == 1), atol=1e-4)
