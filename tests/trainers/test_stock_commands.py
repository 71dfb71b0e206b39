"""Both stages through nnU-Net's own commands, as a user types them."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json

pytestmark = pytest.mark.slow


def labels(folder: Path) -> dict[str, np.ndarray]:
    return {p.name: sitk.GetArrayFromImage(sitk.ReadImage(p)) for p in sorted(folder.glob("*.nii.gz"))}


@pytest.fixture(scope="module")
def trained(workspace):
    """Both stages trained on fold 0."""
    with pytest.raises(UserError, match=r"crops from the predictions of 2d.*are missing") as refused:
        workspace.train("2d_crop", 0)
    assert "nnUNetv2_train Dataset921_Phantom 2d 0 -tr CroCNetTrainer_1epochs" in str(refused.value)
    assert "cases for validation need predictions." in str(refused.value)
    workspace.train("2d", 0)
    workspace.train("2d_crop", 0)
    return workspace


def test_results_lie_where_nnunet_puts_them(trained) -> None:
    for configuration in ("2d", "2d_crop"):
        fold = trained.model(configuration) / "fold_0"
        assert (fold / "checkpoint_final.pth").is_file()
        assert 0 <= read_json(fold / "validation" / "summary.json")["foreground_mean"]["Dice"] <= 1
    val = set(read_json(trained.preprocessed / "splits_final.json")[0]["val"])
    handed_on = trained.model("2d") / "predicted_next_stage" / "2d_crop"
    assert {p.stem for p in handed_on.glob("*.b2nd")} == val


def test_both_stages_predict_and_keep_the_geometry(trained, tmp_path: Path) -> None:
    trained.predict("2d", tmp_path / "coarse", "-f", 0)
    trained.predict("2d_crop", tmp_path / "fine", "-f", 0, "-prev_stage_predictions", tmp_path / "coarse")
    for path in sorted((trained.raw / "labelsTs").glob("*.nii.gz")):
        reference, result = sitk.ReadImage(path), sitk.ReadImage(tmp_path / "fine" / path.name)
        assert result.GetSize() == reference.GetSize()
        np.testing.assert_allclose(result.GetSpacing(), reference.GetSpacing(), rtol=1e-5)
        np.testing.assert_allclose(result.GetOrigin(), reference.GetOrigin(), atol=1e-3)
        np.testing.assert_allclose(result.GetDirection(), reference.GetDirection(), atol=1e-5)
        assert set(np.unique(sitk.GetArrayFromImage(result))) <= {0, 1, 2, 3}
    with pytest.raises(UserError, match=r"requires the segmentations of the previous stage \(2d\)"):
        trained.predict("2d_crop", tmp_path / "alone", "-f", 0)


def test_one_seed_gives_one_label_map(trained, tmp_path: Path) -> None:
    trained.predict("2d", tmp_path / "first", "-f", 0, "--disable_tta")
    trained.train("2d", 0)
    trained.predict("2d", tmp_path / "second", "-f", 0, "--disable_tta")
    first, second = labels(tmp_path / "first"), labels(tmp_path / "second")
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_resume_validation_and_probabilities(trained) -> None:
    fold = trained.model("2d_crop") / "fold_0"
    os.replace(fold / "checkpoint_final.pth", fold / "checkpoint_latest.pth")
    assert "Validation complete" in trained.train("2d_crop", 0, "--c")
    assert (fold / "checkpoint_final.pth").is_file()
    assert "Validation complete" in trained.train("2d_crop", 0, "--val", "--npz")
    assert list((fold / "validation").glob("*.npz"))


def test_a_truncated_checkpoint_is_named(trained) -> None:
    path = trained.model("2d_crop") / "fold_0" / "checkpoint_final.pth"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match=r"checkpoint_final\.pth"):
            trained.train("2d_crop", 0, "--c")
    finally:
        path.write_bytes(whole)


def test_ablations_have_result_folders_of_their_own(trained) -> None:
    # Their coarse labels are those of the same first stage; its validation hands them on to every configuration.
    for configuration in ("2d_crop_single", "2d_crop_uncoupled"):
        trained.train(configuration, 0)
        assert (trained.model(configuration) / "fold_0" / "validation" / "summary.json").is_file()


def test_fold_all_and_ensemble_of_folds(trained, tmp_path: Path) -> None:
    trained.train("2d", "all")
    trained.train("2d", 1)
    trained.predict("2d", tmp_path / "ensemble", "-f", 0, 1)
    trained.predict("2d", tmp_path / "all", "-f", "all")
    assert len(labels(tmp_path / "ensemble")) == len(labels(tmp_path / "all")) == 2


def test_a_patch_that_the_network_cannot_take_is_refused_before_training(workspace) -> None:
    path = workspace.preprocessed / "nnUNetPlans.json"
    plans = read_json(path)
    odd = copy.deepcopy(plans)
    odd["configurations"]["2d"]["patch_size"] = [72, 72]
    try:
        write_json(path, odd)
        with pytest.raises(UserError) as failure:
            workspace.train("2d", 2)
    finally:
        write_json(path, plans)
    assert "patch_size is [72, 72]" in str(failure.value)
    assert "[80, 80]" in str(failure.value)
    assert not list((workspace.model("2d") / "fold_2").glob("checkpoint*"))
