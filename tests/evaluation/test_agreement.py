"""Bland-Altman against numbers worked out by hand."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_cardiac.evaluation.agreement import add_volume_agreement, bland_altman, volume_agreement


def test_by_hand() -> None:
    # Differences 2, -4, 5: mean 1; deviations 1, -5, 4: squares 42, divided by 2: SD 4.5826.
    found = bland_altman([102.0, 96.0, 105.0], [100.0, 100.0, 100.0])
    assert (found.cases, found.bias_ml) == (3, 1.0)
    assert found.sd_ml == pytest.approx(math.sqrt(21))
    assert found.lower_ml == pytest.approx(1 - 1.96 * math.sqrt(21))
    assert found.upper_ml == pytest.approx(1 + 1.96 * math.sqrt(21))
    assert str(found) == ("bias +1.00 mL (manual - automatic), limits of agreement -7.98 to +9.98 mL, 3 cases")


def test_an_automatic_volume_that_is_too_large_has_a_negative_bias() -> None:
    assert bland_altman([50.0, 60.0], [55.0, 65.0]).bias_ml == -5


def test_pairs_with_a_missing_volume_are_left_out() -> None:
    found = bland_altman([10.0, float("nan"), 20.0], [11.0, 5.0, float("nan")])
    assert (found.cases, found.bias_ml) == (1, -1.0)
    assert math.isnan(found.sd_ml)


@pytest.mark.parametrize(
    ("manual", "automatic", "message"), [([1.0], [1.0, 2.0], "1 manual and 2 automatic"), ([], [], "no pair")]
)
def test_what_cannot_be_compared_is_refused(manual, automatic, message) -> None:
    with pytest.raises(ValueError, match=message):
        bland_altman(manual, automatic)


def test_structures_have_their_own_limits() -> None:
    table = pd.DataFrame(
        {
            "structure": ["LV", "RV", "LV", "RV"],
            "volume_ml_reference": [100.0, 50.0, 110.0, 60.0],
            "volume_ml_prediction": [90.0, 50.0, 100.0, 50.0],
        }
    )
    found = volume_agreement(table)
    assert (found["LV"].bias_ml, found["LV"].sd_ml) == (10, 0)
    assert found["RV"].bias_ml == 5


def test_label_maps_give_millilitres(tmp_path) -> None:
    for folder, voxels in (("manual", 100), ("automatic", 140)):
        (tmp_path / folder).mkdir()
        labels = np.zeros((4, 10, 10), np.uint8)
        labels.ravel()[:voxels] = 1
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing((2.0, 2.5, 10.0))  # 50 mm³
        sitk.WriteImage(image, tmp_path / folder / "a.nii.gz")
    (tmp_path / "automatic" / "summary.json").write_text(json.dumps({"foreground_mean": {"Dice": 0.5}}))
    found = add_volume_agreement(tmp_path / "automatic", tmp_path / "manual", {"LA": 1}, ".nii.gz")
    assert found["LA"].bias_ml == pytest.approx(-2.0)
    summary = json.loads((tmp_path / "automatic" / "summary.json").read_text())
    assert summary["volume_agreement"]["LA"]["bias_ml"] == pytest.approx(-2.0)
    assert summary["foreground_mean"] == {"Dice": 0.5}
