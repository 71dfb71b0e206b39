"""The maintainers' pages: files that they name exist, and the system that they build from scratch works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_cardiac.systems.discovery import VARIABLE

ROOT = Path(__file__).resolve().parent.parent

#: Where a page looks for a file that it names: the top of the repository, or the package.
_PLACES = (ROOT, ROOT / "nnunet_cardiac")

#: A file of the example, its name in a line before the code.
_FILE = re.compile(r"^`(?P<name>\w+\.py)`:\n\n```python\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/add_a_system.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    named = set(re.findall(r"`((?:\.ci|[a-z_]+)/[\w./]+\.(?:py|json|md))`", (ROOT / page).read_text("utf-8")))
    assert named
    example = {"docs/systems/toy.md"}
    assert [name for name in sorted(named - example) if not any((place / name).is_file() for place in _PLACES)] == []


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A folder with the files of docs/add_a_system.md."""
    for match in _FILE.finditer((ROOT / "docs" / "add_a_system.md").read_text("utf-8")):
        (tmp_path / match["name"]).write_text(match["code"], "utf-8")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["toy_network.py", "toy_system.py", "toy_trainer.py"]
    return tmp_path


def run(folder: Path, *words: str) -> str:
    environ = {**os.environ, VARIABLE: str(folder / "toy_system.py")}
    return subprocess.run([sys.executable, *words], env=environ, capture_output=True, text=True, check=True).stdout


def test_system_of_the_page_is_listed(toy: Path) -> None:
    listed = json.loads(run(toy, "-m", "nnunet_cardiac.cli", "trainers", "--json"))["ToyTrainer"]
    assert listed["configurations"] == {"2d": "three convolutions on whole slices"}
    assert listed["parameters"] == {"ToyNetwork": 0.0097}


@pytest.mark.slow
def test_trainer_of_the_page_builds_its_network(toy: Path) -> None:
    """9,700 = 9 · 32 + 32, 9 · 32 · 32 + 32 and 32 · 4 + 4: weights and biases of the three convolutions."""
    code = (
        "import torch; from nnunet_cardiac.trainers import variants; trainer = variants.ToyTrainer_2epochs; "
        "from nnunetv2.utilities.get_network_from_plans import get_network_from_plans; "
        "net = get_network_from_plans(trainer.facts.network, {}, [], 1, 4, deep_supervision=False); "
        "print(sum(p.numel() for p in net.parameters()), *net(torch.zeros(2, 1, 17, 30)).shape, trainer.epochs)"
    )
    assert run(toy, "-c", code).split() == ["9700", "2", "4", "17", "30", "2"]
