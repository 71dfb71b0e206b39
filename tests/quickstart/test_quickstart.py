"""The quickstart refuses a bad place before any work, and leaves nothing when a step fails."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.quickstart import run as quickstart
from nnunet_cardiac.quickstart.steps import QuickstartOptions, quickstart_steps
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
    assert str(options.predictions(localiser)) in steps[-1].words


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
