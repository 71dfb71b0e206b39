"""The quickstart refuses a bad place before any work, and leaves nothing when a step fails."""

from __future__ import annotations

import errno
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from nnunet_cardiac.cli import build_parser
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.quickstart import run as quickstart
from nnunet_cardiac.quickstart.script import CommandScript, write_own_data_script
from nnunet_cardiac.quickstart.steps import QuickstartOptions, quickstart_steps
from nnunet_cardiac.systems import SYSTEMS
from nnunet_cardiac.workflow import steps
from nnunet_cardiac.workflow.steps import Step


@pytest.mark.parametrize(
    ("system", "trainings", "localiser"), [("crocnet", 2, "2d"), ("halsr", 3, "2d_roi"), ("dr-unet", 3, "3d_locate")]
)
def test_steps_are_commands_that_agree_with_each_other(
    tmp_path: Path, system: str, trainings: int, localiser: str
) -> None:
    options = QuickstartOptions(tmp_path / "q", "cpu", system_name=system)
    steps = quickstart_steps(options)
    assert [step.words[0] for step in steps].count("nnUNetv2_train") == trainings
    stock = [step.words for step in steps if step.words[0].startswith("nnUNetv2_") and "-tr" in step.words]
    trainers = {words[words.index("-tr") + 1] for words in stock}
    assert trainers == {options.trainer}  # nnU-Net links the stages by the trainer's name
    predictions = [step.words for step in steps if step.words[0] == "nnUNetv2_predict"]
    assert str(options.predictions(localiser)) in predictions[-1]
    evaluate, report = (step.words for step in steps[-2:])
    assert evaluate[:2] == ("nnunet_cardiac", "evaluate")
    for stage, name in options.system.names.items():
        assert f"{name}={options.predictions(stage)}" in evaluate
    assert report[:6] == ("nnunet_cardiac", "report", "-i", str(options.evaluation), "-o", str(options.page))


@pytest.mark.parametrize("system", [key for key, system in SYSTEMS.items() if system.shown])
def test_our_commands_parse(tmp_path: Path, system: str) -> None:
    options = QuickstartOptions(tmp_path, "cpu", system_name=system)
    own = [step.words[1:] for step in quickstart_steps(options) if step.words[0] == "nnunet_cardiac"]
    assert [words[0] for words in own] == ["phantom", "plan", "evaluate", "report"]
    for words in own:
        build_parser([words[0]]).parse_args(words)
    write_own_data_script(options)
    lines = options.own_data.read_text().replace("ID", "7").splitlines()
    own = [shlex.split(line)[1:] for line in lines if line.startswith("nnunet_cardiac")]
    assert [words[0] for words in own] == ["doctor", "plan", "train", "predict", "evaluate", "report"]
    for words in own:
        build_parser([words[0]]).parse_args(words)


def test_the_script_of_commands_tells_what_each_took(tmp_path: Path) -> None:
    options = QuickstartOptions(tmp_path / "a b", "cpu", seed=5)
    options.folder.mkdir()
    script = CommandScript(options)
    for title, seconds in (("one", 42.0), ("two", 143.0)):
        script.start(Step(title, ("echo", title, "c d"), 1))
        script.end(seconds)
    script.start(Step("last", ("true",), 1))
    text = options.commands.read_text()
    assert f"export nnUNet_raw='{options.folder}/nnUNet_raw'\n" in text
    assert "export NNUNET_CARDIAC_SEED=5\n" in text
    assert re.search(r"echo one 'c d'\n# 42 s; so far 42 s, largest process \d+\.\d GiB\n", text)
    assert "echo two 'c d'\n# 2 min 23 s; so far 3 min 05 s, " in text
    assert text.endswith("\ntrue\n")
    assert subprocess.run(["sh", "-e", options.commands], capture_output=True, text=True, check=True).stdout == (
        "one c d\ntwo c d\n"
    )


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "q").mkdir()
    with pytest.raises(UserError, match="exists already"):
        quickstart.run_quickstart(QuickstartOptions(tmp_path / "q", "cpu"), {})


def test_a_missing_parent_and_a_full_disk_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no such folder"):
        quickstart.run_quickstart(QuickstartOptions(tmp_path / "no" / "q", "cpu"), {})
    monkeypatch.setattr(quickstart, "_NEEDED_BYTES", 10**18)
    with pytest.raises(UserError, match=r"GB free, the quickstart needs 1000000000 GB"):
        quickstart.run_quickstart(QuickstartOptions(tmp_path / "q", "cpu"), {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Rights mean nothing to the superuser, who runs many tests, so the system's answer is set here.
    monkeypatch.setattr(quickstart.os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match=r"cannot be written; give another folder with -o"):
        quickstart.run_quickstart(QuickstartOptions(tmp_path / "q", "cpu"), {})
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_turns_read_only_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / "q" / "x"))

    monkeypatch.setattr(quickstart, "check_installation", lambda environ, trainer: None)
    monkeypatch.setattr(steps, "run_command", fail)
    with pytest.raises(OSError, match="Read-only"):
        quickstart.run_quickstart(QuickstartOptions(tmp_path / "q", "cpu"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["q.log"]


def test_a_failing_step_leaves_the_log_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Step("fails", ("python", "-c", "print('no space'); raise SystemExit(1)"), 1)
    monkeypatch.setattr(quickstart, "check_installation", lambda environ, trainer: None)
    monkeypatch.setattr(quickstart, "quickstart_steps", lambda options: [step])
    with pytest.raises(UserError, match="no space"):
        quickstart.run_quickstart(QuickstartOptions(tmp_path / "q", "cpu"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["q.log"]
