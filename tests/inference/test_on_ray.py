"""On a Ray of this machine: the same files as one process writes, whatever becomes of the workers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import SimpleITK as sitk

from nnunet_cardiac.cli import main
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.inference import CardiacPredictor, case, cohort, worker_pool
from nnunet_cardiac.inference.on_ray import segment_on_ray
from nnunet_cardiac.inference.ray_worker import Worker
from nnunet_cardiac.inference.results import PredictOptions, Result
from nnunet_cardiac.inference.sources import Source, find_sources
from nnunet_cardiac.planning.shared_plans import RESOLVED

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("local_ray")]

NAMES = "abcdefgh"

#: Workers do not find this file under its name.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Mortal(Worker):
    """Dies with a case whose file lies in a folder `at_MOMENT`: each time or, as `once` says, the first time.

    It notes the cases that it is given in `runs`, beside the folder for the results.
    """

    def run(self, source: Source, before: frozenset[str] | None) -> Any:
        runs = self._options.output.with_name("runs")
        first = not (runs.exists() and source.name in runs.read_text().split())
        with runs.open("a") as file:
            file.write(f"{source.name}\n")
        moment = source.paths[0].parent.name
        if moment.startswith("at_") and (first or "once" not in moment):
            _die(moment)
        return super().run(source, before)


def _die(moment: str) -> None:
    """Let this process end when it writes: half of the label map, the JSON file, or after everything."""
    write_json = case.write_json

    def half(path: Path, *_: Any) -> None:
        path.with_name(f".{path.name}.{os.getpid()}.part").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    def before_json(*_: Any) -> None:
        os._exit(1)

    def after_json(path: Path, content: Any) -> None:
        write_json(path, content)
        os._exit(1)

    if "label_map" in moment:
        case.write_label_map = half
    else:
        case.write_json = before_json if "json" in moment else after_json


@pytest.fixture
def model(write_system: Callable[..., Path]) -> dict[str, Any]:
    """Both stages of CroCNet, written down as trainings do, so that workers start in half the time."""
    folder = write_system("CroCNet")
    for path in folder.parent.glob("*/plans.json"):
        plans = read_json(path)
        for entry in plans["configurations"].values():
            entry[RESOLVED] = entry["architecture"]
        write_json(path, plans)
    return {"folder": folder, "device": "cpu", "precision": "fp32"}


@pytest.fixture
def options(tmp_path: Path) -> PredictOptions:
    return PredictOptions(tmp_path / "out")


def write_cases(folder: Path, heart: np.ndarray, names: str = NAMES) -> list[Source]:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        image = sitk.GetImageFromArray(heart[:3] * (1 + 0.1 * number))
        image.SetSpacing((1.5, 1.4, 9.0))
        sitk.WriteImage(image, folder / f"{name}.nii.gz")
    return find_sources(folder, 1)


def assert_as_one_process(model: dict[str, Any], sources: list[Source], options: PredictOptions) -> None:
    """Every case is there once, complete, and as the sequential path writes it."""
    alone = replace(options, output=options.output.with_name("alone"), existing="refuse")
    cohort.segment(CardiacPredictor.from_folder(**model), sources, alone, progress=False)
    assert sorted(os.listdir(options.output)) == sorted(os.listdir(alone.output))
    for source in sources:
        maps = [(folder / f"{source.name}.nii.gz").read_bytes() for folder in (options.output, alone.output)]
        assert maps[0] == maps[1]
        records = [read_json(folder / f"{source.name}.json") for folder in (options.output, alone.output)]
        for record in records:
            assert record.pop("seconds").keys() == {"read", "predict", "write"}
        assert records[0] == records[1]


def states(results: list[Result]) -> dict[str, str]:
    assert len({result.name for result in results}) == len(results)
    return {result.name: result.status for result in results}


def runs(options: PredictOptions) -> Counter[str]:
    return Counter(options.output.with_name("runs").read_text().split())


def run(model: dict[str, Any], sources: list[Source], options: PredictOptions, workers: int = 2) -> list[Result]:
    return segment_on_ray(
        "auto", model, sources, options, workers=workers, threads=1, progress=False, worker_class=Mortal
    )


def test_same_files_as_one_process(
    model: dict[str, Any], options: PredictOptions, heart: np.ndarray, tmp_path: Path
) -> None:
    sources = write_cases(tmp_path / "images", heart)
    results = run(model, sources, options)
    assert list(states(results)) == list(NAMES)  # in the order of the sources
    assert set(states(results).values()) == {"done"}
    assert runs(options) == Counter(NAMES)
    assert results[3].sidecar == read_json(options.output / "d.json")
    assert_as_one_process(model, sources, options)
    before = (options.output / "a.nii.gz").stat().st_mtime_ns
    with pytest.raises(UserError, match="results of 8 cases exist"):
        run(model, sources, options)
    sources += write_cases(tmp_path / "more", heart, "x")
    again = run(model, sources, replace(options, existing="resume"), workers=1)
    assert states(again) == {**dict.fromkeys(NAMES, "skipped"), "x": "done"}
    assert (options.output / "a.nii.gz").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("moment", "existing", "workers"),
    [("label_map", "refuse", 2), ("json", "refuse", 1), ("end", "refuse", 1), ("json", "overwrite", 1)],
)
def test_a_worker_dies_in_the_middle(
    model: dict[str, Any],
    options: PredictOptions,
    heart: np.ndarray,
    tmp_path: Path,
    moment: str,
    existing: str,
    workers: int,
) -> None:
    sources = write_cases(tmp_path / f"at_{moment}_once", heart, "c") + write_cases(tmp_path / "images", heart, "abde")
    options = replace(options, existing=existing)
    results = run(model, sources, options, workers)
    assert states(results) == dict.fromkeys("cabde", "done")
    assert runs(options)["c"] == 2
    assert_as_one_process(model, sources, options)


def test_a_case_that_kills_each_worker(
    model: dict[str, Any], options: PredictOptions, heart: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "RETRIES", 2)
    poison = write_cases(tmp_path / "at_json", heart, "p")
    sources = write_cases(tmp_path / "images", heart, "abde")
    results = run(model, [sources[0], *poison, *sources[1:]], options, workers=1)
    assert states(results) == {"a": "done", "p": "failed", "b": "done", "d": "done", "e": "done"}
    assert "lost 3 times (its process ended unexpectedly" in results[1].message
    assert runs(options)["p"] == 3
    assert all(number <= 2 for name, number in runs(options).items() if name != "p")
    assert_as_one_process(model, sources, options)  # so nothing of the poison is left


def test_a_bad_case_is_not_repeated(
    model: dict[str, Any], options: PredictOptions, heart: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = write_cases(tmp_path / "images", heart, "abc")
    sources[1].paths[0].write_bytes(b"no image at all")
    results = run(model, sources, options, workers=1)
    assert states(results) == {"a": "done", "b": "failed", "c": "done"}
    assert "b.nii.gz: " in results[1].message
    assert runs(options) == Counter("abc")
    assert [message for message in caplog.messages if "b failed: " in message] == [f"b failed: {results[1].message}"]
    assert_as_one_process(model, [sources[0], sources[2]], options)


def test_a_model_that_workers_do_not_see(
    model: dict[str, Any], options: PredictOptions, heart: np.ndarray, tmp_path: Path
) -> None:
    sources = write_cases(tmp_path / "images", heart, "a")
    message = r"No worker could be started\. .*no such folder.*on a disk that all machines see under the same path"
    with pytest.raises(UserError, match=message):
        run({**model, "folder": tmp_path / "elsewhere"}, sources, options, workers=1)
    assert os.listdir(options.output) == []


def test_no_gpu(model: dict[str, Any], heart: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cases(tmp_path / "images", heart, "a")
    words = ["predict", "-i", tmp_path / "images", "-o", tmp_path / "out", "-m", model["folder"], "-device", "cuda"]
    assert main([str(word) for word in [*words, "--ray", "auto"]]) == 2
    assert "has 1 processor cores and a GPU for a worker; found: 2 cores, 0 GPUs" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by their environment")
def test_interrupted_and_resumed(
    model: dict[str, Any], options: PredictOptions, heart: np.ndarray, tmp_path: Path
) -> None:
    sources = write_cases(tmp_path / "images", heart, "abcdefghijklmnop")
    words = ["predict", "-i", tmp_path / "images", "-o", options.output, "-m", model["folder"], "--precision", "fp32"]
    command = [sys.executable, "-m", "nnunet_cardiac.cli", *map(str, words), "-device", "cpu", "--threads", "1"]
    mark = f"RUN={uuid.uuid4()}"
    environment = {**os.environ, **dict([mark.split("=")]), "RAY_ADDRESS": ""}
    process = subprocess.Popen(
        [*command, "--ray", "auto"],
        env=environment,
        start_new_session=True,
        preexec_fn=heed_interrupts,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not list(options.output.glob("*.json")):
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)  # while it waits it hands out no cases, however long looking takes
    assert {address.split(":")[0][-8:] for address in listening(mark)} == {"0100007F"}  # 127.0.0.1
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    process.send_signal(signal.SIGCONT)
    _, stderr = process.communicate(timeout=180)
    assert process.returncode == 130, stderr
    assert "interrupted" in stderr
    wait_until(lambda: not with_environment(mark))
    finished = {path.name.split(".")[0] for path in options.output.glob("*.json")}
    assert 0 < len(finished) < len(sources)
    assert {path.name.split(".")[0] for path in options.output.iterdir()} == finished
    done = subprocess.run(
        [*command, "--ray", "auto", "--resume"], env=environment, capture_output=True, text=True, check=True
    )
    assert f"{len(sources) - len(finished)} done, {len(finished)} skipped, 0 failed" in done.stdout
    assert f"{len(sources)}/{len(sources)}" in done.stderr  # the bar
    assert_as_one_process(model, sources, options)


def heed_interrupts() -> None:
    """Undo what a shell does to the commands that it starts in the background, these tests perhaps among them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(happened: Callable[[], bool], seconds: float = 30) -> None:
    """Fail if it does not happen in time; a busy machine needs some to take ended processes down."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.1)


def with_environment(mark: str) -> list[Path]:
    """Folders in /proc of the processes that have it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended, or not ours
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(folder)
    return found


def listening(mark: str) -> set[str]:
    """Addresses, as in /proc/net, on which these processes wait for connections."""
    sockets = set()
    for process in with_environment(mark):
        with contextlib.suppress(OSError):  # the process, or the file, was closed meanwhile
            for file in (process / "fd").iterdir():
                sockets.add(os.readlink(file).removeprefix("socket:[").removesuffix("]"))
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()]
    return {line[1] for line in lines if line[3] == "0A" and line[9] in sockets}
