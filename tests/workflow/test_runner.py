"""Commands are run with their output in a log, and failures show its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.workflow.runner import run_command, shown


def test_output_goes_to_the_log_line_by_line(tmp_path: Path) -> None:
    log, seen = tmp_path / "log.txt", []
    run_command(["python", "-c", "print('a'); print('b')"], os.environ, log=log, on_line=seen.append)
    assert log.read_text() == "a\nb\n"
    assert seen == ["a\n", "b\n"]


def test_the_trainer_folder_is_in_the_environment(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    run_command(
        ["python", "-c", "import os; print(os.environ['nnUNet_extTrainer'])"], {"PATH": os.environ["PATH"]}, log=log
    )
    assert log.read_text().strip().endswith("nnunet_ext")


def test_a_failure_shows_command_code_and_end_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)exit code 3.*the end"):
        run_command(["python", "-c", "print('the end'); raise SystemExit(3)"], os.environ, log=tmp_path / "log.txt")


def test_a_missing_command_is_named() -> None:
    with pytest.raises(UserError, match="no_such_command is not installed"):
        run_command(["no_such_command"], os.environ)


def test_shown_can_be_typed() -> None:
    assert shown(["a", "b c", "$d"]) == "a 'b c' '$d'"
