import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnunet_cardiac.evaluation.comparison import bootstrap_ci95, compare, holm, patient_means, rank


def table(values: dict[str, dict[str, list[float]]], structure: str = "LV") -> pd.DataFrame:
    """Method -> patient -> Dice of its cases."""
    return pd.DataFrame(
        {"method": method, "run": 0, "structure": structure, "patient": p, "case": f"{p}_{i}", "dice": value}
        for method, patients in values.items()
        for p, cases in patients.items()
        for i, value in enumerate(cases)
    )


def test_patients_are_the_unit_and_runs_are_averaged_first() -> None:
    cases = table({"a": {"p1": [0.8, 0.9], "p2": [0.5]}})
    second = cases[cases["case"] == "p1_0"].assign(run=1, dice=0.6)
    means = patient_means(pd.concat([cases, second]), "dice").loc["LV"]["a"]
    assert means["p1"] == pytest.approx(((0.8 + 0.6) / 2 + 0.9) / 2)
    assert means["p2"] == 0.5


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, never falling
    assert holm(np.array([0.03, 0.01, 0.04, 0.02])).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    corrected = holm(np.array([math.nan, 0.5, 0.4]))
    assert math.isnan(corrected[0])
    assert corrected[1:].tolist() == pytest.approx([0.8, 0.8])


def test_compare_equals_scipy_on_patient_means() -> None:
    rng = np.random.default_rng(0)
    a = {f"p{i}": list(rng.uniform(0.8, 0.95, 2)) for i in range(12)}
    b = {p: [v - 0.02 + 0.03 * rng.standard_normal() for v in values] for p, values in a.items()}
    row = compare(table({"a": a, "b": b}), ["dice"]).iloc[0]
    x, y = (np.array([np.mean(m[p]) for p in a]) for m in (a, b))
    assert row["n_patients"] == 12
    assert row["difference"] == pytest.approx((x - y).mean())
    assert row["wilcoxon_p"] == pytest.approx(stats.wilcoxon(x, y).pvalue)
    assert row["holm_p"] == row["wilcoxon_p"]
    assert (row["ci95_low"], row["ci95_high"]) == bootstrap_ci95(x - y)
    assert row["ci95_low"] < row["difference"] < row["ci95_high"]


def bca_of_all_resamples(values: np.ndarray) -> tuple[float, float]:
    """Efron's interval (JASA 1987) of the mean by the formulas, from each of the N^N resamples instead of some."""
    means = np.sort([np.mean(drawn) for drawn in product(values, repeat=len(values))])
    below = (np.mean(means < values.mean()) + np.mean(means <= values.mean())) / 2
    bias = stats.norm.ppf(below)
    left_out = np.array([np.delete(values, i).mean() for i in range(len(values))])
    apart = left_out.mean() - left_out
    acceleration = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5)
    ends = (bias + stats.norm.ppf(tail) for tail in (0.025, 0.975))
    low, high = (stats.norm.cdf(bias + z / (1 - acceleration * z)) for z in ends)
    return float(np.quantile(means, low)), float(np.quantile(means, high))


@pytest.mark.parametrize("values", [[0.0, 0.1, 0.3, 0.7, 2.0], [-1.3, 0.2, 0.25, 0.4, 0.9]])
def test_interval_is_that_of_all_resamples(values: list[float]) -> None:
    """Skewed values, where the interval lies towards the long tail."""
    expected = bca_of_all_resamples(np.array(values))
    assert bootstrap_ci95(np.array(values), 100_000) == pytest.approx(expected, abs=0.02)


def test_interval_of_equal_values_is_the_value() -> None:
    assert bootstrap_ci95(np.array([0.3, 0.3, 0.1 + 0.2])) == (0.3, 0.3)


def test_holm_counts_all_structures_of_a_metric() -> None:
    values = {"a": {f"p{i}": [0.9 + i / 1000] for i in range(8)}, "b": {f"p{i}": [0.8 + i / 900] for i in range(8)}}
    result = compare(pd.concat([table(values, "LV"), table(values, "RV")]), ["dice"])
    assert (result["holm_p"] == 2 * result["wilcoxon_p"]).all()


def test_same_predictions_do_not_differ() -> None:
    values = {"p1": [0.9], "p2": [0.8]}
    row = compare(table({"a": values, "b": values}), ["dice"]).iloc[0]
    assert (row["difference"], row["wilcoxon_p"], row["ci95_low"], row["ci95_high"]) == (0, 1, 0, 0)


def test_failing_is_no_advantage_in_the_ranking() -> None:
    good = {"p1": [0.9], "p2": [0.9]}
    cases = table({"a": good, "b": {"p1": [0.8], "p2": [math.nan]}, "c": {"p1": [0.7], "p2": [0.1]}})
    ranks = rank(cases, ["dice"]).set_index("method")["mean_rank"]
    assert ranks.to_dict() == {"a": 1.0, "b": 2.5, "c": 2.5}
    assert math.isnan(bootstrap_ci95(np.array([1.0]))[0])
