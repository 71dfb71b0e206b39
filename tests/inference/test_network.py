"""The network that a trainer writes down is the one that it trains."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.inference.model_folder import find_stages
from nnunet_cardiac.inference.network import build_network
from nnunet_cardiac.inference.trainer_lookup import find_trainer
from nnunet_cardiac.planning.shared_plans import RESOLVED


def write_down(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make the plans of each stage what the trainer would have saved."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for stage in find_stages(model):
        plans = read_json(stage.folder / "plans.json")
        plans["continue_training"] = False
        plans["configurations"].setdefault("2d", plans["configurations"][stage.configuration])  # checked, not used
        trainer = find_trainer(stage.trainer)(
            copy.deepcopy(plans), stage.configuration, 0, read_json(stage.folder / "dataset.json"), torch.device("cpu")
        )
        write_json(stage.folder / "plans.json", json.loads(json.dumps(trainer.plans_manager.plans)))


@pytest.mark.parametrize("system", ["CroCNet", "HALSR"])
def test_written_down_as_trained(
    system: str, write_system: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = write_system(system)
    write_down(model, monkeypatch, tmp_path)
    for stage in find_stages(model):
        plans = PlansManager(read_json(stage.folder / "plans.json"))
        configuration = plans.get_configuration(stage.configuration)
        assert RESOLVED in configuration.configuration
        channels = 1 if configuration.previous_stage_name is None else 4
        trained = find_trainer(stage.trainer).build_network_architecture(plans, configuration, channels, 4, False)
        written = build_network(stage.trainer, plans, configuration, channels, 4)
        assert str(written) == str(trained)
        assert getattr(written, "pass_coarse", None) == getattr(trained, "pass_coarse", None)
        assert getattr(written, "rule", None) == getattr(trained, "rule", None)


def test_no_trainer_is_imported(
    write_system: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = write_system("CroCNet")
    write_down(model, monkeypatch, tmp_path)
    code = (
        "import sys; from nnunet_cardiac.inference import CardiacPredictor, cohort; "
        "CardiacPredictor.from_folder(sys.argv[1], device='cpu'); "
        "print([m for m in ('torch._dynamo', 'matplotlib', 'nnunet_cardiac.trainers.base') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("trained_before", [False, True])
def test_arguments_that_are_new_since_are_for_new_trainings(trained_before: bool) -> None:
    """Result folders of earlier versions say neither `squeeze` nor that CLAHE standardises each slice."""
    path = "nnunet_cardiac.architectures.{}"
    for trainer, network, kwargs in (
        ("ClassifierGuidedTrainer", "classifier_guided.ClassifierGuidedNet", {"features": [8, 8], "heads": 2}),
        ("DRUNetTrainer", "dilated_residual_unet.DilatedResidualUNet", {"filters": 2, "clahe": True}),
    ):
        name = path.format(network)
        written = {RESOLVED: {"network_class_name": name, "arch_kwargs": kwargs}} if trained_before else {}
        planned = {"network_class_name": name, "arch_kwargs": kwargs, "_kw_requires_import": []}
        entry = {"patch_size": [4, 16, 16], "spacing": [8.0, 1.5, 1.5], "architecture": planned, **written}
        found = find_trainer(trainer).resolved_architecture(ConfigurationManager(entry))[1]
        if trained_before:
            assert found == kwargs
        else:
            assert found.get("squeeze") == "slice" or found.get("clahe") == "slice"
