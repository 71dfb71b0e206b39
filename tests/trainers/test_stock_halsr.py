"""The three configurations of HALSR-Net through nnU-Net's own commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.planning.options import CropOptions
from nnunet_cardiac.planning.plan import plan_configurations

pytestmark = pytest.mark.slow

TRAINER = "HALSRNetTrainer_1epochs"


@pytest.fixture(scope="module")
def trained(workspace):
    """All configurations trained on fold 0."""
    for configuration in ("2d", "2d_roi", "2d_crop"):
        workspace.train(configuration, 0, trainer=TRAINER)
    return workspace


def test_the_regressor_reports_the_error_of_its_boxes(trained) -> None:
    fold = trained.model("2d_roi", TRAINER) / "fold_0"
    summary = read_json(fold / "validation" / "summary.json")
    for name in ("roi_stack", "roi_slice", "roi_drawn_stack", "roi_drawn_slice"):
        assert summary[name]["slices"] > 5
        assert summary[name]["missed"] == 0
        assert 0 < summary[name]["rmse_mm"] < 200
    assert "ROI error, roi_stack: RMSE " in next(fold.glob("training_log*.txt")).read_text()


def test_the_regressors_boxes_are_handed_on(trained) -> None:
    handed_on = trained.model("2d_roi", TRAINER) / "predicted_next_stage" / "2d_crop"
    val = set(read_json(trained.preprocessed / "splits_final.json")[0]["val"])
    assert {path.stem for path in handed_on.glob("*.b2nd")} == val
    plans = read_json(trained.model("2d_crop", TRAINER) / "plans.json")
    assert plans["configurations"]["2d_crop"]["previous_stage"] == "2d_roi"


def test_the_log_tells_of_early_stopping(trained) -> None:
    log = next((trained.model("2d_crop", TRAINER) / "fold_0").glob("training_log*.txt")).read_text()
    assert "training stops at 20" in log
    assert "The final weights are the best ones, of epoch 0." in log


def test_localiser_and_segmenter_predict_unseen_patients(trained, tmp_path: Path) -> None:
    trained.predict("2d_roi", tmp_path / "boxes", "-f", 0, trainer=TRAINER)
    trained.predict(
        "2d_crop", tmp_path / "fine", "-f", 0, "-prev_stage_predictions", tmp_path / "boxes", trainer=TRAINER
    )
    for path in sorted((trained.raw / "labelsTs").glob("*.nii.gz")):
        reference = sitk.ReadImage(path)
        box, fine = (sitk.ReadImage(tmp_path / folder / path.name) for folder in ("boxes", "fine"))
        assert box.GetSize() == fine.GetSize() == reference.GetSize()
        drawn = sitk.GetArrayFromImage(box)
        assert set(np.unique(drawn)) == {0, 1}
        assert (drawn == drawn[:1]).all()  # one box for the stack
        rows, columns = np.flatnonzero(drawn[0].any(1)), np.flatnonzero(drawn[0].any(0))
        assert drawn[0].sum() == len(rows) * len(columns)
        assert set(np.unique(sitk.GetArrayFromImage(fine))) <= {0, 1, 2, 3}


def test_the_window_can_come_from_another_system(workspace, tmp_path: Path) -> None:
    plans = read_json(workspace.preprocessed / "nnUNetPlans.json")
    write_json(workspace.preprocessed / "nnUNetPlansMixed.json", {**plans, "plans_name": "nnUNetPlansMixed"})
    localiser = "CroCNetTrainer_1epochs"
    options = CropOptions(coarse_labels="simulated", localiser="2d", localiser_trainer=localiser)
    path = plan_configurations(
        workspace.preprocessed, "nnUNetPlansMixed", "HALSRNetTrainer", options, progress=False
    ).path
    workspace.narrow(path)
    mixed = ("-p", "nnUNetPlansMixed")
    with pytest.raises(UserError, match=f"predictions of 2d.*are missing(.|\n)*-tr {localiser}"):
        workspace.train("2d_crop", 0, *mixed, trainer=TRAINER)
    workspace.train("2d", 0, *mixed, trainer=localiser)
    workspace.train("2d_crop", 0, *mixed, trainer=TRAINER)
    workspace.predict("2d", tmp_path / "coarse", "-f", 0, *mixed, trainer=localiser)
    previous = ("-prev_stage_predictions", tmp_path / "coarse")
    workspace.predict("2d_crop", tmp_path / "fine", "-f", 0, *mixed, *previous, trainer=TRAINER)
    for path in sorted((workspace.raw / "labelsTs").glob("*.nii.gz")):
        assert sitk.ReadImage(tmp_path / "fine" / path.name).GetSize() == sitk.ReadImage(path).GetSize()


def test_plans_for_short_trainings(workspace, tmp_path: Path) -> None:
    """The recommended way: `plan --short`, then one training on whole slices."""
    workspace.run("nnunet_cardiac", "plan", "-d", workspace.number, "-tr", "HALSRNetTrainer", "--short")
    plans = ("-p", "nnUNetPlansShort")
    log = workspace.train("2d", 0, *plans, trainer=TRAINER)
    assert "A step has 2 samples: recipe.batch_size of 2d in nnUNetPlansShort.json." in log  # ours in `2d` is kept
    assert "Epoch 0" in log
    assert "Epoch 1" not in log  # the name says one epoch, the plans 100
    workspace.predict("2d", tmp_path / "whole", "-f", 0, *plans, trainer=TRAINER)
    assert len(list((tmp_path / "whole").glob("*.nii.gz"))) == len(list((workspace.raw / "labelsTs").glob("*.nii.gz")))
