"""In float32 and without mirroring, the label map is that of nnU-Net's own predictor, stage after stage."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunet_cardiac.inference import CardiacPredictor
from nnunet_cardiac.inference.model_folder import find_stages
from nnunet_cardiac.workflow.environment import EXTERNAL_TRAINERS, with_trainers

SPACING = (9.0, 1.3, 1.45)


@pytest.fixture
def image_folder(heart: np.ndarray, tmp_path: Path) -> Path:
    """The image as a file of nnU-Net's raw format."""
    return write_image(heart, tmp_path / "images")


def write_image(array: np.ndarray, folder: Path) -> Path:
    """Write an image into a folder; NIfTI rounds the spacing to single precision."""
    folder.mkdir()
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING[::-1])
    sitk.WriteImage(image, folder / "case_0000.nii.gz")
    return folder


def predict_stage_after_stage(
    model: Path, folds: tuple[str, ...], images: Path, output: Path, mirroring: bool = False
) -> list[np.ndarray]:
    """What `nnUNetv2_predict -npp 0 -nps 0` does, once for each stage, with files in between."""
    maps, previous = [], None
    for stage in find_stages(model, folds):
        predictor = nnUNetPredictor(use_mirroring=mirroring, device=torch.device("cpu"), allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(stage.folder), folds)
        folder = output / stage.configuration
        folder.mkdir(parents=True)
        predictor.predict_from_files_sequential(str(images), str(folder), folder_with_segs_from_prev_stage=previous)
        previous = str(folder)
        maps.append(sitk.GetArrayFromImage(sitk.ReadImage(folder / "case.nii.gz")))
    return maps


@pytest.fixture(autouse=True)
def find_our_trainers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXTERNAL_TRAINERS, with_trainers(os.environ)[EXTERNAL_TRAINERS])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "folds", "mirroring", "plans"),
    [
        ("CroCNet", ("0",), False, {}),
        ("CroCNet", ("0", "1"), False, {}),
        ("CroCNet", ("0",), True, {}),
        ("HALSR", ("0",), False, {}),
        ("HALSR", ("0", "1"), False, {}),
        ("guided", ("0", "1"), False, {}),
        ("guided", ("0",), True, {}),
        ("DRUNet", ("0",), False, {}),
        ("DRUNetJoint", ("0", "1"), False, {}),
        ("nnUNet", ("0", "1"), False, {"transpose_forward": [2, 0, 1], "transpose_backward": [1, 2, 0]}),
    ],
)
def test_equals_the_stock_predictor(
    system: str,
    folds: tuple[str, ...],
    mirroring: bool,
    plans: dict,
    write_system: Callable[..., Path],
    image_folder: Path,
    tmp_path: Path,
) -> None:
    model = write_system(system, folds, **plans)
    reference = assert_same_answer(model, folds, mirroring, image_folder, tmp_path / "stock")
    assert 0.01 < np.mean(reference[-1] > 0) < 0.99  # otherwise equality says little


@pytest.mark.slow
@pytest.mark.parametrize("times", [1.25, 2])
@pytest.mark.parametrize("system", ["CroCNet", "HALSR", "guided", "DRUNet", "DRUNetJoint"])
def test_equals_the_stock_predictor_on_images_larger_than_the_patch(
    system: str, times: float, write_system: Callable[..., Path], heart: np.ndarray, tmp_path: Path
) -> None:
    side = round(96 * times)
    wide = np.pad(heart, ((0, 0), (0, side - 92), (30, side - 107)), mode="reflect")
    folder = write_image(wide, tmp_path / "images")
    assert_same_answer(write_system(system), ("0",), True, folder, tmp_path / "stock")


def assert_same_answer(
    model: Path, folds: tuple[str, ...], mirroring: bool, image_folder: Path, output: Path
) -> list[np.ndarray]:
    """Compare the label maps of all stages with the stock predictor's, and return those."""
    reference = predict_stage_after_stage(model, folds, image_folder, output, mirroring)
    image = sitk.ReadImage(image_folder / "case_0000.nii.gz")
    predictor = CardiacPredictor.from_folder(model, folds=folds, device="cpu", precision="fp32", mirroring=mirroring)
    spacing = image.GetSpacing()[::-1]
    results = predictor.run_stages(predictor.checked(sitk.GetArrayFromImage(image), spacing), spacing)
    assert len(results) == len(reference)
    for result, expected in zip(results, reference, strict=True):
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)
    return reference


def test_batches_of_slices_change_rounding_only(write_system: Callable[..., Path], heart: np.ndarray) -> None:
    model = write_system("nnUNet")
    one, many = (CardiacPredictor.from_folder(model, device="cpu", precision="fp32", batch=n) for n in (1, 5))
    assert np.mean(one.predict(heart, SPACING) == many.predict(heart, SPACING)) > 0.999


def test_bfloat16_stays_close(write_system: Callable[..., Path], heart: np.ndarray) -> None:
    model = write_system("nnUNet")
    exact, fast = (CardiacPredictor.from_folder(model, device="cpu", precision=name) for name in ("fp32", "bf16"))
    assert np.mean(exact.predict(heart, SPACING) == fast.predict(heart, SPACING)) > 0.97
