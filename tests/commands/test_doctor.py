"""`nnunet_cardiac doctor`: collects the findings, prints them and sets the exit code."""

import json
import sys

import pytest

from nnunet_cardiac import cli
from nnunet_cardiac.checks import devices, folders, lookup, requirements, threads
from nnunet_cardiac.checks.finding import fail, ok, warn
from nnunet_cardiac.systems import TRAINERS


@pytest.fixture
def machine(monkeypatch):
    """A healthy machine; the checks themselves have tests of their own."""
    monkeypatch.setattr(requirements, "check_requirements", lambda: [ok("python", "3.11")])
    monkeypatch.setattr(folders, "check_folders", lambda environ: [ok("nnUNet_raw", "/raw")])
    monkeypatch.setattr(lookup, "check_lookup", lambda environ, trainers: [ok("lookup", " ".join(trainers))])
    monkeypatch.setattr(devices, "check_devices", lambda: [warn("device", "slow", "Buy a faster one.")])
    monkeypatch.setattr(threads, "check_threads", lambda environ: [])
    return monkeypatch


def test_warnings_alone_are_healthy(machine, capsys):
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "OK    python: 3.11",
        "OK    nnUNet_raw: /raw",
        "OK    lookup: " + " ".join(TRAINERS),
        "WARN  device: slow",
        "      -> Buy a faster one.",
    ]


def test_a_failure_sets_the_exit_code(machine, capsys):
    machine.setattr(folders, "check_folders", lambda environ: [fail("nnUNet_raw", "not set", "export it")])
    assert cli.main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {"status": "FAIL", "check": "nnUNet_raw", "message": "not set", "fix": "export it"} in found
    assert [entry["status"] for entry in found] == ["OK", "FAIL", "OK", "WARN"]


def test_data_set_is_checked_with_the_anatomies_of_the_trainer(machine):
    calls = []

    def check(environ, dataset, required, *, progress):
        calls.append((dataset, tuple(required), progress))
        return []

    machine.setattr(folders, "check_dataset", check)
    assert cli.main(["doctor", "-d", "27", "-tr", "CroCNetTrainer", "--quiet"]) == 0
    assert cli.main(["doctor", "--dataset", "27"]) == 0
    assert calls == [("27", ("LV", "MYO", "RV"), False), ("27", (), True)]


def test_missing_version_reader_is_a_finding(machine, capsys):
    machine.setitem(sys.modules, "nnunet_cardiac.checks.requirements", None)
    assert cli.main(["doctor"]) == 1
    assert "FAIL  nnunet_cardiac.checks.requirements: not installed" in capsys.readouterr().out


def test_problem_of_a_data_set_is_a_failure(machine, tmp_path, capsys):
    (tmp_path / "Dataset027_X").mkdir()
    machine.setenv("nnUNet_raw", str(tmp_path))
    assert cli.main(["doctor", "-d", "27"]) == 1
    assert f"{tmp_path / 'Dataset027_X' / 'dataset.json'}: not found" in capsys.readouterr().out
