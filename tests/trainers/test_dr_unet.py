"""The trainers of the 3D DR-UNet without data: networks, targets, losses, what is refused."""

from __future__ import annotations

import inspect
import pickle
import re
from types import SimpleNamespace

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunet_cardiac.architectures import DilatedResidualUNet, GCAMLocaliser, JointDilatedResidualUNet
from nnunet_cardiac.cascade.coarse_to_fine import CropFromCoarse
from nnunet_cardiac.systems.dr_unet import DR_UNET, GCAM_LOCALISER
from nnunet_cardiac.systems.dr_unet import RECIPE as DRUNET
from nnunet_cardiac.systems.kinds import Network
from nnunet_cardiac.systems.recipe import NNUNET, Recipe
from nnunet_cardiac.trainers import variants
from nnunet_cardiac.trainers.dilated_residual_unet import DRUNetEndToEndTrainer, DRUNetTrainer
from nnunet_cardiac.trainers.recipe.losses import VolumeDiceLoss

CINE, ISOTROPIC = [10.0, 1.5, 1.5], [1.25, 1.25, 1.25]


def configuration(spacing=CINE, network=("foreign.Net", {"n_stages": 6}), **changes) -> ConfigurationManager:
    entry = {"patch_size": [16, 128, 128], "spacing": spacing, "architecture": Network(*network).to_plans()}
    return ConfigurationManager({**entry, **changes})


def build(trainer, *args, channels=1, classes=4, **kwargs):
    manager = configuration(*args, **kwargs)
    return trainer.build_network_architecture(PlansManager({}), manager, channels, classes, False)


@pytest.mark.parametrize("trainer", [DRUNetTrainer, DRUNetEndToEndTrainer])
def test_overridden_methods_keep_their_parameters(trainer) -> None:
    names = [n for n, value in vars(trainer).items() if callable(getattr(nnUNetTrainer, n, None)) and callable(value)]
    for name in names:
        ours, theirs = (inspect.signature(getattr(t, name)).parameters for t in (trainer, nnUNetTrainer))
        if not name.startswith("__") or name == "__init__":
            assert list(ours) == list(theirs), name


@pytest.mark.parametrize(
    "name", ["DRUNetTrainer", "DRUNetTrainer_3epochs", "DRUNetEndToEndTrainer_nnUNetRecipe_9epochs"]
)
def test_variants_are_picklable_classes_of_their_own_name(name: str) -> None:
    trainer = getattr(variants, name)
    assert trainer.__name__ == name
    assert pickle.loads(pickle.dumps(trainer)) is trainer
    assert (trainer.own_recipe or trainer.facts.recipe) == (NNUNET if "nnUNetRecipe" in name else DRUNET)


def test_plans_of_nnunet_give_the_papers_networks() -> None:
    assert isinstance(build(DRUNetTrainer), DilatedResidualUNet)
    assert isinstance(build(DRUNetEndToEndTrainer), JointDilatedResidualUNet)
    crop = build(DRUNetTrainer, channels=4, previous_stage="3d_locate")
    assert isinstance(crop, CropFromCoarse)
    assert isinstance(crop.inner, DilatedResidualUNet)
    assert crop.inner.input_channels == 1  # the map says where, not what
    assert sum(p.numel() for p in crop.parameters()) == 10_148_516


@pytest.mark.parametrize(
    ("spacing", "divisor"), [(CINE, (1, 8, 8)), (ISOTROPIC, (8, 8, 8)), ([2.27, 1.04, 1.04], (8, 8, 8))]
)
def test_the_spacing_says_whether_slices_are_pooled(spacing, divisor) -> None:
    assert build(DRUNetTrainer, spacing, channels=1).divisor == divisor
    assert build(DRUNetTrainer, spacing, channels=4, previous_stage="x").inner.divisor == divisor
    assert build(DRUNetTrainer, spacing, (GCAM_LOCALISER, {"filters": 2})).divisor == divisor


def test_plans_that_say_otherwise_win() -> None:
    network = build(DRUNetTrainer, CINE, (DR_UNET, {"keep_z": False, "filters": 2}))
    assert network.divisor == (8, 8, 8)


