"""Figures of single slices, as papers on two-dimensional images give them.

Fakhfakh et al. 2025 (HALSR-Net) report accuracy, Dice, Hausdorff and surface distance of images, distances in mm and
in pixels, and a share of outliers "in the boxplots". They define neither the accuracy nor the outliers; here the first
is the share of right pixels, background included, and the second is a boxplot's rule.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from nnunet_cardiac.evaluation.outliers import is_outlier
from nnunet_cardiac.evaluation.summary import ALL

#: Metric -> whether larger is better.
METRICS = {
    "dice": True,
    "hd_mm": False,
    "hd_pixels": False,
    "assd_mean_of_means_mm": False,
    "assd_mean_of_means_pixels": False,
}
#: Metrics of the boxplots in the paper, one unit each: an outlier in any of them counts as one.
_BOXPLOTS = ("dice", "hd_mm", "assd_mean_of_means_mm")
ANY = "any"
ACCURACY = "accuracy"
_SLICE = ["method", "case", "slice"]


def slice_summary(slices: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Summarise slices one by one, whatever their volume.

    Args:
        slices: `slices` of an evaluation.
        images: `images` of an evaluation.

    Returns:
        One row for each method, structure and metric: `slices` with a value, `failed` (the structure is on one side
        only: Dice is 0, a distance does not exist), `mean`, `sd`, `median`, `q25`, `q75`, `outliers` and
        `outlier_rate`, the share of them among slices with a value or failed. A slice is an outlier if it lies beyond
        the whisker of the boxplot on the bad side (`is_outlier`), or has failed and so has no distance. Metric `any`
        counts slices that are one in Dice, HD or ASSD; `accuracy` has the structure `all`. Repeated runs of a slice are
        averaged first.
    """
    if slices.empty:  # all label maps are
        return pd.DataFrame()
    rows = []
    numbers = {**dict.fromkeys(METRICS, "mean"), "distance_failed": "max", "both_empty": "all"}
    means = slices.groupby([*_SLICE, "structure"], sort=False).agg(numbers).reset_index()
    for (method, structure), part in means[~means["both_empty"]].groupby(["method", "structure"], sort=False):
        failed = part["distance_failed"].to_numpy(bool)
        found = {metric: part[metric].to_numpy(float) for metric in METRICS}
        flags = {
            metric: is_outlier(values, METRICS[metric]) | (failed & np.isnan(values))
            for metric, values in found.items()
        }
        rows += [
            {"method": method, "structure": structure, "metric": metric, **_row(values, failed, flags[metric])}
            for metric, values in found.items()
        ]
        union = np.any([flags[metric] for metric in _BOXPLOTS], axis=0)
        rows.append({"method": method, "structure": structure, "metric": ANY, **_counts(len(part), failed, union)})
    accuracies = images.groupby(_SLICE, sort=False)[ACCURACY].mean()
    for method, values in accuracies.groupby("method", sort=False):
        own = values.to_numpy(float)
        found = _row(own, np.zeros(len(own), bool), is_outlier(own, larger_is_better=True))
        rows.append({"method": method, "structure": ALL, "metric": ACCURACY, **found})
    return pd.DataFrame(rows)


def _row(values: np.ndarray, failed: np.ndarray, outliers: np.ndarray) -> dict[str, float]:
    known = pd.Series(values).dropna()
    statistics = {
        "mean": known.mean(),
        "sd": known.std(ddof=1),
        "median": known.median(),
        "q25": known.quantile(0.25),
        "q75": known.quantile(0.75),
    }
    return _counts(len(known), failed, outliers) | statistics


def _counts(slices: int, failed: np.ndarray, outliers: np.ndarray) -> dict[str, float]:
    rate = float(outliers.mean()) if len(outliers) else float("nan")
    return {"slices": slices, "failed": int(failed.sum()), "outliers": int(outliers.sum()), "outlier_rate": rate}
