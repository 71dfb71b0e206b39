"""The checks for a machine with a GPU: on a toy they pass without one, and they notice what they look for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.gpu import check_cuda

SCRIPT = Path(check_cuda.__file__)


@pytest.mark.slow
def test_every_check_passes_on_the_processor() -> None:
    words = [sys.executable, str(SCRIPT), "--device", "cpu", "--toy"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    trained = [("training", " ".join(stage)) for stage in check_cuda.STAGES]
    assert [(line["check"], line["subject"]) for line in lines] == [
        *trained,
        *(("prediction", system) for system in check_cuda.SYSTEMS),
    ]
    assert all(line["passed"] and line["peak_mib"] > 0 for line in lines)
    assert all(len(line["losses"]) == 2 for line in lines[: len(trained)])
    assert {stage.split()[0] for _, stage in trained} >= {
        "CroCNetTrainer",
        "HALSRNetTrainer",
        "ClassifierGuidedTrainer",
        "DRUNetTrainer",
    }


def test_a_failed_check_is_told_and_the_others_run(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def broken(*_: object) -> dict:
        print("words of nnU-Net")
        raise RuntimeError("out of memory")

    monkeypatch.setattr(check_cuda, "phantom_data", lambda folder: None)
    monkeypatch.setattr(check_cuda, "check_training", broken)
    monkeypatch.setattr(check_cuda, "check_prediction", lambda *_: {"different": 0.0, "problems": []})
    assert check_cuda.main(["--device", "cpu"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["passed"] for line in lines] == [False] * len(check_cuda.STAGES) + [True] * len(check_cuda.SYSTEMS)
    assert lines[0]["problems"] == ["RuntimeError: out of memory"]
    monkeypatch.setattr(check_cuda, "check_training", lambda *_: {"problems": []})
    assert check_cuda.main(["--device", "cpu"]) == 0


def test_without_a_gpu_nothing_passes(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(check_cuda.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        check_cuda.main([])
    assert "torch sees no GPU" in capsys.readouterr().err


def test_other_labels_are_counted() -> None:
    labels = np.zeros((2, 5, 4), np.uint8)
    other = labels.copy()
    other[1, 2, 1:3] = 3
    assert check_cuda.share_of_different(other, labels) == 2 / 40
    with pytest.raises(ValueError, match=r"\(2, 5, 4\) and \(5, 4\)"):
        check_cuda.share_of_different(labels, labels[0])


def test_a_device_that_labels_otherwise_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Predictor:
        def __init__(self, batch: int) -> None:
            self.batch = batch

        @classmethod
        def from_folder(cls, folder: Path, *, batch: int, **_: object) -> Predictor:
            return cls(batch)

        def predict(self, image: np.ndarray, spacing_mm: object) -> np.ndarray:
            labels = np.zeros(image.shape, np.uint8)
            labels[:, :9, :9] = 1
            labels[0, 0, :20] = self.batch  # 20 of 7 * 92 * 77 voxels, 4e-4
            return labels

    monkeypatch.setattr(check_cuda, "CardiacPredictor", Predictor)
    found = check_cuda.check_prediction(tmp_path, "nnUNet", "cpu")
    assert found["different"] == 20 / (7 * 92 * 77)
    assert found["problems"] == [f"a share of different voxels above {check_cuda.MOST_DIFFERENT}"]
