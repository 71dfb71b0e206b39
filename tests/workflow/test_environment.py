"""Where nnU-Net is told to look for trainers."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.workflow import environment
from nnunet_cardiac.workflow.environment import EXTERNAL_TRAINERS, trainer_folder, with_trainers


def test_folder_holds_one_python_file_that_nnunet_can_scan():
    assert [file.name for file in trainer_folder().glob("*.py")] == ["cardiac_trainers.py"]


def test_folder_is_found_without_torch():
    code = (
        "import sys\nfrom nnunet_cardiac.workflow.environment import trainer_folder\ntrainer_folder()\n"
        "assert 'torch' not in sys.modules and 'nnunet_cardiac.trainers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_broken_installation_says_where_it_looked(monkeypatch, tmp_path):
    monkeypatch.setattr(
        environment, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    )
    with pytest.raises(UserError, match=rf"looked in {tmp_path}\). Reinstall"):
        trainer_folder()
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="looked in no folder"):
        trainer_folder()


def test_other_entries_stay_in_order_behind_ours(tmp_path):
    entries = [str(tmp_path / "a"), "", str(tmp_path / "b")]
    environ = {EXTERNAL_TRAINERS: os.pathsep.join(entries), "HOME": "x"}
    before = dict(environ)
    result = with_trainers(environ)
    assert result[EXTERNAL_TRAINERS].split(os.pathsep) == [str(trainer_folder()), entries[0], entries[2]]
    assert result["HOME"] == "x"
    assert environ == before


def test_our_folder_is_listed_once_even_under_another_spelling():
    again = os.path.join(trainer_folder(), os.pardir, trainer_folder().name)
    once = with_trainers({EXTERNAL_TRAINERS: again})
    assert once[EXTERNAL_TRAINERS] == str(trainer_folder())
    assert with_trainers(once) == once


def test_folder_lies_in_the_installed_trainers():
    locations = find_spec("nnunet_cardiac.trainers").submodule_search_locations
    assert trainer_folder().parent in [Path(location).resolve() for location in locations]
