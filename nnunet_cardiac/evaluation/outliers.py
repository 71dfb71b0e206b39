"""The rule of a boxplot for outliers, which the rates of outliers in the HALSR-Net paper seem to follow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Length of the whiskers in interquartile ranges.
WHISKERS = 1.5


def is_outlier(values: npt.NDArray[np.float64], larger_is_better: bool = False) -> npt.NDArray[np.bool_]:
    """Tell which values lie beyond the whisker of a boxplot, on the bad side only.

    Args:
        values: (N,); NaN is no outlier and does not count.
        larger_is_better: Whether small values are the bad ones.

    Returns:
        (N,): below Q1 - 1.5 (Q3 - Q1) if larger is better, above Q3 + 1.5 (Q3 - Q1) otherwise.
    """
    if np.isnan(values).all():
        return np.zeros(len(values), bool)
    first, third = np.nanpercentile(values, (25, 75))
    reach = WHISKERS * (third - first)
    return values < first - reach if larger_is_better else values > third + reach
