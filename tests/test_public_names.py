"""What `import nnunet_cardiac` offers, and that it costs nothing before it is used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

import nnunet_cardiac
from nnunet_cardiac.files import write_json

HEAVY = ("torch", "numpy", "pandas", "nnunetv2")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_import_is_light() -> None:
    loaded = json.loads(run("import json, sys, nnunet_cardiac; print(json.dumps(list(sys.modules)))"))
    assert not set(HEAVY) & set(loaded)


def test_the_import_is_quick() -> None:
    took = []
    for _ in range(5):  # the quickest counts: the machine may do other things
        code = "import time; start = time.perf_counter(); import nnunet_cardiac; print(time.perf_counter() - start)"
        took.append(float(run(code)))
    assert min(took) < 0.2


def test_public_names_are_what_the_commands_call() -> None:
    from nnunet_cardiac.evaluation.folders import evaluate_folders
    from nnunet_cardiac.inference.predictor import CardiacPredictor
    from nnunet_cardiac.planning.plan import plan_configurations

    assert nnunet_cardiac.CardiacPredictor is CardiacPredictor
    assert nnunet_cardiac.evaluate is evaluate_folders
    assert nnunet_cardiac.plan is plan_configurations
    assert set(nnunet_cardiac.__all__) == {"CardiacPredictor", "__version__", "evaluate", "plan"}
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        _ = nnunet_cardiac.predict


def test_folders_are_evaluated(tmp_path: Path) -> None:
    """A square of 4 x 4 pixels and one that lies a pixel beside it: 12 of 16 shared, Dice 0.75."""
    for name, left in (("reference", 3), ("prediction", 4)):
        labels = sitk.Image(12, 12, 1, sitk.sitkUInt8)
        for row in range(4):
            for column in range(4):
                labels[left + column, 5 + row, 0] = 1
        (tmp_path / name).mkdir()
        sitk.WriteImage(labels, str(tmp_path / name / "patient001_frame01.nii.gz"))
    write_json(tmp_path / "dataset.json", {"labels": {"background": 0, "LV": 1}})
    results = nnunet_cardiac.evaluate(tmp_path / "reference", {"A": tmp_path / "prediction"}, labels={"LV": 1})
    (row,) = results.table("cases").to_dict("records")
    assert (row["method"], row["structure"], row["dice"]) == ("A", "LV", pytest.approx(0.75))
