"""Scripts that a person runs by hand, each on a toy, so that the numbers in the documentation can be made again."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.phantom.raw_dataset import write_nnunet_dataset

FOLDER = Path(__file__).parent
NUMBER = r"-?\d+\.\d+"

#: Words of the toy, and what the output has to hold.
ALONE = {
    "attention_cost.py": (["--threads", "1", "--tokens", "64", "--channels", "8"], rf"^ +64( +{NUMBER}){{7}}$"),
    "gate_starts.py": (
        ["--starts", "1", "--steps", "2", "--warmup", "0", "1"],
        rf"warm-up of 1 steps: .* Dice in runs {NUMBER}",
    ),
    "initial_weights.py": (
        ["--steps", "1", "--seeds", "1", "--network", "E2AUNet", "DilatedResidualUNet"],
        rf"^DilatedResidualUNet +own weights {NUMBER} .* nnU-Net's {NUMBER}",
    ),
    "phantom_volumes.py": (["--patients", "2"], rf"^exact volume +EF points +[+-]{NUMBER} "),
    "runs_of_slices.py": (["--starts", "1", "--steps", "2"], rf"^mean: Dice in runs {NUMBER}, whole {NUMBER}"),
}
WITH_DATA = {"beyond_the_ends.py", "evaluation_speed.py", "predict_speed.py", "unseen_windows.py", "gpu/score.py"}
IMPORTED = {"phantom_stacks.py"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Function that runs a script in this process and returns what it prints; phantom stacks are of three patients."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import phantom_stacks

    monkeypatch.setattr(phantom_stacks, "phantom_stacks", few_stacks(phantom_stacks.phantom_stacks))

    def run(script: str, *words: object) -> str:
        monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        runpy.run_path(str(FOLDER / script), run_name="__main__")
        return capsys.readouterr().out

    return run


@lru_cache
def few_stacks(make: Callable[..., list]) -> Callable[..., list]:
    return lru_cache(lambda patients, first_seed=0: make(min(patients, 3), first_seed))


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw data set, and in `predicted` a perfect prediction of its unseen patients."""
    base = tmp_path_factory.mktemp("scripts")
    raw = write_nnunet_dataset(
        base, 960, "Phantom", patients=2, test_patients=1, folds=2, seed=7, matrix=(64, 64), progress=False
    )
    shutil.copytree(raw / "labelsTs", raw / "predicted")
    shutil.copy(raw / "dataset.json", raw / "predicted")
    return raw


def test_every_script_has_its_toy() -> None:
    scripts = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.py")}
    scripts -= {"conftest.py", Path(__file__).name}
    assert scripts == {*ALONE, *WITH_DATA, *IMPORTED}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Degrees of freedom:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("script", ALONE)
def test_scripts_that_make_their_data(run: Callable[..., str], script: str) -> None:
    words, pattern = ALONE[script]
    assert re.search(pattern, run(script, *words), re.MULTILINE)


@pytest.mark.slow
def test_nothing_of_a_perfect_prediction_lies_beyond_the_ends(run: Callable[..., str], phantom: Path) -> None:
    out = run("beyond_the_ends.py", "-gt", phantom / "labelsTs", "-p", phantom / "predicted", "--simulated", "1")
    predicted, _, simulated = out.partition("simulated")
    for structure in ("RV", "MYO", "LV"):
        assert re.search(rf"{structure}: in 0 of [1-9]\d* slices .* 0\.0% of its volume", predicted)
        assert re.search(rf"{structure}: in \d+ of [1-9]\d* slices", simulated)


@pytest.mark.slow
def test_windows_around_perfect_maps_hold_the_heart(run: Callable[..., str], phantom: Path, tmp_path: Path) -> None:
    rule = {"window": [64, 64], "margin": 5}
    crop = {"architecture": {"network_class_name": "", "arch_kwargs": rule, "_kw_requires_import": []}}
    write_json(tmp_path / "plans.json", {"configurations": {"2d_crop": {**crop, "spacing": [1.5, 1.5]}}})
    out = run("unseen_windows.py", tmp_path / "plans.json", "2d_crop", phantom / "predicted", phantom / "labelsTs")
    assert "window holds the whole heart in 100 % of 2 cases" in out
    assert read_json(phantom / "predicted" / "summary.json")["localisation"]["left_out"] == 0


@pytest.mark.slow
def test_a_perfect_prediction_has_dice_one(run: Callable[..., str], phantom: Path, tmp_path: Path) -> None:
    log, table = tmp_path / "log.txt", tmp_path / "table.jsonl"
    log.write_text("Epoch time: 2.5 s\nEpoch time: 1.5 s\nEpoch time: 9.0 s\n")
    row = json.loads(run("gpu/score.py", phantom, phantom / "predicted", log, "CroCNetTrainer", "2d", table))
    assert row == json.loads(table.read_text())
    assert row["dice"] == {"LV": 1, "MYO": 1, "RV": 1}
    assert (row["mean_dice"], row["hd95_failed"], row["seconds_per_epoch"], row["epochs"]) == (1, 0, 2.5, 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*get_mask_edges:FutureWarning")
def test_the_speed_of_evaluate(run: Callable[..., str]) -> None:
    out = run("evaluation_speed.py", "--volumes", "2", "--processes", "1", "--compared", "1")
    assert re.search(rf"^evaluate, 2 volumes, 1 processes.*: {NUMBER} s$", out, re.MULTILINE)
    assert re.search(rf"^MONAI, .*: {NUMBER} ms a volume, {NUMBER} times as long$", out, re.MULTILINE)


@pytest.mark.slow
def test_the_speed_of_predict(run: Callable[..., str], write_system: Callable[..., Path], tmp_path: Path) -> None:
    model = write_system("nnUNet")
    shutil.copytree(model.parent, tmp_path / "results" / "Dataset001_Heart")
    model = tmp_path / "results" / "Dataset001_Heart" / model.name
    words = ["-m", model, "--threads", 1, "--rounds", 1, "--frames", 2, "--precision", "fp32", "--skip", "npp|cine"]
    rows = [json.loads(line) for line in run("predict_speed.py", *words).splitlines() if line.startswith("{")]
    assert [row["work"] for row in rows] == ["stack, cold, against default workers", "stack, warm"]
    assert rows[0]["dice"] == 1
    assert all(row["ours_s"] > 0 and row["ratio"] > 0 for row in rows)


def test_the_chain_on_a_gpu_is_a_script_of_bash() -> None:
    subprocess.run(["bash", "-n", str(FOLDER / "gpu" / "acdc_chain.sh")], check=True)
