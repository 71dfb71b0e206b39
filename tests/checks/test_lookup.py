"""The trainers are found by nnU-Net's own search."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from nnunet_cardiac.checks import lookup, lookup_probe
from nnunet_cardiac.checks.finding import Status
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.workflow.environment import EXTERNAL_TRAINERS, trainer_folder


@pytest.fixture
def answer(monkeypatch):
    """Let the probe answer without starting it; returns what it was called with."""
    calls = []

    def install(**result):
        def run(command, **options):
            calls.append((command, options))
            return SimpleNamespace(**{"returncode": 0, "stdout": "", "stderr": "", **result})

        monkeypatch.setattr(lookup.subprocess, "run", run)
        return calls

    return install


@pytest.mark.slow
def test_every_trainer_is_the_installed_class():
    """In a process of its own, as in nnUNetv2_train; a name that does not exist shows that the search is real."""
    found = lookup.check_lookup({}, [*TRAINERS, "NoSuchTrainer"])
    variable, *trainers = found
    assert (variable.check, variable.status) == (EXTERNAL_TRAINERS, Status.WARN)
    assert [str(finding) for finding in trainers[:-1] if finding.status is not Status.OK] == []
    assert trainers[-1].status is Status.FAIL
    assert "Could not find requested nnunet trainer NoSuchTrainer" in trainers[-1].message


def test_variable(answer):
    answer(stdout="{}")
    assert lookup.check_lookup({EXTERNAL_TRAINERS: str(trainer_folder())}, [])[0].status is Status.OK
    assert "not set; nnunet_cardiac sets it" in lookup.check_lookup({}, [])[0].message
    other = lookup.check_lookup({EXTERNAL_TRAINERS: "/x"}, [])[0]
    assert other.status is Status.WARN
    assert "set to /x, without this package's folder" in other.message


def test_probe_sees_our_folder_and_its_last_line_counts(answer):
    calls = answer(stdout="chatter\n" + json.dumps({"A": "", "B": "second copy"}))
    _, good, wrong = lookup.check_lookup({"HOME": "h"}, ["A", "B"])
    assert (good.status, wrong.status, wrong.message) == (Status.OK, Status.FAIL, "second copy")
    command, options = calls[0]
    assert command[-2:] == ["A", "B"]
    assert options["env"] == {"HOME": "h", EXTERNAL_TRAINERS: str(trainer_folder())}


def test_broken_probe(answer, monkeypatch):
    answer(returncode=1, stderr="Traceback\nImportError: no nnunetv2")
    assert lookup.check_lookup({}, ["A"])[1].message == "ImportError: no nnunetv2"

    def too_slow(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(lookup.subprocess, "run", too_slow)
    assert "no answer within" in lookup.check_lookup({}, ["A"])[1].message


@pytest.mark.parametrize(
    ("module", "expected"),
    [("flat_trainer", "nnU-Net found flat_trainer.Twin, expected"), ("nnunet_cardiac.anatomy", "a second copy")],
)
def test_second_copies_are_noticed(monkeypatch, module, expected):
    from nnunetv2.utilities import find_objects

    twin = type("Twin", (), {"__module__": module})
    monkeypatch.setattr(find_objects, "recursive_find_trainer_class_by_name", lambda name: twin)
    assert expected in lookup_probe.probe("Twin")


def test_installed_class_is_accepted(monkeypatch):
    from nnunetv2.utilities import find_objects

    from nnunet_cardiac.systems.facts import TrainerFacts

    monkeypatch.setattr(find_objects, "recursive_find_trainer_class_by_name", lambda name: TrainerFacts)
    assert lookup_probe.probe("TrainerFacts") == ""
