"""A small phantom data set, planned and preprocessed by nnU-Net, with networks narrow enough for a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.phantom.raw_dataset import write_nnunet_dataset
from nnunet_cardiac.planning.options import CropOptions
from nnunet_cardiac.planning.plan import ensure_patient_splits, plan_configurations
from nnunet_cardiac.systems.kinds import Network
from nnunet_cardiac.workflow.environment import with_trainers
from nnunet_cardiac.workflow.runner import run_command, shown

DATASET_ID = 921


class Commands:
    """Commands in forks of one process per environment; nnU-Net reads its folders when it is imported."""

    current: ClassVar[Commands | None] = None

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("command_server.py"))],
            env={**with_trainers(environ), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Commands:
        """The process of an environment; that of another one ends."""
        if cls.current is None or cls.current.environ != environ:
            cls.end()
            cls.current = cls(environ)
        return cls.current

    @classmethod
    def end(cls) -> None:
        """End the process, if there is one."""
        if cls.current is not None:
            cls.current.process.stdin.close()
            cls.current.process.wait()
            cls.current = None

    def run(self, words: Sequence[str], log: Path) -> None:
        """Run a command and wait for it.

        Raises:
            UserError: If it fails, with the end of its output, as `run_command` does.
        """
        print(json.dumps({"words": words, "log": str(log)}), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if answer.strip() != "0":
            tail = "".join(log.read_text().splitlines(keepends=True)[-15:])
            raise UserError(f"{shown(words)}\nended with exit code {answer.strip()}; its output ends with\n{tail}")


@pytest.fixture(scope="session", autouse=True)
def end_of_commands() -> Iterator[None]:
    """End the process of the commands."""
    yield
    Commands.end()


@dataclass(frozen=True)
class Workspace:
    """nnU-Net's folders with one data set in them."""

    number: int
    base: Path
    environ: Mapping[str, str]
    raw: Path
    preprocessed: Path
    results: Path

    def run(self, *words: object, **environ: str) -> str:
        """Run a command and return what it printed."""
        log = self.base / f"log{len(list(self.base.glob('log*')))}.txt"
        line = [str(word) for word in words]
        if environ or not hasattr(os, "fork"):
            run_command(line, {**self.environ, **environ}, log=log)
        else:
            Commands.of(self.environ).run(line, log)
        return log.read_text()

    def train(self, configuration: str, fold: object, *options: str, trainer: str = "CroCNetTrainer_1epochs") -> str:
        """Train with the stock command on the CPU."""
        return self.run("nnUNetv2_train", self.number, configuration, fold, "-tr", trainer, "-device", "cpu", *options)

    def predict(
        self, configuration: str, output: Path, *options: object, trainer: str = "CroCNetTrainer_1epochs"
    ) -> None:
        """Segment the unseen patients with the stock command."""
        words = ["nnUNetv2_predict", "-i", self.raw / "imagesTs", "-o", output, "-d", self.number, "-c", configuration]
        self.run(*words, "-tr", trainer, "-device", "cpu", "-npp", 0, "-nps", 0, *options)

    def model(self, configuration: str, trainer: str = "CroCNetTrainer_1epochs") -> Path:
        """Folder of a trained configuration."""
        return self.results / f"{trainer}__nnUNetPlans__{configuration}"

    @staticmethod
    def narrow(path: Path) -> None:
        """Make the networks for slices narrow, see `make_narrow`."""
        make_narrow(path)


@pytest.fixture(scope="session")
def make_workspace(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Workspace]:
    """Function that makes a phantom data set of five training patients and one unseen, planned and preprocessed.

    `change` may change the raw data before.
    """

    def make(
        kind: str, number: int, configurations: Sequence[str], change: Callable[[Path], None] = lambda raw: None
    ) -> Workspace:
        base = tmp_path_factory.mktemp("nnunet")
        folders = {name: str(base / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
        for folder in folders.values():
            Path(folder).mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")}
        environ = {**kept, **folders, "nnUNet_def_n_proc": "2", "NNUNET_CARDIAC_SEED": "3"}
        matrix = (96, 96) if kind == "sax" else (64, 64)
        raw = write_nnunet_dataset(
            base / "nnUNet_raw",
            number,
            "Phantom",
            patients=5,
            test_patients=1,
            seed=7,
            kind=kind,
            matrix=matrix,
            progress=False,
        )
        change(raw)
        words = ["nnUNetv2_plan_and_preprocess", "-d", str(number), "-c", *configurations, "-npfp", "1"]
        run_command([*words, "-np", *["1"] * len(configurations)], environ, log=base / "log_plan.txt")
        preprocessed = base / "nnUNet_preprocessed" / raw.name
        ensure_patient_splits(preprocessed, raw)
        return Workspace(number, base, environ, raw, preprocessed, base / "nnUNet_results" / raw.name)

    return make


@pytest.fixture(scope="session")
def workspace(make_workspace: Callable[..., Workspace]) -> Workspace:
    """`2d` and cropping configurations on cine, narrow networks, two steps an epoch."""
    space = make_workspace("sax", DATASET_ID, ("2d",))
    for trainer in ("CroCNetTrainer", "HALSRNetTrainer"):
        plan_configurations(
            space.preprocessed, trainer=trainer, options=CropOptions(coarse_labels="simulated"), progress=False
        )
    make_narrow(space.preprocessed / "nnUNetPlans.json")
    return space


SHORT = {"iterations": 2, "val_iterations": 1, "batch_size": 2, "initial_lr": 1e-3}
E2A_UNET = "nnunet_cardiac.architectures.e2a_unet.E2AUNet"
SPECIALISTS = "nnunet_cardiac.architectures.specialists.SpecialistNetworks"
HALSR_NET = "nnunet_cardiac.architectures.halsr_net.HALSRNet"


def make_narrow(path: Path) -> None:
    """Name narrow networks and a short epoch in the plans: what a user does to change them, too."""
    plans = read_json(path)
    configurations = plans["configurations"]
    halsr_kwargs = {"features": [16, 32, 64]}
    configurations["2d"]["architecture"] = Network(E2A_UNET, {"features": [4, 8, 16, 32, 64]}).to_plans()
    own = {**configurations["2d"], "architecture": Network(HALSR_NET, halsr_kwargs).to_plans(), "recipe": SHORT}
    configurations["2d"]["trainers"] = {"HALSRNetTrainer": own}
    for name, configuration in configurations.items():
        if name.startswith("3d"):
            continue
        configuration["recipe"] = SHORT
        if name.startswith("2d_crop"):
            kwargs = configuration["architecture"]["arch_kwargs"]
            kwargs["network_class_name"] = SPECIALISTS
            kwargs["network_kwargs"] = {"base_width": 4, **kwargs.get("network_kwargs", {})}
    if "2d_roi" not in configurations:
        write_json(path, plans)
        return
    configurations["2d_roi"]["architecture"]["arch_kwargs"]["grid"] = 2
    # Enough steps for a box of some size: a regressor that knows nothing says one pixel, which resampling can lose.
    configurations["2d_roi"]["recipe"] = {**SHORT, "iterations": 40, "batch_size": 8}
    halsr_crop = configurations["2d_crop"]["trainers"]["HALSRNetTrainer"]
    halsr_crop["recipe"] = SHORT
    halsr_crop["architecture"]["arch_kwargs"] |= {"network_class_name": HALSR_NET, "network_kwargs": halsr_kwargs}
    write_json(path, plans)
