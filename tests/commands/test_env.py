"""`nnunet_cardiac env`: lines that a shell really evaluates to the right values."""

import os
import shutil
import subprocess

import pytest

from nnunet_cardiac import cli
from nnunet_cardiac.commands.env import export_line, variables
from nnunet_cardiac.workflow.environment import EXTERNAL_TRAINERS, NNUNET_FOLDERS, trainer_folder

AWKWARD = r"/a b/it's $HOME \ `x` é"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in (EXTERNAL_TRAINERS, *NNUNET_FOLDERS):
        monkeypatch.delenv(name, raising=False)


def test_trainers_only_without_base(capsys):
    assert cli.main(["env", "--shell", "bash"]) == 0
    out, err = capsys.readouterr()
    assert out == f"export nnUNet_extTrainer={trainer_folder()}\n"
    assert "nnUNet_raw, nnUNet_preprocessed, nnUNet_results not set; add --base FOLDER" in err


def test_base_sets_only_what_is_unset(tmp_path):
    found = variables({"nnUNet_raw": "/mine"}, tmp_path / "sub" / "..")
    assert found == {
        EXTERNAL_TRAINERS: str(trainer_folder()),
        "nnUNet_preprocessed": str(tmp_path / "nnUNet_preprocessed"),
        "nnUNet_results": str(tmp_path / "nnUNet_results"),
    }


def test_other_trainer_folders_are_kept(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv(EXTERNAL_TRAINERS, str(tmp_path))
    assert cli.main(["env", "--shell", "powershell"]) == 0
    assert capsys.readouterr().out == f"$env:nnUNet_extTrainer = '{trainer_folder()}{os.pathsep}{tmp_path}'\n"


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_shell_takes_the_value_literally(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = export_line(shell, "nnUNet_raw", AWKWARD) + "\nprintenv nnUNet_raw"
    found = subprocess.run([shell, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert found.stdout == AWKWARD + "\n"


@pytest.mark.parametrize(
    ("shell", "line"), [("fish", r"set -gx N 'a\\b\'c'"), ("powershell", r"$env:N = 'a\b''c'"), ("bash", None)]
)
def test_quotes_of_each_shell(shell, line):
    """Hand-written by the rules of each shell; bash is checked by bash above."""
    expected = line or "export N='a\\b'\"'\"'c'"
    assert export_line(shell, "N", r"a\b'c") == expected


def test_unknown_shell_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["env", "--shell", "tcsh"])
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
