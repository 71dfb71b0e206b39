"""Agreement of two measurements of one quantity: Bland-Altman, Pearson, Lin, intraclass correlation.

Sign, as in the paper of the 3D DR-UNet: a difference is reference − prediction, so that a negative bias means that the
prediction over-estimates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from nnunet_cardiac.evaluation.agreement import bland_altman

NAN = float("nan")
#: Half width of the limits of agreement in standard deviations, as in `bland_altman`.
LIMITS_SD = 1.96
#: Correlations nearer to 1 or -1 are those of points on a line but for rounding.
_ON_A_LINE = 1e-12


@dataclass(frozen=True)
class AgreementStatistics:
    """Agreement over n subjects; NaN where n is too small or nothing varies.

    Attributes:
        n: Subjects with both values.
        bias: Mean of reference − prediction.
        bias_ci95_low: 95 % confidence interval of the bias (Student's t).
        bias_ci95_high: Its upper end.
        sd: Standard deviation of the differences, n − 1 in the denominator.
        limit_low: Lower limit of agreement, bias − 1.96 sd.
        limit_low_ci95_low: Its 95 % confidence interval (Bland and Altman 1999, standard error
            sd · sqrt(1 / n + 1.96² / (2 (n − 1)))).
        limit_low_ci95_high: Its upper end.
        limit_high: Upper limit of agreement, bias + 1.96 sd.
        limit_high_ci95_low: Its 95 % confidence interval.
        limit_high_ci95_high: Its upper end.
        mae: Mean absolute difference.
        pearson_r: Correlation; blind to bias and scale.
        pearson_r_ci95_low: 95 % confidence interval by Fisher's transformation.
        pearson_r_ci95_high: Its upper end.
        lin_ccc: Concordance correlation coefficient of Lin 1989, with n in all denominators.
        icc_a1: Intraclass correlation ICC(A,1) of McGraw and Wong 1996, which is ICC(2,1) of Shrout and Fleiss 1979:
            two-way random effects, absolute agreement, one measurement.
    """

    n: int
    bias: float
    bias_ci95_low: float
    bias_ci95_high: float
    sd: float
    limit_low: float
    limit_low_ci95_low: float
    limit_low_ci95_high: float
    limit_high: float
    limit_high_ci95_low: float
    limit_high_ci95_high: float
    mae: float
    pearson_r: float
    pearson_r_ci95_low: float
    pearson_r_ci95_high: float
    lin_ccc: float
    icc_a1: float


def agreement_statistics(reference: npt.ArrayLike, prediction: npt.ArrayLike) -> AgreementStatistics:
    """Measure the agreement of paired values, one pair a subject.

    Args:
        reference: Values (N,); pairs with a NaN are left out and `n` says how many remain.
        prediction: Values of the same subjects.

    Raises:
        ValueError: If the two are no vectors of one length.
    """
    x, y = np.asarray(reference, float), np.asarray(prediction, float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"reference and prediction must be vectors of one length, got {x.shape} and {y.shape}.")
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    n = len(x)
    found = bland_altman(x, y) if n else None
    bias, sd = (found.bias_ml, found.sd_ml) if found else (NAN, NAN)  # of any unit: nothing in it is specific to mL
    t = float(stats.t.ppf(0.975, n - 1)) if n > 1 else NAN
    of_bias = t * sd / math.sqrt(n) if n > 1 else NAN
    of_limit = t * sd * math.sqrt(1 / n + LIMITS_SD**2 / (2 * (n - 1))) if n > 1 else NAN
    low, high = (found.lower_ml, found.upper_ml) if found else (NAN, NAN)
    r, r_low, r_high = _pearson(x, y)
    return AgreementStatistics(
        n, bias, bias - of_bias, bias + of_bias, sd,
        low, low - of_limit, low + of_limit, high, high - of_limit, high + of_limit,
        float(np.abs(x - y).mean()) if n else NAN, r, r_low, r_high, _concordance(x, y), icc_a1(np.stack([x, y],
        1)),
    )  # fmt: skip


def icc_a1(ratings: npt.NDArray[np.float64]) -> float:
    """ICC(A,1), two-way random effects, absolute agreement, single measurement.

    Args:
        ratings: (subjects, raters) without gaps.

    Returns:
        NaN for fewer than two subjects or raters, or if nothing varies.
    """
    n, k = ratings.shape
    if n < 2 or k < 2:
        return NAN
    mean = ratings.mean()
    rows = k * np.square(ratings.mean(axis=1) - mean).sum() / (n - 1)
    columns = n * np.square(ratings.mean(axis=0) - mean).sum() / (k - 1)
    total = np.square(ratings - mean).sum()
    error = max((total - (n - 1) * rows - (k - 1) * columns) / ((n - 1) * (k - 1)), 0.0)
    scale = rows + (k - 1) * error + k * (columns - error) / n
    return float((rows - error) / scale) if scale > 0 else NAN


def _pearson(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return NAN, NAN, NAN
    found = stats.pearsonr(x, y)
    r = float(found.statistic)
    if len(x) < 4 or 1 - abs(r) < _ON_A_LINE:  # SciPy would answer with all of −1 to 1, or with r alone
        return r, NAN, NAN
    interval = found.confidence_interval(0.95)
    return r, float(interval.low), float(interval.high)


def _concordance(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    if len(x) < 2:
        return NAN
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    scale = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return float(2 * covariance / scale) if scale > 0 else NAN
