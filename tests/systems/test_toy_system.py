"""A fifth system comes in as one file: through every command, from a path and from another package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_cardiac.phantom.raw_dataset import write_nnunet_dataset
from nnunet_cardiac.systems.discovery import VARIABLE

TOY = Path(__file__).resolve().parent / "toy"
NUMBER = "977"


def environ(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")}
    return {**kept, "OMP_NUM_THREADS": "1", "nnUNet_def_n_proc": "1", "nnUNet_compile": "f", **more}


def ours(*words: str, **more: str) -> subprocess.CompletedProcess:
    """Run a command of this package in a process of its own: systems are found when Python starts."""
    line = [sys.executable, "-m", "nnunet_cardiac.cli", *words]
    return subprocess.run(line, env=environ(**more), capture_output=True, text=True, check=False)


def listed(**more: str) -> dict:
    done = ours("trainers", "--json", **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_file_is_enough() -> None:
    found = listed(**{VARIABLE: str(TOY / "toy_system.py")})
    assert list(found)[-1] == "ToyTrainer"
    assert found["ToyTrainer"]["system"] == "Toy"
    assert "ToyTrainer" not in listed()


def test_another_package_brings_a_system(tmp_path: Path) -> None:
    """Packages name it as an entry point, which Python finds in their metadata."""
    metadata = tmp_path / "toy-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[nnunet_cardiac.systems]\ntoy = toy_system\n")
    path = os.pathsep.join([str(tmp_path), str(TOY), os.environ.get("PYTHONPATH", "")])
    assert list(listed(PYTHONPATH=path))[-1] == "ToyTrainer"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("SYSTEM = 3", "SYSTEM is int, expected a nnunet_cardiac.systems.facts.System"),
        ("from nnunet_cardiac.systems.crocnet import SYSTEM", "system 'crocnet' is in the file of CroCNet and in"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "wrong_system.py"
    file.write_text(content)
    done = ours("trainers", **{VARIABLE: str(file)})
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    missing = ours("trainers", **{VARIABLE: str(tmp_path / "none.py")})
    assert missing.returncode == 2
    assert "none.py: no such file" in " ".join(missing.stderr.split())


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_toy_goes_through_every_command(tmp_path: Path) -> None:
    names = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    folders = {name: str(tmp_path / name) for name in names}
    for folder in folders.values():
        Path(folder).mkdir()
    raw = write_nnunet_dataset(
        tmp_path / "nnUNet_raw", int(NUMBER), "Toy", patients=5, test_patients=1, matrix=(64, 64), progress=False
    )
    more = {**folders, VARIABLE: str(TOY / "toy_system.py")}

    def run(*words: str) -> str:
        done = ours(*words, **more)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    plan = [str(Path(sys.executable).with_name("nnUNetv2_plan_and_preprocess")), "-d", NUMBER, "-c", "2d"]
    subprocess.run([*plan, "-np", "1", "-npfp", "1"], env=environ(**more), check=True, capture_output=True)
    assert "2d_crop: window" in run("plan", "-d", NUMBER, "-tr", "ToyTrainer", "--coarse", "simulated", "--small")
    small = ("-tr", "ToyTrainer_1epochs", "-p", "nnUNetPlansSmall")
    run("train", "-d", NUMBER, *small, "-c", "2d_crop", "--all-stages", "-device", "cpu", "--quiet")
    model = tmp_path / "nnUNet_results" / raw.name / "ToyTrainer_1epochs__nnUNetPlansSmall__2d_crop"
    resolved = json.loads((model / "plans.json").read_text())["configurations"]["2d_crop"]["resolved_architecture"]
    assert resolved["arch_kwargs"]["network_class_name"] == "toy_networks.ToyNet"
    assert resolved["arch_kwargs"]["network_kwargs"] == {"width": 4}
    output = tmp_path / "predicted"
    arguments = ("-i", str(raw / "imagesTs"), "-o", str(output), "-d", NUMBER, "-c", "2d_crop", "-f", "0")
    run("predict", *arguments, *small, "-device", "cpu")
    assert len(list(output.glob("*.nii.gz"))) == 2
    row = ("--system", "toy", "--budget", "smoke", "--data", str(raw), "-o", str(tmp_path / "runs"))
    run("benchmark", "accuracy", *row, "--threads", "1", "--quiet")
    record = json.loads((tmp_path / "runs" / "results.jsonl").read_text())  # beside the runs, where nobody says
    assert [stage["configuration"] for stage in record["stages"]] == ["2d", "2d_crop"]
