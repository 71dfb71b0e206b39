"""The classifier-guided network through nnU-Net's own commands, on stacks of any length."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json

pytestmark = pytest.mark.slow

TRAINER = "ClassifierGuidedTrainer_1epochs"
NARROW = {"features": [4, 8, 8], "heads": 2, "layers": 1, "hidden": 8}


@pytest.fixture(scope="module")
def trained(make_workspace):
    """Planned by the command, preprocessed on the grid of its own, both configurations trained on fold 0."""
    space = make_workspace("sax", number=941, configurations=("2d",))
    printed = space.run("nnunet_cardiac", "plan", "-d", space.number, "-tr", "ClassifierGuidedTrainer")
    assert f"nnUNetv2_preprocess -d {space.number} -c 2d_stack " in printed
    path = space.preprocessed / "nnUNetPlans.json"
    plans = read_json(path)
    for name in ("2d_stack", "2d_stack_single"):
        plans["configurations"][name]["architecture"]["arch_kwargs"].update(NARROW)
        plans["configurations"][name]["recipe"] = {"iterations": 3, "val_iterations": 2, "initial_lr": 1e-3}
    write_json(path, plans)
    space.run("nnUNetv2_preprocess", "-d", space.number, "-c", "2d_stack", "-np", 1)
    space.train("2d_stack", 0, trainer=TRAINER)
    space.train("2d_stack_single", 0, trainer=TRAINER)
    return space


def test_the_classifier_reports_in_log_and_summary(trained) -> None:
    fold = trained.model("2d_stack", TRAINER) / "fold_0"
    presence = read_json(fold / "validation" / "summary.json")["presence"]
    assert set(presence) == {"LV", "MYO", "RV"}
    for scores in presence.values():
        assert {"all", "base", "mid", "apex"} <= set(scores)
        assert scores["all"]["slices"] == sum(scores[level]["slices"] for level in scores if level != "all")
        assert 0 <= scores["all"]["accuracy"] <= 1
        assert math.isnan(scores["all"]["f1"]) or 0 <= scores["all"]["f1"] <= 1
    log = next(fold.glob("training_log*.txt")).read_text()
    assert "Presence of RV: accuracy " in log
    assert "Presence of MYO (apex): accuracy " in log


def test_the_ablation_has_no_classifier(trained) -> None:
    fold = trained.model("2d_stack_single", TRAINER) / "fold_0"
    assert "presence" not in read_json(fold / "validation" / "summary.json")


def test_stacks_of_one_to_eighteen_slices_are_predicted(trained, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    source = sitk.ReadImage(next((trained.raw / "imagesTs").glob("*.nii.gz")))
    for slices in (1, 4, 10, 18):
        order = [z % source.GetDepth() for z in range(slices)]
        stack = sitk.GetImageFromArray(sitk.GetArrayFromImage(source)[order])
        stack.SetSpacing(source.GetSpacing())
        sitk.WriteImage(stack, images / f"stack{slices:02d}_0000.nii.gz")
    words = ["nnUNetv2_predict", "-i", images, "-o", tmp_path / "out", "-d", trained.number, "-c", "2d_stack"]
    trained.run(*words, "-tr", TRAINER, "-f", 0, "-device", "cpu", "-npp", 0, "-nps", 0)
    for slices in (1, 4, 10, 18):
        result = sitk.ReadImage(tmp_path / "out" / f"stack{slices:02d}.nii.gz")
        assert result.GetSize() == (*source.GetSize()[:2], slices)
        assert set(np.unique(sitk.GetArrayFromImage(result))) <= {0, 1, 2, 3}


def test_other_configurations_are_refused(trained) -> None:
    with pytest.raises(UserError, match=r"trains on whole stacks.*configuration '2d' is none"):
        trained.train("2d", 0, trainer=TRAINER)
