"""Comparison of methods on the same patients.

The unit is the patient: end-diastole and end-systole of a heart, and repeated trainings, are no independent
observations. They are averaged first, within each patient and structure; folds hold different patients and simply join.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

RESAMPLES = 10_000
SEED = 0
#: Values that differ by less than this share are equal but for rounding.
_EQUAL = 1e-12
#: Metric -> whether larger is better.
METRICS = {"dice": True, "hd95_pooled_mm": False, "assd_mean_of_means_mm": False, "surface_dice": True}


def patient_means(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean of a metric for each patient, by structure and method.

    Args:
        table: `cases` of an evaluation.
        metric: Column.

    Returns:
        Indexed by (`structure`, `patient`), a column for each method. First runs are averaged within a case, then
        cases within a patient; undefined values are left out of both.
    """
    cases = table.groupby(["method", "structure", "patient", "case"], sort=False)[metric].mean()
    return cases.groupby(["method", "structure", "patient"], sort=False).mean().unstack("method")


def compare(table: pd.DataFrame, metrics: Sequence[str] = tuple(METRICS)) -> pd.DataFrame:
    """Compare every pair of methods, structure by structure.

    Args:
        table: `cases` of an evaluation with at least two methods.
        metrics: Columns to compare.

    Returns:
        One row for each metric, structure and pair: `metric`, `structure`, `method_a`, `method_b`, `n_patients` (with
        both
        values), `mean_a`, `mean_b`, `difference` (mean of a − b over patients), `ci95_low` and `ci95_high` (bootstrap
        over patients, BCa), `wilcoxon_p` (signed ranks, two-sided) and `holm_p`, corrected after Holm for all
        structures and pairs of the metric.
    """
    rows = []
    for metric in metrics:
        means = patient_means(table, metric)
        part = [
            compare_pair(means.loc[structure], metric, structure, pair)
            for structure in means.index.unique("structure")
            for pair in combinations(means.columns, 2)
        ]
        corrected = holm(np.array([row["wilcoxon_p"] for row in part]))
        rows += [{**row, "holm_p": p} for row, p in zip(part, corrected.tolist(), strict=True)]
    return pd.DataFrame(rows)


def rank(table: pd.DataFrame, metrics: Sequence[str] = tuple(METRICS)) -> pd.DataFrame:
    """Rank the methods within each patient and structure and average the ranks, 1 being the best.

    Args:
        table: `cases` of an evaluation.
        metrics: Columns to rank by.

    Returns:
        One row for each metric and method, best first: `metric`, `method`, `mean_rank`, `ci95_low`, `ci95_high`
        (bootstrap over patients, BCa), `n_patients`. A missing value takes the last rank, so that failing is never
        an advantage.
    """
    rows = []
    for metric in metrics:
        means = patient_means(table, metric).dropna(how="all")
        worst = -np.inf if METRICS.get(metric, True) else np.inf
        ranks = means.fillna(worst).rank(axis=1, ascending=not METRICS.get(metric, True))
        by_patient = ranks.groupby("patient").mean()
        for method in by_patient.mean().sort_values(kind="stable").index:
            low, high = bootstrap_ci95(by_patient[method].to_numpy())
            rows.append(
                {
                    "metric": metric,
                    "method": method,
                    "mean_rank": float(by_patient[method].mean()),
                    "ci95_low": low,
                    "ci95_high": high,
                    "n_patients": len(by_patient),
                }
            )
    return pd.DataFrame(rows)


def bootstrap_ci95(values: npt.NDArray[np.float64], resamples: int = RESAMPLES) -> tuple[float, float]:
    """Bootstrap interval of the mean of values (N,), bias-corrected and accelerated (Efron 1987), with a fixed seed.

    Returns:
        Both ends; NaN for fewer than two values, and twice the value where all are equal.
    """
    if len(values) < 2:
        return float("nan"), float("nan")
    if np.ptp(values) <= _EQUAL * np.abs(values).max():  # nothing to correct or to accelerate: SciPy answers with NaN
        return float(values[0]), float(values[0])
    interval = stats.bootstrap((values,), np.mean, n_resamples=resamples, method="BCa", rng=SEED).confidence_interval
    return float(interval.low), float(interval.high)


def holm(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Holm's step-down correction (N,) -> (N,); NaN stays and does not count as a test."""
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def compare_pair(means: pd.DataFrame, metric: str, structure: str, pair: tuple[str, str]) -> dict[str, object]:
    """Compare two methods on the patients that have a value of both.

    Args:
        means: Values of one metric and structure, a row for each patient and a column for each method.
        metric: Its name, for the result.
        structure: Its name, for the result.
        pair: Columns a and b.

    Returns:
        A row of :func:`compare` without `holm_p`.
    """
    both = means[list(pair)].dropna()
    a, b = (both[name].to_numpy() for name in pair)
    difference = a - b
    low, high = bootstrap_ci95(difference)
    return {
        "metric": metric,
        "structure": structure,
        "method_a": pair[0],
        "method_b": pair[1],
        "n_patients": len(both),
        "mean_a": float(a.mean()) if len(a) else float("nan"),
        "mean_b": float(b.mean()) if len(b) else float("nan"),
        "difference": float(difference.mean()) if len(a) else float("nan"),
        "ci95_low": low,
        "ci95_high": high,
        "wilcoxon_p": _wilcoxon(difference),
    }


def _wilcoxon(difference: npt.NDArray[np.float64]) -> float:
    """P value of Wilcoxon's signed-rank test; 1 if nothing differs, NaN without patients."""
    if not len(difference):
        return float("nan")
    return float(stats.wilcoxon(difference).pvalue) if difference.any() else 1.0
