"""The Dice loss against hand-worked numbers and the written formula."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from nnunet_cardiac.trainers.recipe.losses import (
    CornerLoss,
    CrossEntropyDiceLoss,
    SigmoidDiceLoss,
    SummedLoss,
    VolumeDiceLoss,
)

BIG = 50.0  # a logit whose sigmoid is 1 in float32


def test_hand_worked_example() -> None:
    # Channel 1: prediction on 2 of 4 pixels, target on 2, one shared: 2*1/(2+2) = 1/2.
    # Channel 2: prediction on none, target on 1: 0. Channel 0 left out. Loss = 1 - 1/4.
    target = torch.tensor([[[[1, 1, 2, 0]]]])
    logits = torch.full((1, 3, 1, 4), -BIG)
    logits[0, 1, 0, [0, 3]] = BIG
    loss = SigmoidDiceLoss(background=False)(logits, target)
    assert loss.item() == pytest.approx(0.75, abs=1e-5)
    # With the background: target on pixel 3, nothing predicted: 0; mean of (0, 1/2, 0).
    assert SigmoidDiceLoss(background=True)(logits, target).item() == pytest.approx(1 - 1 / 6, abs=1e-5)


@pytest.mark.parametrize("squared", [True, False])
def test_equals_the_formula_pooled_over_the_batch(squared: bool) -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(3, 4, 5, 7, dtype=torch.double), torch.randint(0, 4, (3, 1, 5, 7))
    p = logits.sigmoid()
    dice = []
    for c in range(4):
        g = (target[:, 0] == c).double()
        denominator = (p[:, c] ** 2).sum() + g.sum() if squared else p[:, c].sum() + g.sum()
        dice.append((2 * (p[:, c] * g).sum() + 0.1) / (denominator + 0.1))
    expected = 1 - torch.stack(dice).mean()
    loss = SigmoidDiceLoss(background=True, squared=squared, smooth=0.1)(logits, target)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)


def test_false_positives_of_an_absent_structure() -> None:
    # The published form has no gradient there; the form of sums with smoothing has one.
    logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    target = torch.zeros(1, 1, 4, 4, dtype=torch.long)
    SigmoidDiceLoss(background=False, smooth=0)(logits, target).backward()
    assert logits.grad.abs().max() == 0
    logits.grad = None
    SigmoidDiceLoss(background=False, squared=False, smooth=1.0)(logits, target).backward()
    assert (logits.grad[:, 1] > 0).all()


def test_reductions_are_float32_under_autocast() -> None:
    logits = torch.randn(2, 3, 64, 64, dtype=torch.bfloat16)
    target = torch.randint(0, 3, (2, 1, 64, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = SigmoidDiceLoss(background=True)(logits, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, SigmoidDiceLoss(background=True)(logits.float(), target))


def test_cross_entropy_dice_by_hand() -> None:
    # One pixel, foreground with p = 0.8: BCE is -log 0.8 on both channels, Dice 2 * 0.8 / (0.8 + 1).
    logits = torch.tensor([0.2, 0.8]).log().view(1, 2, 1, 1)
    loss = CrossEntropyDiceLoss(smooth=0.0)(logits, torch.ones(1, 1, 1, 1))
    assert loss.item() == pytest.approx(0.5 * -math.log(0.8) + 0.5 * (1 - 1.6 / 1.8), rel=1e-5)


def test_cross_entropy_equals_torch_on_probabilities_and_ignores_a_shift_of_the_logits() -> None:
    torch.manual_seed(1)
    logits, target = torch.randn(2, 3, 6, 5), torch.randint(0, 3, (2, 1, 6, 5))
    p, g = logits.softmax(1), F.one_hot(target[:, 0], 3).movedim(-1, 1).float()
    dice = (2 * (p * g).sum((0, 2, 3)) + 1e-5) / ((p + g).sum((0, 2, 3)) + 1e-5)
    expected = 0.5 * F.binary_cross_entropy(p, g) + 0.5 * (1 - dice[1:].mean())
    for given in (logits, logits + 7, logits.log_softmax(1)):
        torch.testing.assert_close(CrossEntropyDiceLoss()(given, target), expected)


def test_certain_networks_have_a_finite_loss_and_gradient() -> None:
    logits = torch.tensor([[-300.0, 300.0]]).view(1, 2, 1, 1).requires_grad_()
    for label in (0, 1):
        loss = CrossEntropyDiceLoss()(logits, torch.full((1, 1, 1, 1), label))
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()


def test_corner_loss_is_the_mean_square_over_slices_that_have_a_target() -> None:
    target = torch.zeros(3, 1, 10, 10)
    target[0, 0, 2:6, 1:9] = 1
    target[2, 0, :5, :5] = 1
    predicted = torch.tensor([[0.1, 0.2, 0.9, 0.8], [0.7, 0.7, 0.7, 0.7], [0.0, 0.0, 0.5, 0.5]], requires_grad=True)
    loss = CornerLoss()(predicted, target)
    assert loss.item() == pytest.approx(0.2**2 / 4 / 2)
    loss.backward()
    assert not predicted.grad[1].any()


def test_corner_loss_without_any_target_is_zero_and_differentiable() -> None:
    predicted = torch.rand(2, 4, requires_grad=True)
    loss = CornerLoss()(predicted, torch.zeros(2, 1, 8, 8))
    loss.backward()
    assert loss.item() == 0
    assert not predicted.grad.any()


def test_corner_loss_reads_a_drawn_box() -> None:
    target = torch.zeros(1, 1, 10, 10)
    target[0, 0, 2:6, 1:9] = 1
    drawn = torch.cat((-target, target), 1)
    assert CornerLoss()(drawn, target).item() == 0
    assert CornerLoss()(drawn.roll(1, 3), target).item() == pytest.approx(2 * 0.1**2 / 4)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("background", [True, False])
def test_volume_loss_of_perfect_overlap_is_zero(classes: int, background: bool) -> None:
    target = torch.arange(24).view(1, 1, 2, 3, 4) % classes
    logits = (F.one_hot(target[:, 0], classes).movedim(-1, 1) * 2.0 - 1.0) * BIG
    assert VolumeDiceLoss(background)(logits, target).item() == pytest.approx(0, abs=1e-6)


def test_volume_loss_of_one_structure_by_hand() -> None:
    # p = 0.8 on a voxel of the structure, 0.4 on one of the background: 2 * 0.8 / (0.8 + 0.4 + 1) = 8 / 11.
    p = torch.tensor([0.8, 0.4]).view(1, 1, 1, 1, 2)
    logits = torch.cat((torch.zeros_like(p), p.logit()), 1)
    loss = VolumeDiceLoss(smooth=0.0)(logits, torch.tensor([1, 0]).view(1, 1, 1, 1, 2))
    expected = 1 - 8 / 11 - (math.log(0.8) + math.log(0.6)) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_volume_loss_of_several_structures_by_hand() -> None:
    # Three classes, two voxels of class 1 and 2. Dice: 0 for the background, 2 * 0.5 / (0.5 + 0.2 + 1), 2 * 0.6 / ...
    p = torch.tensor([[0.25, 0.5, 0.25], [0.2, 0.2, 0.6]]).T.reshape(1, 3, 1, 1, 2)
    target = torch.tensor([1, 2]).view(1, 1, 1, 1, 2)
    dice = [0.0, 1.0 / 1.7, 1.2 / 1.85]
    assert VolumeDiceLoss(smooth=0.0)(p.log(), target).item() == pytest.approx(1 - sum(dice) / 3, rel=1e-5)
    assert VolumeDiceLoss(False, smooth=0.0)(p.log(), target).item() == pytest.approx(1 - sum(dice) / 2, rel=1e-5)


def test_volume_loss_of_two_networks_is_the_sum() -> None:
    torch.manual_seed(0)
    fine, coarse = torch.randn(2, 2, 3, 2, 4, 4)
    target = torch.randint(0, 3, (2, 1, 2, 4, 4))
    one = VolumeDiceLoss()
    both = SummedLoss(one)
    torch.testing.assert_close(both([fine, coarse], target), one(fine, target) + one(coarse, target))
    torch.testing.assert_close(both(fine, target), one(fine, target))  # validation sees the second network alone


@pytest.mark.parametrize("classes", [2, 3])
def test_volume_loss_has_finite_gradients_where_a_structure_is_absent(classes: int) -> None:
    logits = torch.tensor([300.0, -300.0, -300.0][:classes]).view(1, classes, 1, 1, 1).repeat(1, 1, 2, 2, 2)
    logits.requires_grad_()
    for label in (0, 1):
        VolumeDiceLoss()(logits, torch.full((1, 1, 2, 2, 2), label)).backward()
        assert torch.isfinite(logits.grad).all()
