"""`nnunet_cardiac benchmark`: from the command line to tables and file."""

import json
import time

import pytest

from nnunet_cardiac import cli
from nnunet_cardiac.benchmark.speed import speed

SMALL = ["--patch", "32", "64", "--window", "32", "--batch", "2", "--rounds", "2", "--precision", "float32"]


@pytest.fixture
def no_measurement(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("was measured")

    monkeypatch.setattr(speed, "measure_speed", refuse)


def test_networks_of_one_input_stand_together_after_the_reference(tmp_path, capsys):
    path = tmp_path / "runs.json"
    command = ["benchmark", "speed", "-tr", "CroCNetTrainer", "-c", "2d_crop_single", "2d", "-device", "cpu", *SMALL]
    started = time.perf_counter()
    assert cli.main([*command, "--no-memory", "--quiet", "--classes", "3", "--json", str(path)]) == 0
    seconds = time.perf_counter() - started
    out, err = capsys.readouterr()
    assert err == ""
    (run,) = json.loads(path.read_text())
    results = run["results"]
    assert [(r["trainer"], r["configuration"], r["input"]) for r in results] == [
        ("nnU-Net", "2d", [1, 32, 64]),
        ("CroCNetTrainer", "2d", [1, 32, 64]),
        ("nnU-Net", "2d", [3, 32, 32]),
        ("CroCNetTrainer", "2d_crop_single", [3, 32, 32]),
    ]
    for reference, ours in (results[:2], results[2:]):
        for kind in ("forward", "step"):
            assert reference[kind]["ratio_of_medians"] == 1
            measured = sum(ours[kind]["seconds"]) / 2  # of two rounds the median is the mean
            assert ours[kind]["median_s"] == pytest.approx(measured)
            assert ours[kind]["ratio_of_medians"] == pytest.approx(measured / reference[kind]["median_s"])
    assert 0 < sum(sum(r[kind]["seconds"]) for r in results for kind in ("forward", "step")) < seconds
    assert run["arguments"]["patch"] == [32, 64]
    assert out.count("CroCNetTrainer 2d_crop_single") == 3
    assert "not measured" in out
    assert ", float32, batch 2, 2 rounds, torch " in out


def test_progress_goes_to_stderr(capsys):
    command = [
        "benchmark",
        "speed",
        "-tr",
        "CroCNetTrainer",
        "-c",
        "2d_crop_single",
        "-device",
        "cpu",
        "--no-memory",
        *SMALL,
    ]
    assert cli.main(command) == 0
    out, err = capsys.readouterr()
    assert "measure CroCNetTrainer 2d_crop_single" in err
    assert "measure" not in out.replace("not measured", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-tr", "CrocTrainer"], "unknown trainer 'CrocTrainer'; choose from CroCNetTrainer, HALSRNetTrainer."),
        (["-c", "3d_fullres"], "unknown configuration '3d_fullres'; choose from 2d, "),
        (["-c", "2d", "--patch", "250", "224"], "found 250 x 224 pixels, but nnU-Net's 2d network"),
        (["-c", "2d_crop", "--window", "50"], "--window 50: "),
    ],
)
def test_wrong_choices_are_one_message(no_measurement, capsys, options, message):
    assert cli.main(["benchmark", "speed", "-device", "cpu", *options]) == 2
    assert message in capsys.readouterr().err


def test_wrong_file_is_said_before_measuring(no_measurement, tmp_path, capsys):
    path = tmp_path / "runs.json"
    path.write_text("{}")
    assert cli.main(["benchmark", "speed", "--json", str(path)]) == 2
    assert "expected a list of runs, found JSON of type dict" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "0"], "'0' is no whole number of at least 1"),
        (["--patch", "64", "x"], "'x' is no whole number of at least 1"),
        (["--classes", "1"], "'1' is no whole number of at least 2"),
        (["--precision", "int8"], "invalid choice: 'int8'"),
    ],
)
def test_wrong_numbers_are_refused_by_the_parser(no_measurement, capsys, options, message):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["benchmark", "speed", *options])
    assert message in capsys.readouterr().err


def test_an_action_is_required(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["benchmark"])
    assert "ACTION" in capsys.readouterr().err


@pytest.mark.slow
def test_memory_of_every_network(tmp_path):
    """Adam holds four numbers for each weight; that is the least a training step needs."""
    path = tmp_path / "runs.json"
    assert cli.main(["benchmark", "speed", "-device", "cpu", *SMALL, "--json", str(path)]) == 0
    for result in json.loads(path.read_text())[0]["results"]:
        if result["peak_bytes"] is not None:
            assert 16 * result["parameters"] < result["peak_bytes"] < 16 * result["parameters"] + 300 * 2**20
