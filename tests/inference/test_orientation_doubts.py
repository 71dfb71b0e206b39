"""A prediction that contradicts the header of its image: in the JSON file and in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.cli import main
from nnunet_cardiac.files import read_json
from nnunet_cardiac.inference.predictor import CardiacPredictor

#: x to the back and left, y to the feet, z from apex to base.
DIRECTION = np.array([[0.6, 0.0, -0.8], [0.8, 0.0, 0.6], [0.0, -1.0, 0.0]])


def labels(frames: int) -> np.ndarray:
    """Ventricles side by side, the right one at -x: (T, Z, Y, X)."""
    found = np.zeros((frames, 6, 32, 40), np.uint8)
    y, x = np.mgrid[:32, :40]
    found[..., np.hypot(y - 16, x - 12) < 6] = 1
    found[..., np.hypot(y - 16, x - 26) < 9] = 2
    found[..., np.hypot(y - 16, x - 26) < 6] = 3
    return found


@pytest.fixture
def warnings_of(
    write_system: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[np.ndarray], list[str]]:
    """Runs `predict` on an image in which the network finds given label maps, and returns the warnings it records."""
    model = write_system("nnUNet")

    def run(found: np.ndarray) -> list[str]:
        monkeypatch.setattr(CardiacPredictor, "predict_frames", lambda *_, **__: found.copy())
        pixels = np.random.default_rng(0).random(found.shape, np.float32)
        image = sitk.JoinSeries([sitk.GetImageFromArray(one) for one in pixels])
        if len(found) == 1:
            image = sitk.GetImageFromArray(pixels[0])
        n = image.GetDimension()
        direction = np.eye(n)
        direction[:3, :3] = DIRECTION
        image.SetDirection(direction.ravel().tolist())
        image.SetSpacing((1.5, 1.5, 9.0, 1.0)[:n])
        sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
        words = ["predict", "-i", tmp_path / "a.nii.gz", "-o", tmp_path / "out", "-m", model, "-device", "cpu"]
        assert main([str(word) for word in [*words, "--threads", 1, "--quiet", "--overwrite"]]) == 0
        return list(read_json(tmp_path / "out" / "a.json")["warnings"])

    return run


@pytest.mark.parametrize("frames", [1, 3])
def test_a_mirrored_image_is_told(
    warnings_of: Callable[[np.ndarray], list[str]], caplog: pytest.LogCaptureFixture, frames: int
) -> None:
    with caplog.at_level(logging.WARNING):
        doubts = [text for text in warnings_of(labels(frames)[..., ::-1]) if "right ventricle" in text]
    assert len(doubts) == 1
    assert doubts[0].startswith("The right ventricle lies 180 degrees from where the header of the image puts right")
    assert f"a: {doubts[0]}" in caplog.messages


def test_a_true_header_is_believed(warnings_of: Callable[[np.ndarray], list[str]]) -> None:
    assert not [text for text in warnings_of(labels(3)) if "header" in text]
    # one frame of three is no majority
    mixed = labels(3)
    mixed[1] = mixed[1, ..., ::-1]
    assert not [text for text in warnings_of(mixed) if "header" in text]
