import numpy as np
import pandas as pd
import pytest

from nnunet_cardiac.evaluation.case_metrics import case_metrics
from nnunet_cardiac.evaluation.cases import LabelMapPair
from nnunet_cardiac.evaluation.overlap import dice
from nnunet_cardiac.evaluation.slice_levels import slice_levels
from nnunet_cardiac.evaluation.summary import by_patient, level_table, presence, summary_table

LABELS = {"RV": 1, "MYO": 2, "LV": 3}
SPACING = (8.0, 1.5, 1.25)


def maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    reference = np.zeros((7, 24, 26), np.uint8)
    for z in range(1, 6):
        reference[z, 4 : 20 - z, 2:9] = 1
        reference[z, 4 : 20 - z, 9:22] = 2
        reference[z, 7 : 17 - z, 12:19] = 3
    prediction = np.roll(reference, rng.integers(-1, 2, 2), (1, 2))
    prediction[5] = 0  # the apex is missed
    prediction[0, :3, :3] = 1  # a false positive beyond the base
    return reference, prediction


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    keys = {"method": "m", "run": 0, "phase": "", "group": ""}
    found = {f"p{i}": case_metrics(LabelMapPair(*maps(i), SPACING), LABELS) for i in range(3)}
    parts = [
        pd.DataFrame(
            {**keys, "case": case, "patient": case, **row} for case, m in found.items() for row in getattr(m, name)
        )
        for name in ("structures", "slices")
    ]
    return parts[0], parts[1]


def test_levels_pool_the_voxels_of_their_slices() -> None:
    levels = level_table(tables()[1]).set_index(["case", "structure", "level"])
    for i in range(3):
        reference, prediction = maps(i)
        names = np.array(slice_levels(reference, LABELS))
        for structure, value in LABELS.items():
            for level in ("base", "mid", "apex"):
                chosen = names == level
                expected = dice(reference[chosen] == value, prediction[chosen] == value)
                assert levels.loc[(f"p{i}", structure, level), "dice"] == pytest.approx(expected)
    apex = levels.loc[("p0", "LV", "apex")]
    assert apex["slices_distance_failed"] == 1  # counted, not dropped
    assert levels.loc[("p0", "RV", "outside"), "voxels_prediction"] == 9
    assert levels.loc[("p0", "RV", "outside"), "dice"] == 0


def test_nothing_is_dropped_silently() -> None:
    cases, slices = tables()
    cases.loc[0, ["dice", "hd_mm"]], cases.loc[0, "distance_failed"] = [0.0, np.nan], True
    cases.loc[1, ["dice", "hd_mm"]], cases.loc[1, "both_empty"] = [np.nan, np.nan], True
    summary = summary_table(cases, level_table(slices))
    over_all = summary[(summary["level"] == "all")].set_index(["structure", "metric"])
    failed, absent = cases.loc[0, "structure"], cases.loc[1, "structure"]
    assert over_all.loc[(failed, "dice"), ["cases", "failed", "both_empty"]].tolist() == [3, 1, 0]
    assert over_all.loc[(failed, "hd_mm"), ["cases", "failed", "both_empty"]].tolist() == [2, 1, 0]
    assert over_all.loc[(absent, "dice"), ["cases", "failed", "both_empty"]].tolist() == [2, 0, 1]
    assert over_all.loc[(failed, "dice"), "mean"] == pytest.approx(cases[cases["structure"] == failed]["dice"].mean())
    assert over_all.loc[(failed, "dice"), "sd"] == pytest.approx(
        cases[cases["structure"] == failed]["dice"].std(ddof=1)
    )


def test_presence_of_structures_in_slices() -> None:
    table = presence(tables()[1]).set_index(["structure", "level"])
    row = table.loc[("RV", "all")]
    # three cases of six labelled slices: five true ones, the last missed, one false beyond the base
    assert row[["slices", "true_positive", "false_positive", "false_negative", "true_negative"]].tolist() == [
        18,
        12,
        3,
        3,
        0,
    ]
    assert row["accuracy"] == pytest.approx(12 / 18)
    assert row["f1"] == pytest.approx(24 / 30)
    assert table.loc[("RV", "beyond_base"), "false_positive"] == 3
    assert table.loc[("RV", "base"), "true_positive"] == 6
    assert ("RV", "beyond_apex") not in table.index
    by_level = table.drop(index="all", level="level")
    assert by_level.loc["RV", "slices"].sum() == 18


@pytest.mark.parametrize("base_last", [True, False])
def test_presence_tells_the_ends_apart(base_last: bool) -> None:
    levels = ["outside", "apex", "mid", "base", "outside", "outside"]
    truth, found = [0, 1, 1, 1, 0, 0], [1, 1, 1, 0, 1, 1]  # one false slice at the apex, two at the base
    slices = pd.DataFrame(
        {
            "method": "m", "run": 0, "case": "a", "structure": "RV", "level": levels,
            "slice": range(6) if base_last else range(5, -1, -1),
            "voxels_reference": truth, "voxels_prediction": found, "voxels_ignored": 0,
        }
    )  # fmt: skip
    alone = slices.iloc[[3, 4]].assign(case="b")  # one labelled slice: nobody knows where the base is
    table = presence(pd.concat([slices, alone])).set_index("level")
    assert table["false_positive"].to_dict() == {
        "all": 4, "base": 0, "mid": 0, "apex": 0, "beyond_base": 2, "beyond_apex": 1, "outside": 1,
    }  # fmt: skip
    assert table.loc["base", "false_negative"] == 2


def test_by_patient() -> None:
    cases = tables()[0].assign(patient=["a"] * 6 + ["b"] * 3)
    found = by_patient(cases).set_index(["patient", "structure"])
    expected = cases[(cases["patient"] == "a") & (cases["structure"] == "LV")]["dice"].mean()
    assert found.loc[("a", "LV"), "dice"] == pytest.approx(expected)
    assert found["cases"].tolist() == [2, 2, 2, 1, 1, 1]
