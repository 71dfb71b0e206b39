"""What the trainers make of pixels without a reference, without a training."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunet_cardiac.architectures import GCAMLocaliser
from nnunet_cardiac.architectures.classifier_guided import ClassifierGuidedNet
from nnunet_cardiac.architectures.roi_regressor import ROIRegressor
from nnunet_cardiac.systems.classifier_guided import RECIPE as CLASSIFIER_GUIDED
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.trainers.classifier_guided import ClassifierGuidedTrainer
from nnunet_cardiac.trainers.crocnet import CroCNetTrainer
from nnunet_cardiac.trainers.dilated_residual_unet import DRUNetEndToEndTrainer, DRUNetTrainer
from nnunet_cardiac.trainers.halsr import HALSRNetTrainer
from nnunet_cardiac.trainers.recipe.gated_loss import ClassifierGuidedLoss
from nnunet_cardiac.trainers.recipe.losses import CornerLoss, SummedLoss

IGNORE = 4
LABELS = {"background": 0, "RV": 1, "MYO": 2, "LV": 3, "ignore": IGNORE}


def bare(kind: type, network: nn.Module | None = None, **recipe: object):
    """A trainer that knows the labels and no data."""
    trainer = kind.__new__(kind)
    trainer.recipe, trainer.device, trainer.is_ddp = Recipe(**recipe), torch.device("cpu"), False
    trainer.local_rank, trainer.enable_deep_supervision, trainer.is_cascaded = 0, False, False
    trainer.label_manager = SimpleNamespace(has_regions=False, has_ignore_label=True, ignore_label=IGNORE)
    trainer.configuration_manager = SimpleNamespace(batch_dice=True, previous_stage_name=None)
    trainer.dataset_json = {"labels": LABELS}
    trainer.network = network
    trainer._do_i_compile = lambda: False
    return trainer


@pytest.mark.parametrize("kind", [CroCNetTrainer, HALSRNetTrainer, DRUNetTrainer, DRUNetEndToEndTrainer])
@pytest.mark.parametrize("loss", ["dice", "dice_sum", "bce_dice", "softmax_dice", "softmax_dice_foreground", "dice_ce"])
def test_every_loss_knows_the_ignore_label(kind: type, loss: str) -> None:
    built = bare(kind, nn.Identity(), loss=loss)._build_loss()
    assert isinstance(built, SummedLoss) == (kind is DRUNetEndToEndTrainer)
    logits = torch.randn(2, 4, 6, 8, requires_grad=True)
    target = torch.randint(0, 4, (2, 1, 6, 8))
    target[..., :4] = IGNORE
    built(logits, target).backward()
    assert logits.grad[..., :4].eq(0).all()
    assert logits.grad[..., 4:].ne(0).any()


@pytest.mark.parametrize("loss", ["gated", "dice", "bce_dice", "softmax_dice", "dice_ce"])
def test_every_loss_of_both_stages_knows_the_ignore_label(loss: str) -> None:
    network = ClassifierGuidedNet(1, 4, features=(4, 8), heads=2)
    built = bare(ClassifierGuidedTrainer, network, loss=loss)._build_loss()
    built.gates_open = True
    target = torch.randint(0, 4, (1, 1, 3, 16, 16))
    target[..., :8] = IGNORE
    output = network(torch.randn(1, 1, 3, 16, 16))
    output.seg.retain_grad()
    output.ref.retain_grad()
    built(output._replace(seg=output.seg.detach().requires_grad_()), target).backward()
    assert output.ref.grad[..., :8].eq(0).all()
    assert output.ref.grad[..., 8:].ne(0).any()


def test_the_union_of_the_structures_leaves_them_out() -> None:
    trainer = bare(DRUNetTrainer, GCAMLocaliser(1, 4, filters=1))
    batch = {"data": None, "target": torch.tensor([0, 1, 3, 4]).short().view(1, 1, 1, 1, 4)}
    target = trainer._with_union(batch)["target"]
    assert target.flatten().tolist() == [0, 1, 1, 4]
    assert target.dtype == torch.int16
    assert batch["target"].flatten().tolist() == [0, 1, 3, 4]


def slice_with(ignored: tuple[slice, slice] | None, heart: bool = True) -> torch.Tensor:
    """A slice with LV and MYO in rows 4 to 8 and columns 3 to 6; the RV left of them is no target."""
    target = torch.zeros(1, 12, 12)
    if heart:
        target[0, 4:9, 3:7], target[0, 5:8, 4:6], target[0, 5:7, 1:3] = 2, 3, 1
    if ignored is not None:
        target[0][ignored] = IGNORE
    return target


@pytest.mark.parametrize(
    ("ignored", "known"),
    [
        (None, True),
        ((slice(5, 7), slice(4, 6)), True),  # inside the box
        ((slice(0, 12), slice(9, 12)), True),  # apart from it: columns 7 and 8 are annotated
        ((slice(0, 12), slice(7, 12)), False),  # the heart may go on there
        ((slice(9, 10), slice(7, 8)), False),  # touches a corner alone: pixels that touch by a corner are connected
        ((slice(0, 12), slice(5, 12)), False),  # half of the heart has no reference
        ((slice(0, 12), slice(0, 12)), False),
    ],
)
def test_a_box_that_may_go_on_is_no_target(ignored, known: bool) -> None:
    trainer = bare(HALSRNetTrainer, ROIRegressor(1, 4, features=(4, 4, 4, 4), hidden=16, grid=2))
    target = torch.stack([slice_with(ignored), slice_with(None)])
    drawn = trainer._with_box_target({"target": target})["target"]
    box = torch.zeros(12, 12)
    box[4:9, 3:7] = 1
    assert drawn[1, 0].tolist() == box.tolist()
    assert drawn[0, 0].tolist() == (box if known else torch.full((12, 12), float(IGNORE))).tolist()


def test_a_slice_without_target_is_known_to_be_empty_only_if_all_of_it_is_annotated() -> None:
    trainer = bare(HALSRNetTrainer, ROIRegressor(1, 4, features=(4, 4, 4, 4), hidden=16, grid=2))
    target = torch.stack([slice_with(None, heart=False), slice_with((slice(0, 1), slice(0, 1)), heart=False)])
    drawn = trainer._with_box_target({"target": target})["target"]
    assert drawn[0].eq(0).all()
    assert drawn[1].eq(IGNORE).all()


def test_the_loss_and_pseudo_dice_of_boxes_leave_unknown_ones_out() -> None:
    network = ROIRegressor(1, 4, features=(4, 4, 4, 4), hidden=16, grid=2)
    trainer = bare(HALSRNetTrainer, network.eval())
    trainer.loss = trainer._build_loss()
    assert isinstance(trainer.loss, CornerLoss)
    image = torch.randn(2, 1, 12, 12)
    target = torch.stack([slice_with((slice(0, 12), slice(5, 12))), slice_with(None)])
    with torch.no_grad():
        found = trainer.validation_step({"data": image, "target": target})
        alone = trainer.validation_step({"data": image[1:], "target": slice_with(None)[None]})
    for name in ("loss", "tp_hard", "fp_hard", "fn_hard"):
        np.testing.assert_allclose(found[name], alone[name], rtol=1e-6)


@pytest.mark.parametrize("kind", [CroCNetTrainer, DRUNetTrainer])
def test_pseudo_dice_is_that_of_the_annotated_pixels(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """nnU-Net's own step, with our outputs."""
    logits, target = torch.randn(1, 4, 6, 8), torch.randint(0, 4, (1, 1, 6, 8))
    target[..., :4] = IGNORE
    trainer = bare(kind, nn.Identity(), loss="softmax_dice")
    trainer.loss = trainer._build_loss()
    counts = nnUNetTrainer.validation_step(trainer, {"data": logits, "target": target.clone()})
    guess, truth = logits.argmax(1)[..., 4:], target[:, 0, :, 4:]
    for value in (1, 2, 3):
        a, b = guess == value, truth == value
        assert counts["tp_hard"][value - 1] == (a & b).sum()
        assert counts["fp_hard"][value - 1] == (a & ~b).sum()
        assert counts["fn_hard"][value - 1] == (~a & b).sum()


def test_presence_is_known_where_a_structure_was_seen_or_all_of_the_slice() -> None:
    trainer = bare(ClassifierGuidedTrainer, ClassifierGuidedNet(1, 4, features=(4, 8), heads=2).eval())
    trainer.recipe, trainer.loss, trainer._presence = CLASSIFIER_GUIDED, ClassifierGuidedLoss(ignore_label=IGNORE), []
    labels = torch.zeros(1, 1, 3, 16, 16)
    labels[0, 0, 0, :8] = IGNORE  # RV seen in the other half
    labels[0, 0, 0, 9] = 1
    labels[0, 0, 1] = IGNORE
    labels[0, 0, 2, 5] = 3  # all annotated
    with torch.no_grad():
        trainer.validation_step({"data": torch.randn(1, 1, 3, 16, 16), "target": labels})
    truth, known, _ = trainer._presence[0]
    assert truth.tolist() == [[True, False, False], [False] * 3, [False, False, True]]
    assert known.tolist() == [[True, False, False], [False] * 3, [True] * 3]