@pytest.mark.parametrize(
    ("spacing", "keep_z", "message"),
    [
        (CINE, False, r"keep_z False, but with a spacing of 10 x 1.5 x 1.5 mm .* loses slices"),
        (ISOTROPIC, True, r"keep_z True, but .* sees little along the slice axis"),
        (CINE, True, None),
        (ISOTROPIC, False, None),
    ],
)
def test_pooling_that_does_not_suit_the_spacing_is_named(monkeypatch, spacing, keep_z, message) -> None:
    lines: list[str] = []
    trainer = DRUNetTrainer.__new__(DRUNetTrainer)
    trainer.network, trainer.is_ddp = GCAMLocaliser(1, 2, filters=1, keep_z=keep_z), False
    trainer.configuration_manager = configuration([99.0, 1.0, 1.0])  # of a coarser grid; that of the data counts
    trainer.plans_manager = PlansManager({"configurations": {"3d_fullres": {"spacing": spacing}}})
    trainer.print_to_log_file = lines.append
    monkeypatch.setattr(DRUNetTrainer.__mro__[1], "initialize", lambda self: None)
    trainer.initialize()
    if message is None:
        assert not lines
    else:
        assert re.search(message, lines[0])


def test_the_localiser_learns_the_union_and_is_judged_by_its_segmentation(monkeypatch) -> None:
    seen: list[tuple[torch.Tensor, int]] = []

    def step(self, batch):
        self.network.eval() if len(seen) else self.network.train()
        seen.append((batch["target"], self.network(batch["data"]).shape[1]))
        return {}

    for name in ("train_step", "validation_step"):
        monkeypatch.setattr(DRUNetTrainer.__mro__[1], name, step)
    trainer = DRUNetTrainer.__new__(DRUNetTrainer)
    trainer.network, trainer.is_ddp = GCAMLocaliser(1, 4, filters=1), False
    trainer.label_manager = SimpleNamespace(ignore_label=None)
    batch = {"data": torch.randn(2, 1, 2, 16, 16), "target": torch.arange(4.0).repeat(256).view(2, 1, 2, 16, 16)}
    trainer.train_step(batch)
    trainer.validation_step(batch)
    for target, channels in seen:
        assert channels == 2
        torch.testing.assert_close(target, (batch["target"] > 0).float())
    assert trainer.network(batch["data"]).shape[1] == 4  # and draws again afterwards


@pytest.mark.parametrize(("name", "first"), [("softmax_dice", 0), ("softmax_dice_foreground", 1)])
def test_the_recipe_chooses_the_loss(name: str, first: int) -> None:
    trainer = DRUNetTrainer.__new__(DRUNetTrainer)
    trainer.recipe, trainer.is_ddp = Recipe(loss=name), False
    trainer.label_manager = SimpleNamespace(ignore_label=None)
    loss = trainer._build_loss()
    assert isinstance(loss, VolumeDiceLoss)
    assert loss.first == first


def test_end_to_end_any_loss_sums_both_networks() -> None:
    trainer = DRUNetEndToEndTrainer.__new__(DRUNetEndToEndTrainer)
    trainer.recipe, trainer.is_ddp = Recipe(loss="dice_ce"), False
    trainer.label_manager = SimpleNamespace(has_ignore_label=False, has_regions=False, ignore_label=None)
    trainer.configuration_manager = SimpleNamespace(batch_dice=True)
    trainer.enable_deep_supervision, trainer.local_rank = False, 0
    trainer._do_i_compile = lambda: False
    loss = trainer._build_loss()
    network = JointDilatedResidualUNet(1, 4, coarse_filters=1, filters=2).train()
    target = torch.randint(0, 4, (2, 1, 3, 16, 16))
    outputs = network(torch.randn(2, 1, 3, 16, 16))
    assert len(outputs) == 2
    total = loss(outputs, target)
    torch.testing.assert_close(total, loss(outputs[0], target) + loss(outputs[1], target))
    total.backward()
    assert all(p.grad is not None for p in network.parameters())


def test_the_recipe_is_that_of_the_paper() -> None:
    assert (DRUNET.optimizer, DRUNET.initial_lr, DRUNET.milestones, DRUNET.schedule) == ("adam", 1e-4, (), "steps")
    assert (DRUNET.patience, DRUNET.augmentation, DRUNET.loss) == (20, "paper", "softmax_dice")
