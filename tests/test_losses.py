"""The Dice loss against hand-worked numbers and the written formula."""

from __future__ import annotations

import pytest
import torch

from nnunet_cardiac.losses import SigmoidDiceLoss

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
