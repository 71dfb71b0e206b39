"""A test set in which voxels of one patient have no reference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.benchmark.accuracy.data import Data
from nnunet_cardiac.benchmark.accuracy.result_line import results
from nnunet_cardiac.evaluation.table import Method, evaluate

LABELS, IGNORE = {"RV": 1, "MYO": 2, "LV": 3}, 4


def heart(radius: float) -> np.ndarray:
    z, y, x = np.mgrid[:6, :32, :36].astype(float)
    out = np.zeros(z.shape, np.uint8)
    out[np.hypot(y - 16, x - 9) < radius - 1] = 1
    out[np.hypot(y - 16, x - 22) < radius + 3] = 2
    out[np.hypot(y - 16, x - 22) < radius] = 3
    return out


@pytest.mark.parametrize("partly", [["p1"], ["p1", "p2"]], ids=["one of two", "all"])
def test_what_is_not_known_is_empty_in_the_results(tmp_path: Path, partly: list[str]) -> None:
    cases = [f"{patient}_frame{frame:02d}" for patient in ("p1", "p2") for frame in (1, 9)]
    for case in cases:
        radius = 8.0 if case.endswith("01") else 5.0
        reference, prediction = heart(radius), heart(radius - 0.5)
        if case[:2] in partly:
            reference[:, :, 20:] = IGNORE
        for folder, array in (("gt", reference), ("pred", prediction)):
            (tmp_path / folder).mkdir(exist_ok=True)
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((1.5, 1.5, 8.0))
            sitk.WriteImage(image, str(tmp_path / folder / f"{case}.nii.gz"))
    methods = [Method("m", (tmp_path / "pred",))]
    found = evaluate(tmp_path / "gt", methods, LABELS, ignore_label=IGNORE, check_order=False, progress=False)
    content = results(found, Data(tmp_path, (), tuple(cases), {}, "x"))
    json.dumps(content, allow_nan=False)
    rows = [dict(zip(content["cases"]["columns"], row, strict=True)) for row in content["cases"]["rows"]]
    assert len(rows) == 12
    for row in rows:
        assert row["dice"] > 0.5
        assert (row["hd95_pooled_mm"] is None) == (f"p{row['patient']}" in partly)
    errors = [dict(zip(content["patients"]["columns"], row, strict=True)) for row in content["patients"]["rows"]]
    known = {f"p{row['patient']}" for row in errors if row["LV EF"] is not None}
    assert known == {"p1", "p2"} - set(partly)
