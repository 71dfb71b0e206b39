"""What HALSR-Net's trainer says of its regressor after validation, on files with boxes that are known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunet_cardiac.trainers.halsr import HALSRNetTrainer

SHAPE = (3, 40, 30)


class Regressor(torch.nn.Module):
    """Says (5.3, 4, 25, 20) for x_min, y_min, x_max, y_max in pixels of a 30 x 40 image, whatever it sees."""

    def corners_of_case(self, image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        assert (image.dtype, image.shape, size) == (torch.float32, (1, *SHAPE), (48, 32))
        offset = torch.tensor([5, 0, 5, 0])  # columns that fill the image up to a square, on its left
        return ((torch.tensor([5.3, 4.0, 25.0, 20.0]) + offset) / 40).tile(3, 1)


class Preprocessed:
    """A preprocessed data set of one case that nothing was cropped from."""

    def __init__(self, folder: str, cases: list[str]) -> None:
        assert cases == ["a"]

    @staticmethod
    def get_identifiers(folder: str) -> list[str]:
        return ["a"]

    def load_case(self, case: str) -> tuple[np.ndarray, None, None, dict]:
        image = np.random.default_rng(0).normal(size=(1, *SHAPE))
        return image, None, None, {"bbox_used_for_cropping": [[0, n] for n in SHAPE], "shape_before_cropping": SHAPE}


def write(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(labels.astype(np.uint8))
    image.SetSpacing((2.0, 1.0, 8.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What `_report_boxes` needs of a trainer in one of several processes, all of which would have to wait together."""
    monkeypatch.setattr(torch.distributed, "barrier", lambda *a, **k: pytest.fail("one process alone would wait here"))
    reference, drawn = np.zeros(SHAPE), np.zeros(SHAPE)
    reference[:, 4:20, 5:25] = 3
    reference[:, 6:18, 7:23] = 2
    reference[2, 4:20, 25:28] = 1  # a right ventricle, which is no part of the box
    drawn[:, 4:20, 5:25] = 1  # 5.3 is rounded to 5
    write(tmp_path / "preprocessed" / "gt_segmentations" / "a.nii.gz", reference)
    write(tmp_path / "out" / "validation" / "a.nii.gz", drawn)
    write(tmp_path / "out" / "validation" / "of_other_data.nii.gz", drawn)
    lines: list[str] = []
    fake = SimpleNamespace(
        output_folder=str(tmp_path / "out"),
        preprocessed_dataset_folder_base=str(tmp_path / "preprocessed"),
        preprocessed_dataset_folder=str(tmp_path / "preprocessed" / "2d"),
        dataset_class=Preprocessed,
        dataset_json={"file_ending": ".nii.gz"},
        _bare_network=Regressor().train(),
        device=torch.device("cpu"),
        training_patch_size=(48, 32),
        target_labels=[2, 3],
        label_manager=SimpleNamespace(ignore_label=None),
        plans_manager=SimpleNamespace(image_reader_writer_class=SimpleITKIO, transpose_forward=[0, 1, 2]),
        do_split=lambda: pytest.fail("nnU-Net's split waits for all processes"),
        print_to_log_file=lines.append,
        lines=lines,
    )
    fake._boxes_of_cases = lambda: HALSRNetTrainer._boxes_of_cases(fake)
    fake._read_labels = lambda path: HALSRNetTrainer._read_labels(fake, path)
    return fake


def test_corners_as_regressed_and_boxes_as_drawn(trainer: SimpleNamespace) -> None:
    HALSRNetTrainer._report_boxes(trainer)
    summary = json.loads((Path(trainer.output_folder) / "validation" / "summary.json").read_text())
    for name in ("roi_stack", "roi_slice"):
        assert summary[name]["slices"] == 3
        assert summary[name]["rmse_pixels"] == pytest.approx(0.3 / 2, rel=1e-5)  # one of four corners is off
        assert summary[name]["rmse_mm"] == pytest.approx(0.3 * 2 / 2, rel=1e-5)  # by columns, which are 2 mm wide
    assert summary["roi_drawn_stack"]["rmse_mm"] == summary["roi_drawn_slice"]["rmse_mm"] == 0.0
    assert [line.split(":")[0] for line in trainer.lines] == [f"ROI error, {name}" for name in summary]
    assert not trainer._bare_network.training


def test_a_fold_without_targets_is_no_reason_to_fail(trainer: SimpleNamespace) -> None:
    trainer.target_labels = [7]
    HALSRNetTrainer._report_boxes(trainer)
    assert trainer.lines == [
        "ROI error, not computed: no slice has a true box: none of the reference segmentations holds a target label "
        "whose box is known."
    ]
