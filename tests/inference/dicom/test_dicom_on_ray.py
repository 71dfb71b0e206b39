"""DICOM studies on Ray: names that only the worker knows, and nothing of the patient in Ray's logs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from nnunet_cardiac.inference import case
from nnunet_cardiac.inference.on_ray import segment_on_ray
from nnunet_cardiac.inference.ray_worker import Worker
from nnunet_cardiac.inference.results import PredictOptions
from nnunet_cardiac.inference.sources import find_sources

pytestmark = pytest.mark.slow

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class DiesOnce(Worker):
    """Dies in the first attempt, after the first of two series is complete and of the second the label map."""

    def run(self, *arguments: Any) -> Any:
        died = self._options.output.with_name("died")
        write_json = case.write_json

        def write(path: Path, content: Any) -> None:
            if died.exists():
                os._exit(1)
            died.touch()
            write_json(path, content)

        if not died.exists():
            case.write_json = write
        return super().run(*arguments)


def test_a_study_is_completed_after_its_worker_died(
    write_system: Callable[..., Path],
    local_ray: Any,
    scanner: Any,
    heart: np.ndarray,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scanner.folder = tmp_path / "in" / "DOE_JANE"
    image = 2 * np.rint(heart[None, :4].clip(0) / 2)
    scanner.classic(image, number=7)
    scanner.classic(image, number=8, SpacingBetweenSlices=4.75)
    scanner.classic(image, number=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    model = {"folder": write_system("nnUNet"), "device": "cpu"}
    options = PredictOptions(tmp_path / "out")
    sources = find_sources(scanner.folder, 1)
    results = segment_on_ray(
        "auto", model, sources, options, workers=1, threads=1, progress=False, worker_class=DiesOnce
    )
    assert [result.status for result in results] == ["done", "done"]
    names = [result.name for result in results]
    assert all(name.startswith("study-") for name in names)
    assert sorted(os.listdir(options.output)) == sorted(
        f"{name}{end}" for name in names for end in (".json", ".nii.gz")
    )
    assert sum("2 stacks of this study are alike" in message for message in caplog.messages) == 1
    session = Path(local_ray._private.worker._global_node.get_session_dir_path())
    logs = [path for path in (session / "logs").rglob("*") if path.is_file()]
    assert any(path.name.startswith("worker-") for path in logs)
    for secret in (b"DOE", b"JANE", b"774411", scanner.study.encode()):
        assert not [path.name for path in logs if secret in path.read_bytes()]
