"""Figures of single slices: distances in pixels, pixel accuracy, and outliers as a boxplot draws them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.cbook import boxplot_stats
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from nnunet_cardiac.evaluation.case_metrics import case_metrics
from nnunet_cardiac.evaluation.cases import LabelMapPair
from nnunet_cardiac.evaluation.outliers import is_outlier
from nnunet_cardiac.evaluation.slice_summary import slice_summary

LABELS = {"MYO": 1, "LV": 2}


def maps() -> tuple[np.ndarray, np.ndarray]:
    reference = np.zeros((4, 30, 26), np.uint8)
    reference[:3, 5:20, 6:19] = 1
    reference[:3, 8:16, 9:15] = 2
    prediction = np.roll(reference, (1, -2), (1, 2))
    prediction[1, 2, 3] = 2  # far away
    prediction[2] = 0
    return reference, prediction


@pytest.mark.parametrize("spacing", [(8.0, 1.5, 1.5), (8.0, 1.2, 1.7)])
def test_distances_in_pixels(spacing: tuple[float, float, float]) -> None:
    reference, prediction = maps()
    rows = pd.DataFrame(case_metrics(LabelMapPair(reference, prediction, spacing), LABELS).slices)
    rows = rows.set_index(["structure", "slice"])
    for name, value in LABELS.items():
        for z in (0, 1):
            edges = [
                np.argwhere(mask & ~binary_erosion(mask)) for mask in (reference[z] == value, prediction[z] == value)
            ]
            distance = cdist(*edges)  # in pixels, whatever their size
            directed = distance.min(1), distance.min(0)
            found = rows.loc[(name, z)]
            assert found["hd_pixels"] == pytest.approx(max(part.max() for part in directed))
            assert found["assd_mean_of_means_pixels"] == pytest.approx(sum(part.mean() for part in directed) / 2)
            assert found["hd95_pooled_pixels"] == pytest.approx(np.percentile(np.concatenate(directed), 95))
        assert np.isnan(rows.loc[(name, 2), "hd_pixels"])


def test_pixel_accuracy_counts_the_background_of_the_whole_slice() -> None:
    reference = np.zeros((3, 10, 20), np.uint8)
    reference[0, 2:4, 2:7] = 1  # 10 pixels
    prediction = reference.copy()
    prediction[0, 2, 2:5] = 2  # 3 with the wrong label
    prediction[0, 9, 0:2] = 1  # 2 false ones
    prediction[2, 0, 0] = 1  # 1 false one in a slice without a reference
    rows = case_metrics(LabelMapPair(reference, prediction, (8.0, 1.5, 1.5)), LABELS).images
    assert [row["slice"] for row in rows] == [0, 2]  # nothing is in slice 1
    assert [row["accuracy"] for row in rows] == [pytest.approx(195 / 200), pytest.approx(199 / 200)]
    assert (rows[0]["pixels"], rows[0]["pixels_right"]) == (200, 195)


@pytest.mark.parametrize("seed", range(4))
def test_outliers_are_the_fliers_of_matplotlib(seed: int) -> None:
    values = np.random.default_rng(seed).standard_t(2, 60)
    (drawn,) = boxplot_stats(values)
    fliers, middle = np.sort(drawn["fliers"]), drawn["med"]
    np.testing.assert_array_equal(np.sort(values[is_outlier(values)]), fliers[fliers > middle])
    np.testing.assert_array_equal(np.sort(values[is_outlier(values, larger_is_better=True)]), fliers[fliers < middle])


def test_undefined_values_are_no_outliers() -> None:
    assert is_outlier(np.array([1.0, 1.0, np.nan, 1.0, 5.0])).tolist() == [False, False, False, False, True]
    assert is_outlier(np.array([np.nan, np.nan])).tolist() == [False, False]


def test_summary_by_hand() -> None:
    hd = [2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 9.0, np.nan]  # quartiles 2.5 and 4: the whisker ends at 6.25
    dice = [0.9, 0.9, 0.9, 0.8, 0.9, 0.9, 0.9, 0.0]  # quartiles 0.875 and 0.9: below 0.8375
    slices = pd.DataFrame(
        {
            "method": "m", "case": ["a"] * 5 + ["b"] * 3, "slice": [0, 1, 2, 3, 4, 0, 1, 2], "structure": "LV",
            "dice": dice, "hd_mm": hd, "hd_pixels": np.array(hd) / 2, "assd_mean_of_means_mm": np.nan,
            "assd_mean_of_means_pixels": np.nan, "distance_failed": [False] * 7 + [True], "both_empty": False,
        }
    )  # fmt: skip
    slices.loc[slices["hd_mm"].notna(), ["assd_mean_of_means_mm", "assd_mean_of_means_pixels"]] = 1.0
    absent = slices.assign(structure="MYO", both_empty=[True] * 8)
    images = slices[["method", "case", "slice"]].assign(accuracy=[0.99] * 7 + [0.5])
    table = slice_summary(pd.concat([slices, absent]), images).set_index(["structure", "metric"])
    assert set(table.index.get_level_values("structure")) == {"LV", "all"}  # MYO is nowhere
    counts = ["slices", "failed", "outliers"]
    assert table.loc[("LV", "hd_mm"), counts].tolist() == [7, 1, 2]  # 9 mm, and the slice without a distance
    assert table.loc[("LV", "hd_mm"), "outlier_rate"] == 2 / 8
    assert table.loc[("LV", "hd_mm"), "mean"] == pytest.approx(27 / 7)
    assert table.loc[("LV", "hd_mm"), "median"] == 3.0
    assert table.loc[("LV", "hd_pixels"), "mean"] == pytest.approx(27 / 14)
    assert table.loc[("LV", "dice"), counts].tolist() == [8, 1, 2]  # 0.8 and 0
    assert table.loc[("LV", "any"), counts].tolist() == [8, 1, 3]
    assert table.loc[("all", "accuracy"), "mean"] == pytest.approx((7 * 0.99 + 0.5) / 8)
    assert table.loc[("all", "accuracy"), "outliers"] == 1


def test_repeated_runs_are_averaged_first() -> None:
    one = {"method": "m", "structure": "LV", "distance_failed": False, "both_empty": False}
    rows = [
        {**one, "run": run, "case": "a", "slice": z, "dice": 0.8 + 0.1 * run, "hd_mm": 2.0 + 2 * run}
        for run in (0, 1)
        for z in (0, 1)
    ]
    slices = pd.DataFrame(rows).assign(hd_pixels=1.0, assd_mean_of_means_mm=1.0, assd_mean_of_means_pixels=1.0)
    images = slices[["method", "run", "case", "slice"]].assign(accuracy=0.9)
    table = slice_summary(slices, images).set_index("metric")
    assert table.loc["hd_mm", ["slices", "mean"]].tolist() == [2, 3.0]
    assert table.loc["accuracy", "slices"] == 2
