import math

import numpy as np
import pytest

from nnunet_cardiac.evaluation.agreement_statistics import agreement_statistics, icc_a1


def test_shrout_and_fleiss_1979() -> None:
    """The published example: six subjects, four judges, ICC(2,1) = 0.29."""
    ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
    assert icc_a1(ratings) == pytest.approx(0.29, abs=0.005)


def test_by_hand() -> None:
    reference, prediction = [100.0, 120.0, 140.0, 160.0], [104.0, 122.0, 146.0, 168.0]
    found = agreement_statistics(reference, prediction)
    # differences -4, -2, -6, -8: mean -5, sum of squares about it 20
    sd = math.sqrt(20 / 3)
    t = 3.182446305284263  # of 3 degrees of freedom
    assert (found.n, found.bias, found.mae) == (4, -5.0, 5.0)
    assert found.sd == pytest.approx(sd)
    assert found.limit_low == pytest.approx(-5 - 1.96 * sd)
    assert found.limit_high == pytest.approx(-5 + 1.96 * sd)
    assert found.bias_ci95_low == pytest.approx(-5 - t * sd / 2)
    half = t * sd * math.sqrt(1 / 4 + 1.96**2 / 6)
    assert found.limit_low_ci95_low == pytest.approx(found.limit_low - half)
    assert found.limit_high_ci95_high == pytest.approx(found.limit_high + half)
    # variances 500 and 585 with n in the denominator, covariance 540
    assert found.lin_ccc == pytest.approx(2 * 540 / (500 + 585 + 25))
    assert found.pearson_r == pytest.approx(540 / math.sqrt(500 * 585))


def test_over_estimation_is_a_negative_bias() -> None:
    assert agreement_statistics([50.0, 60.0], [55.0, 66.0]).bias == -5.5


def test_pearson_interval_by_hand() -> None:
    # Sums of squares 10 and 10, of products 8: r = 0.8, and its Fisher z is ln(9) / 2 with standard error 1 / sqrt(2).
    found = agreement_statistics([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 4.0, 3.0, 5.0])
    assert found.pearson_r == pytest.approx(0.8)
    z, half = math.log(9) / 2, 1.959963984540054 / math.sqrt(2)
    expected = [math.tanh(z - half), math.tanh(z + half)]
    assert [found.pearson_r_ci95_low, found.pearson_r_ci95_high] == pytest.approx(expected)


def test_pearson_has_no_interval_in_three_subjects_or_on_a_line() -> None:
    three = agreement_statistics([1.0, 2.0, 3.0], [2.0, 4.0, 5.0])
    line = agreement_statistics([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0])
    assert three.pearson_r == pytest.approx(0.9819805)
    assert line.pearson_r == pytest.approx(1.0)
    assert math.isnan(three.pearson_r_ci95_low)
    assert math.isnan(line.pearson_r_ci95_high)


def test_limits_interval_covers_in_simulation() -> None:
    rng = np.random.default_rng(1)
    truth = -1.96  # limits of standard normal differences
    found = [agreement_statistics(d, np.zeros(30)) for d in rng.normal(size=(400, 30))]
    covered = np.mean([a.limit_low_ci95_low <= truth <= a.limit_low_ci95_high for a in found])
    assert 0.91 <= covered <= 0.98


def test_gaps_and_small_samples() -> None:
    assert agreement_statistics([1.0, math.nan, 3.0], [1.0, 2.0, math.nan]).n == 1
    nothing = agreement_statistics([], [])
    assert nothing.n == 0
    assert math.isnan(nothing.bias)
    same = agreement_statistics([2.0, 2.0], [2.0, 2.0])
    assert same.bias == 0
    assert math.isnan(same.pearson_r)
    assert math.isnan(same.icc_a1)
    with pytest.raises(ValueError, match="vectors of one length, got"):
        agreement_statistics([1.0], [1.0, 2.0])
