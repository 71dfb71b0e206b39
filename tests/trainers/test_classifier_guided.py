"""What the trainer of the classifier-guided network hands to its network, without a training."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nnunet_cardiac.architectures.classifier_guided import ClassifierGuidedNet
from nnunet_cardiac.systems.classifier_guided import RECIPE as CLASSIFIER_GUIDED
from nnunet_cardiac.systems.recipe import NNUNET, Recipe
from nnunet_cardiac.trainers.classifier_guided import ClassifierGuidedTrainer
from nnunet_cardiac.trainers.recipe.gated_loss import ClassifierGuidedLoss, StagesLoss


@pytest.fixture(params=[CLASSIFIER_GUIDED, NNUNET], ids=["paper", "nnunet"])
def trainer(request: pytest.FixtureRequest) -> ClassifierGuidedTrainer:
    """A trainer that knows its recipe and no data."""
    bare = ClassifierGuidedTrainer.__new__(ClassifierGuidedTrainer)
    bare.recipe = request.param
    return bare


def test_slices_that_fill_a_stack_up_reach_the_network_as_zeros(trainer: ClassifierGuidedTrainer) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    transforms = trainer.get_training_transforms(
        (6, 64, 64), (-3.14, 3.14), None, (1, 2), True, [False], False, (1, 2, 3), None, None
    )
    for _ in range(10):
        image, labels = torch.randn(1, 6, 90, 90), torch.randint(0, 4, (1, 6, 90, 90)).short()
        image[:, :2], labels[:, :2] = 0, -1
        out = transforms(image=image, segmentation=labels)
        assert out["image"].shape == (1, 6, 64, 64)
        assert (out["image"] != 0).flatten(2).any(2)[0].tolist() == [False, False, True, True, True, True]
        assert set(out["segmentation"].unique().tolist()) <= {0, 1, 2, 3}


def test_loss_follows_the_recipe(trainer: ClassifierGuidedTrainer) -> None:
    if trainer.recipe == NNUNET:
        trainer.label_manager = type("Labels", (), {"has_regions": False, "ignore_label": None})()
        trainer.configuration_manager = type("Configuration", (), {"batch_dice": False})()
        trainer.is_ddp = trainer.enable_deep_supervision = False
        trainer._do_i_compile = lambda: False
        assert isinstance(trainer._build_loss(), StagesLoss)
    else:
        trainer.recipe = Recipe(loss="gated", gate_source="pred_or_gt")
        trainer.label_manager = SimpleNamespace(ignore_label=None)
        loss = trainer._build_loss()
        assert isinstance(loss, ClassifierGuidedLoss)
        assert loss.gate_source == "pred_or_gt"


def test_presence_is_kept_for_all_stacks_of_a_batch() -> None:
    trainer = ClassifierGuidedTrainer.__new__(ClassifierGuidedTrainer)
    trainer.recipe, trainer.device, trainer.is_ddp = CLASSIFIER_GUIDED, torch.device("cpu"), False
    trainer.enable_deep_supervision = False
    trainer.label_manager = SimpleNamespace(has_regions=False, has_ignore_label=False, ignore_label=None)
    trainer.dataset_json = {"labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3}}
    trainer.network = ClassifierGuidedNet(1, 4, features=(4, 8), heads=2).eval()
    trainer.loss = ClassifierGuidedLoss()
    trainer._presence = []
    image, labels = torch.randn(2, 1, 4, 16, 16), torch.zeros(2, 1, 4, 16, 16)
    image[1, :, 3] = 0  # fills the second stack up
    labels[0, 0, 1, 4:8] = 1
    labels[1, 0, 2, 4:8] = 3
    with torch.no_grad():
        trainer.validation_step({"data": image, "target": labels})
        said = trainer.network.stages(image).presence
    truth, known, found = trainer._presence[0]
    assert known.all()
    assert truth.nonzero().tolist() == [[1, 0], [6, 2]]  # slice, structure
    assert found.tolist() == (said > 0).tolist()
