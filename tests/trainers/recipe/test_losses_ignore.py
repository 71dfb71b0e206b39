"""Pixels without a reference have no part in any loss: it is that of the annotated pixels taken out on their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.trainers.recipe import losses
from nnunet_cardiac.trainers.recipe.annotated import annotated_mean, one_hot_target
from nnunet_cardiac.trainers.recipe.losses import (
    CornerLoss,
    CrossEntropyDiceLoss,
    SigmoidDiceLoss,
    SummedLoss,
    VolumeDiceLoss,
)

IGNORE = 3
LOSSES: dict[str, Callable[..., nn.Module]] = {
    "dice": lambda **kw: SigmoidDiceLoss(background=True, **kw),
    "dice without background": lambda **kw: SigmoidDiceLoss(background=False, **kw),
    "dice_sum": lambda **kw: SigmoidDiceLoss(background=False, squared=False, smooth=1.0, **kw),
    "bce_dice": CrossEntropyDiceLoss,
    "softmax_dice": VolumeDiceLoss,
    "softmax_dice_foreground": lambda **kw: VolumeDiceLoss(background=False, **kw),
    "summed": lambda **kw: SummedLoss(VolumeDiceLoss(**kw)),
}


def sample(classes: int = 3, shape: tuple[int, ...] = (2, 5, 7), seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and a label map of which some two fifths have no reference."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape[0], classes, *shape[1:], generator=generator)
    target = torch.randint(0, classes, (shape[0], 1, *shape[1:]), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.4] = IGNORE
    return logits, target


def taken_out(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The annotated pixels alone, as one row of pixels."""
    held = target[:, 0] != IGNORE
    return logits.movedim(1, -1)[held].T[None], target[:, 0][held][None, None]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", [(2, 5, 7), (1, 3, 4, 5)], ids=["slices", "volumes"])
@pytest.mark.parametrize("classes", [2, 3])
def test_loss_is_that_of_the_annotated_pixels(name: str, shape: tuple[int, ...], classes: int) -> None:
    logits, target = sample(classes, shape)
    found = LOSSES[name](ignore_label=IGNORE)(logits, target)
    torch.testing.assert_close(found, LOSSES[name]()(*taken_out(logits, target)))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.long, torch.int16, torch.float32])
def test_no_gradient_where_there_is_no_reference(name: str, dtype: torch.dtype) -> None:
    logits, target = sample()
    logits.requires_grad_()
    LOSSES[name](ignore_label=IGNORE)(logits, target.to(dtype)).backward()
    ignored = (target == IGNORE).expand_as(logits)
    assert logits.grad[ignored].eq(0).all()
    assert logits.grad[~ignored].ne(0).any()


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_predicted_without_a_reference_does_not_matter(name: str) -> None:
    logits, target = sample()
    other = torch.where(target == IGNORE, 80.0 * torch.randn_like(logits), logits)
    loss = LOSSES[name](ignore_label=IGNORE)
    torch.testing.assert_close(loss(other, target), loss(logits, target))


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_any_reference_has_no_loss(name: str) -> None:
    logits = torch.randn(2, 3, 5, 7, requires_grad=True)
    loss = LOSSES[name](ignore_label=IGNORE)(logits, torch.full((2, 1, 5, 7), IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.eq(0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_changes_where_every_pixel_has_a_reference(name: str) -> None:
    logits, target = sample()
    target[target == IGNORE] = 0
    torch.testing.assert_close(LOSSES[name](ignore_label=IGNORE)(logits, target), LOSSES[name]()(logits, target))


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "bce_dice"])
def test_sums_of_all_processes_leave_them_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two processes, one after the other: what they hand over is stacked, as all-gather does it.
    handed: list[torch.Tensor] = []

    class Gather:
        @staticmethod
        def apply(own: torch.Tensor) -> torch.Tensor:
            handed.append(own)
            return own[None]

    monkeypatch.setattr(losses, "AllGatherGrad", Gather)
    (logits, target), (others, other_target) = sample(seed=1), sample(seed=2)
    loss = LOSSES[name](ddp=True, ignore_label=IGNORE)
    loss(logits, target)
    first = list(handed)
    monkeypatch.setattr(Gather, "apply", staticmethod(lambda own: torch.stack((first.pop(0), own))))
    found = loss(others, other_target)
    both = LOSSES[name]()(*taken_out(torch.cat((logits, others)), torch.cat((target, other_target))))
    torch.testing.assert_close(found, both)


def test_one_hot_by_hand() -> None:
    masks, annotated = one_hot_target(torch.tensor([[[0, 1, 3]]]), 3, 3)
    assert masks.tolist() == [[[1, 0, 0], [0, 1, 0], [0, 0, 0]]]
    assert annotated.tolist() == [[[1, 1, 0]]]
    assert annotated_mean(torch.tensor([[[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]]]), annotated).item() == 2.5
    masks, annotated = one_hot_target(torch.tensor([[[0, 1, 2]]]), 3, None)
    assert annotated is None
    torch.testing.assert_close(masks, F.one_hot(torch.tensor([[0, 1, 2]]), 3).movedim(-1, 1).float())


def test_corners_of_slices_whose_box_is_not_known_are_left_out() -> None:
    target = torch.zeros(3, 1, 10, 10)
    target[0, 0, 2:6, 1:9] = 1
    target[1] = IGNORE
    predicted = torch.tensor([[0.1, 0.2, 0.9, 0.8], [0.7, 0.7, 0.7, 0.7], [0.5, 0.5, 0.5, 0.5]], requires_grad=True)
    loss = CornerLoss(ignore_label=IGNORE)(predicted, target)
    assert loss.item() == pytest.approx(0.2**2 / 4)  # y_max is 0.6
    loss.backward()
    assert not predicted.grad[1].any()
