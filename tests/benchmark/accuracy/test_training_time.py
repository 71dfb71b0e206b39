"""`nnunet_cardiac benchmark training`: which networks, the table, and steps on the phantom."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_cardiac import cli
from nnunet_cardiac.benchmark.accuracy.rows import REFERENCE, ROWS, recipes_of
from nnunet_cardiac.benchmark.accuracy.training_time import stage_runs, training_table
from nnunet_cardiac.benchmark.accuracy.workspace import Run
from nnunet_cardiac.files import read_json
from nnunet_cardiac.phantom.raw_dataset import write_nnunet_dataset

TRAINING = ["benchmark", "training", "--quiet"]


def runs(*systems: str) -> dict[str, Run]:
    return {
        system: Run(Path("x"), system, "smoke", recipes_of(ROWS[system])[0], "simulated", 0, 0, 1)
        for system in (REFERENCE, *systems)
    }


def test_every_network_stands_once_and_nnunet_first() -> None:
    systems = ("crocnet", "crocnet-uncoupled", "nnunet-2d-largest", "nnunet-resenc-m")
    assert stage_runs(systems, runs(*systems)) == [
        (REFERENCE, "2d"),
        ("crocnet", "2d"),
        ("crocnet", "2d_crop"),
        ("crocnet-uncoupled", "2d_crop_uncoupled"),
        ("nnunet-resenc-m", "2d"),
    ]


def test_ratios_are_those_of_a_slice_and_of_an_epoch() -> None:
    common = {"configuration": "2d", "batch": 8}
    nnunet = {**common, "system": REFERENCE, "slices": 8.0, "steps": 10, "step_s": [0.7, 9.0, 0.1], "data_s": [0.1] * 3}
    stack = {
        **common,
        "system": "guided",
        "batch": 1,
        "slices": 16.0,
        "steps": 5,
        "step_s": [3.0],
        "data_s": [0.2],
    }
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in training_table([nnunet, stack]).splitlines()
    ]
    assert rows[2] == ["nnU-Net", "2d", "8", "700", "100", "100", "1.00", "8", "1.00"]
    assert rows[3] == ["Classifier-guided", "2d", "1", "3000", "200", "200", "2.00", "16", "2.00"]
    by_the_clock = [{**nnunet, "steps": None}]
    assert training_table(by_the_clock).splitlines()[-1].endswith("| 1.00 | – | – |")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--system", "unet"], "--system unet: no such row"),
        (["--budget", "huge"], "--budget huge: no such budget"),
        (["--steps", "1"], "the first step of a turn is not counted; give at least 2"),
        (["--json", "no/times.json"], "the folder does not exist"),
        ([], "Name the one to copy with --data"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(tmp_path, monkeypatch, capsys, options, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*TRAINING, *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_steps_on_the_phantom(tmp_path: Path, capsys) -> None:
    write_nnunet_dataset(tmp_path, 951, "Phantom", patients=5, test_patients=1, seed=7, matrix=(80, 80), progress=False)
    words = ["--system", "crocnet", "--budget", "smoke", "--data", str(tmp_path / "Dataset951_Phantom")]
    words += ["-o", str(tmp_path / "runs"), "--rounds", "2", "--steps", "2", "--threads", "1"]
    words += ["--json", str(tmp_path / "times.json"), "--profile", str(tmp_path / "profile")]
    assert cli.main([*TRAINING, *words]) == 0, capsys.readouterr().err
    results = read_json(tmp_path / "times.json")[0]["results"]
    assert [(one["system"], one["configuration"]) for one in results] == [
        ("nnunet-2d", "2d"),
        ("crocnet", "2d"),
        ("crocnet", "2d_crop"),
    ]
    assert all(len(one["step_s"]) == len(one["data_s"]) == 2 and min(one["step_s"]) > 0 for one in results)
    assert [one["slices"] for one in results] == [4, 4, 4]
    assert capsys.readouterr().out.count("| CroCNet |") == 2
    assert len(list((tmp_path / "profile").iterdir())) == 3
    assert not list((tmp_path / "runs" / "smoke").rglob("checkpoint*"))
