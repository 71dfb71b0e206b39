"""What runs in an actor, here in this process: the same results, and no message but in what it returns."""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference import CardiacPredictor, cohort
from nnunet_cardiac.inference.ray_worker import Worker, show, write_witness
from nnunet_cardiac.inference.results import PredictOptions
from nnunet_cardiac.inference.sources import find_sources


@pytest.fixture
def log_of_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker takes the log of its process over; give it back."""
    package = logging.getLogger("nnunet_cardiac")
    level = package.level
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))
    yield
    logging.captureWarnings(False)
    package.setLevel(level)
    sitk.ProcessObject.SetGlobalWarningDisplay(True)


@pytest.fixture
def model(write_system: Callable[..., Path]) -> dict[str, Any]:
    return {"folder": write_system("nnUNet"), "device": "cpu", "precision": "fp32"}


@pytest.mark.usefixtures("log_of_this_process")
def test_two_cases_at_a_time(
    model: dict[str, Any], heart: np.ndarray, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "out").mkdir()
    for number, name in enumerate("abcd"):
        image = sitk.GetImageFromArray(heart[:2] + 9 * number)
        image.SetSpacing((1.5, 1.5, 9.0))
        sitk.WriteImage(image, tmp_path / "images" / f"{name}.nii.gz")
    (tmp_path / "images" / "c.nii.gz").write_bytes(b"no image")
    sources = find_sources(tmp_path / "images", 1)
    worker = Worker(model, PredictOptions(tmp_path / "out"), threads=1)
    worker.load(write_witness(tmp_path / "out"))
    with ThreadPoolExecutor(2) as actor:
        answers = list(actor.map(lambda source: worker.run(source, None), sources))
    warnings.warn("of a library", stacklevel=1)
    answers.append(worker.run(sources[0], None))  # refused: it is there
    results = [result for results, _ in answers for result in results]
    assert [result.status for result in results] == ["done", "done", "failed", "done", "failed"]
    messages = [message for _, messages in answers for message in messages]
    assert [text.split(":")[0] for _, level, text in messages if level == logging.ERROR] == ["c failed", "a failed"]
    assert any("of a library" in text for _, _, text in messages)
    captured = capfd.readouterr()
    assert "failed" not in captured.err + captured.out
    assert "of a library" not in captured.err + captured.out

    cohort.segment(CardiacPredictor.from_folder(**model), sources, PredictOptions(tmp_path / "alone"), progress=False)
    for name in "abd":
        files = [folder / f"{name}.nii.gz" for folder in (tmp_path / "out", tmp_path / "alone")]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.usefixtures("log_of_this_process")
def test_another_output_folder_under_the_same_path(model: dict[str, Any], tmp_path: Path) -> None:
    worker = Worker(model, PredictOptions(tmp_path), threads=1)
    here = f"{socket.gethostname()}: {tmp_path} is not the folder that the calling machine sees under this name"
    with pytest.raises(UserError, match=here):
        worker.load(tmp_path / "written-elsewhere")


def test_messages_are_shown_by_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    show([("nnunet_cardiac.inference.case", logging.WARNING, "50 % of %s")])
    assert caplog.record_tuples == [("nnunet_cardiac.inference.case", logging.WARNING, "50 % of %s")]
