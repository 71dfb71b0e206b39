"""Agreement of volumes: millilitres, sign and the entry in the summary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.evaluation.agreement import agreement
from nnunet_cardiac.evaluation.volume_agreement import add_volume_agreement, limits_line


def test_line_by_hand() -> None:
    # Differences 2, -4, 5: mean 1; deviations 1, -5, 4: squares 42, divided by 2: SD 4.5826.
    found = agreement([102.0, 96.0, 105.0], [100.0, 100.0, 100.0])
    assert limits_line(found) == "bias +1.00 mL (manual - automatic), limits of agreement -7.98 to +9.98 mL, 3 cases"


def test_label_maps_give_millilitres(tmp_path: Path) -> None:
    for folder, voxels in (("manual", 100), ("automatic", 140)):
        (tmp_path / folder).mkdir()
        labels = np.zeros((4, 10, 10), np.uint8)
        labels.ravel()[:voxels] = 1
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing((2.0, 2.5, 10.0))  # 50 mm³
        sitk.WriteImage(image, tmp_path / folder / "a.nii.gz")
    (tmp_path / "automatic" / "summary.json").write_text(json.dumps({"foreground_mean": {"Dice": 0.5}}))
    found = add_volume_agreement(tmp_path / "automatic", tmp_path / "manual", {"LA": 1}, ".nii.gz")
    assert found["LA"].bias == pytest.approx(-2.0)  # the automatic volume is too large
    summary = json.loads((tmp_path / "automatic" / "summary.json").read_text())
    assert summary["volume_agreement"]["LA"]["bias"] == pytest.approx(-2.0)
    assert summary["foreground_mean"] == {"Dice": 0.5}


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no label map"):
        add_volume_agreement(tmp_path, tmp_path, {"LA": 1}, ".nii.gz")
