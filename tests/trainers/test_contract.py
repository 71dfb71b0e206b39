"""What nnU-Net expects of a trainer: signatures, lookup, pickling, networks."""

from __future__ import annotations

import inspect
import pickle
import sys
from pathlib import Path

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunet_cardiac.architectures import E2AUNet, SpecialistNetworks
from nnunet_cardiac.cascade.coarse_to_fine import CropFromCoarse
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.systems.crocnet import RECIPE as CROCNET
from nnunet_cardiac.systems.recipe import NNUNET
from nnunet_cardiac.trainers import variants
from nnunet_cardiac.trainers.base import CardiacTrainer
from nnunet_cardiac.trainers.crocnet import CroCNetTrainer
from nnunet_cardiac.workflow.environment import trainer_folder

NAMES = [
    "CroCNetTrainer",
    "CroCNetTrainer_3epochs",
    "CroCNetTrainer_nnUNetRecipe",
    "CroCNetTrainer_nnUNetRecipe_20epochs",
]


def parameters(method) -> list[str]:
    return [name for name in inspect.signature(method).parameters if name not in ("self", "cls")]


def overridden() -> list[tuple[type, str]]:
    trainers = [CardiacTrainer, variants.CroCNetTrainer_3epochs]
    trainers += [parent for facts in TRAINERS.values() for parent in facts.load().__mro__]
    ours = {t for t in trainers if t.__module__.startswith("nnunet_cardiac.")}
    return sorted(
        (
            (t, name)
            for t in ours
            for name in vars(t)
            if callable(getattr(nnUNetTrainer, name, None)) and name in vars(t)
        ),
        key=str,
    )


@pytest.mark.parametrize(("trainer", "name"), [p for p in overridden() if p[1] not in ("__new__", "__doc__")])
def test_overridden_methods_keep_their_parameters(trainer: type, name: str) -> None:
    if name == "__init__" or not name.startswith("__"):
        assert parameters(getattr(trainer, name)) == parameters(getattr(nnUNetTrainer, name))


def test_the_list_of_overridden_methods_is_not_empty() -> None:
    names = {name for _, name in overridden()}
    assert {"__init__", "build_network_architecture", "get_dataloaders", "train_step", "_build_loss"} <= names


@pytest.mark.parametrize("name", NAMES)
def test_variants_are_picklable_classes_of_their_own_name(name: str) -> None:
    trainer = getattr(variants, name)
    assert trainer.__name__ == name
    assert issubclass(trainer, CroCNetTrainer)
    assert pickle.loads(pickle.dumps(trainer)) is trainer
    assert getattr(variants, name) is trainer


def test_names_say_recipe_and_epochs() -> None:
    assert variants.CroCNetTrainer_nnUNetRecipe_20epochs.own_recipe == NNUNET
    assert variants.CroCNetTrainer_nnUNetRecipe_20epochs.epochs == 20
    assert variants.CroCNetTrainer_3epochs.facts.recipe == CROCNET
    for wrong in ("CroCNetTrainer_0epochs", "CroCNetTrainer_epochs", "Other_3epochs", "__path__"):
        with pytest.raises(AttributeError, match=wrong):
            getattr(variants, wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nnunet_finds_the_installed_class(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_extTrainer", str(trainer_folder()))
    assert recursive_find_trainer_class_by_name(name) is getattr(sys.modules["nnunet_cardiac.trainers.variants"], name)


def configuration(**changes) -> ConfigurationManager:
    architecture = {"network_class_name": "foreign.Net", "arch_kwargs": {"n_stages": 6}, "_kw_requires_import": []}
    return ConfigurationManager({"patch_size": [64, 96], "architecture": architecture, **changes})


def test_plans_of_nnunet_give_the_papers_networks() -> None:
    plans = PlansManager({})
    coarse = CroCNetTrainer.build_network_architecture(plans, configuration(), 1, 4, False)
    assert isinstance(coarse, E2AUNet)
    crop = CroCNetTrainer.build_network_architecture(plans, configuration(previous_stage="2d"), 4, 4, False)
    assert isinstance(crop, CropFromCoarse)
    assert isinstance(crop.inner, SpecialistNetworks)
    assert sum(p.numel() for p in coarse.parameters()) == 17_060_964
    assert sum(p.numel() for p in crop.parameters()) == 5_338_025


@pytest.mark.parametrize(
    ("network", "kwargs", "complaint"),
    [
        ("halsr_net.HALSRNet", {"hapm_at": "none", "hapm_residual": True}, "hapm_at is 'none'"),
        ("halsr_net.HALSRNet", {"hapm": "all"}, "'hapm'"),
        ("e2a_unet.E2AUNet", {"features": []}, "features"),
        ("e2a_unet.NoSuchNet", {}, "could not be found"),
    ],
)
def test_what_a_network_refuses_is_said_of_the_plans(network: str, kwargs: dict, complaint: str) -> None:
    path = f"nnunet_cardiac.architectures.{network}"
    named = configuration(architecture={"network_class_name": path, "arch_kwargs": kwargs, "_kw_requires_import": []})
    with pytest.raises(UserError, match=f"MyPlans.json.*{path}.*{complaint}.*'architecture'"):
        CroCNetTrainer.build_network_architecture(PlansManager({"plans_name": "MyPlans"}), named, 1, 4)


def test_plans_that_name_one_of_our_networks_win() -> None:
    architecture = {
        "network_class_name": "nnunet_cardiac.architectures.e2a_unet.E2AUNet",
        "arch_kwargs": {"features": [4, 8, 16, 32, 64]},
        "_kw_requires_import": [],
    }
    narrow = CroCNetTrainer.build_network_architecture(PlansManager({}), configuration(architecture=architecture), 1, 4)
    assert sum(p.numel() for p in narrow.parameters()) < 400_000
    assert architecture["arch_kwargs"] == {"features": [4, 8, 16, 32, 64]}  # the plans stay as they were


def test_the_folder_nnunet_reads_holds_names_only() -> None:
    files = [p.name for p in Path(trainer_folder()).iterdir() if p.suffix == ".py"]
    assert files == ["cardiac_trainers.py"]
