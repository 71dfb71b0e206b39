"""A small phantom data set, planned and preprocessed by nnU-Net, with networks narrow enough for a test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from nnunet_cardiac.cascade.configurations import architecture
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.phantom.raw_dataset import write_nnunet_dataset
from nnunet_cardiac.plans import CropOptions, ensure_patient_splits, plan_crops
from nnunet_cardiac.runner import run_command

DATASET_ID = 921


@dataclass(frozen=True)
class Workspace:
    """nnU-Net's folders with one data set in them."""

    base: Path
    environ: Mapping[str, str]
    raw: Path
    preprocessed: Path
    results: Path

    def run(self, *words: object, **environ: str) -> str:
        """Run a command and return what it printed."""
        log = self.base / f"log{len(list(self.base.glob('log*')))}.txt"
        run_command([str(word) for word in words], {**self.environ, **environ}, log=log)
        return log.read_text()

    def train(self, configuration: str, fold: object, *options: str, trainer: str = "CroCNetTrainer_1epochs") -> str:
        """Train with the stock command on the CPU."""
        return self.run("nnUNetv2_train", DATASET_ID, configuration, fold, "-tr", trainer, "-device", "cpu", *options)

    def predict(
        self, configuration: str, output: Path, *options: object, trainer: str = "CroCNetTrainer_1epochs"
    ) -> None:
        """Segment the unseen patients with the stock command."""
        words = ["nnUNetv2_predict", "-i", self.raw / "imagesTs", "-o", output, "-d", DATASET_ID, "-c", configuration]
        self.run(*words, "-tr", trainer, "-device", "cpu", "-npp", 0, "-nps", 0, *options)

    def model(self, configuration: str, trainer: str = "CroCNetTrainer_1epochs") -> Path:
        """Folder of a trained configuration."""
        return self.results / f"{trainer}__nnUNetPlans__{configuration}"

    def narrow(self, plans: Path) -> None:
        """Make the networks of a plans file narrow and their epochs short."""
        make_narrow(plans)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Five training patients and one unseen, `2d` and cropping configurations, narrow networks, two steps an epoch."""
    base = tmp_path_factory.mktemp("nnunet")
    folders = {name: str(base / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    for folder in folders.values():
        Path(folder).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")}
    quick = {"nnUNet_def_n_proc": "2"}
    environ = {**kept, **folders, **quick, "NNUNET_CARDIAC_SEED": "3"}
    raw = write_nnunet_dataset(
        base / "nnUNet_raw", DATASET_ID, "Phantom", patients=5, test_patients=1, seed=7, matrix=(96, 96), progress=False
    )
    run_command(
        ["nnUNetv2_plan_and_preprocess", "-d", str(DATASET_ID), "-c", "2d", "-npfp", "1", "-np", "1"],
        environ,
        log=base / "log_plan.txt",
    )
    preprocessed = base / "nnUNet_preprocessed" / raw.name
    ensure_patient_splits(preprocessed, raw)
    for trainer in ("CroCNetTrainer", "HALSRNetTrainer"):
        plan_crops(preprocessed, trainer=trainer, options=CropOptions(coarse_labels="simulated"), progress=False)
    make_narrow(preprocessed / "nnUNetPlans.json")
    return Workspace(base, environ, raw, preprocessed, base / "nnUNet_results" / raw.name)


SHORT = {"iterations": 2, "val_iterations": 1, "batch_size": 2, "initial_lr": 1e-3}
E2A_UNET = "nnunet_cardiac.architectures.e2a_unet.E2AUNet"
SPECIALISTS = "nnunet_cardiac.architectures.specialists.SpecialistNetworks"
HALSR_NET = "nnunet_cardiac.architectures.halsr_net.HALSRNet"


def make_narrow(path: Path) -> None:
    """Name narrow networks and a short epoch in the plans: what a user does to change them, too."""
    plans = read_json(path)
    configurations = plans["configurations"]
    halsr_kwargs = {"features": [16, 32, 64]}
    configurations["2d"]["architecture"] = architecture(E2A_UNET, {"features": [4, 8, 16, 32, 64]})
    own = {**configurations["2d"], "architecture": architecture(HALSR_NET, halsr_kwargs), "recipe": SHORT}
    configurations["2d"]["trainers"] = {"HALSRNetTrainer": own}
    configurations["2d_roi"]["architecture"]["arch_kwargs"]["grid"] = 2
    for name, configuration in configurations.items():
        configuration["recipe"] = SHORT
        if name.startswith("2d_crop"):
            kwargs = configuration["architecture"]["arch_kwargs"]
            kwargs["network_class_name"] = SPECIALISTS
            kwargs["network_kwargs"] = {"base_width": 4, **kwargs.get("network_kwargs", {})}
    # Enough steps for a box of some size: a regressor that knows nothing says one pixel, which resampling can lose.
    configurations["2d_roi"]["recipe"] = {**SHORT, "iterations": 40, "batch_size": 8}
    halsr_crop = configurations["2d_crop"]["trainers"]["HALSRNetTrainer"]
    halsr_crop["recipe"] = SHORT
    halsr_crop["architecture"]["arch_kwargs"] |= {"network_class_name": HALSR_NET, "network_kwargs": halsr_kwargs}
    write_json(path, plans)
