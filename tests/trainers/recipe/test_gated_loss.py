"""The classifier-guided loss against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from nnunet_cardiac.architectures.classifier_guided import StageOutputs
from nnunet_cardiac.trainers.recipe.gated_loss import ClassifierGuidedLoss, StagesLoss, presence_target
from nnunet_cardiac.trainers.recipe.losses import VolumeDiceLoss

#: Two stacks of two slices, the last of them padding; slices of 1 x 2 pixels, two anatomies.
REAL = torch.tensor([[True, True], [True, False]])
TARGET = torch.tensor([[[0, 1], [2, 2]], [[0, 0], [1, 1]]]).view(2, 1, 2, 1, 2).float()


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def outputs(presence: list[list[float]] | None, ref: float | None = 1.0) -> StageOutputs:
    seg = torch.zeros(3, 3, 1, 2)
    binary = None if ref is None else torch.full((3, 2, 1, 2), ref, requires_grad=True)
    return StageOutputs(seg, binary, None if presence is None else torch.tensor(presence, requires_grad=True), REAL)


def test_first_stage_alone_is_cross_entropy_on_real_slices() -> None:
    out = outputs(None, None)
    assert ClassifierGuidedLoss()(out, TARGET).item() == pytest.approx(math.log(3))
    changed = TARGET.clone()
    changed[1, 0, 1] = 2  # padding has no say
    assert ClassifierGuidedLoss()(out, changed).item() == pytest.approx(math.log(3))


def test_without_a_classifier_all_gates_are_open() -> None:
    # BCE of logit 1: softplus(-1) on a target pixel, softplus(1) off it. Anatomy 1 covers one pixel of slice 0, anatomy
    # 2 both of slice 1, slice 2 is empty.
    on, off = softplus(-1), softplus(1)
    per_slice = [(on + off) / 2 + off, off + on, off + off]
    expected = math.log(3) + sum(per_slice) / 3
    assert ClassifierGuidedLoss()(outputs(None), TARGET).item() == pytest.approx(expected)


def test_closed_gates_take_their_loss_away_and_the_classifier_learns() -> None:
    presence = [[2.0, -2.0], [-2.0, 2.0], [2.0, -2.0]]  # right but for anatomy 1 in the empty slice
    out = outputs(presence)
    loss = ClassifierGuidedLoss()(out, TARGET)
    on, off = softplus(-1), softplus(1)
    gated = ((on + off) / 2 + on + off) / 3
    classes = (5 * softplus(-2) + softplus(2)) / 3
    assert loss.item() == pytest.approx(math.log(3) + gated + 0.1 * classes)
    loss.backward()
    assert out.ref.grad[0, 1].eq(0).all()
    assert out.ref.grad[0, 0].ne(0).all()
    wrong, right = out.presence.grad[2, 0], out.presence.grad[0, 0]
    assert wrong.item() == pytest.approx(0.1 / 3 / (1 + math.exp(-2)))
    assert right.item() == pytest.approx(-0.1 / 3 / (1 + math.exp(2)))


@pytest.mark.parametrize(
    ("source", "open_gates"),
    [("pred", [[0, 1], [0, 1], [0, 0]]), ("gt", [[1, 0], [0, 1], [0, 0]]), ("pred_or_gt", [[1, 1], [0, 1], [0, 0]])],
)
def test_sources_of_the_gate(source: str, open_gates: list[list[int]]) -> None:
    out = outputs([[-1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]])
    ClassifierGuidedLoss(gate_source=source)(out, TARGET).backward()
    assert out.ref.grad.ne(0).flatten(2).all(2).int().tolist() == open_gates


def test_gates_can_be_held_open() -> None:
    loss, out = ClassifierGuidedLoss(), outputs([[-1.0, -1.0]] * 3)
    loss.gates_open = True
    loss(out, TARGET).backward()
    assert out.ref.grad.ne(0).all()


def test_half_is_closed() -> None:
    out = outputs([[0.0, 0.0]] * 3)
    ClassifierGuidedLoss()(out, TARGET).backward()
    assert out.ref.grad.eq(0).all()


def test_evaluation_takes_plain_logits() -> None:
    logits = torch.zeros(2, 3, 2, 1, 2)
    assert ClassifierGuidedLoss()(logits, TARGET).item() == pytest.approx(math.log(3))


@pytest.mark.parametrize("options", [{"gate_source": "label"}, {"weight": -1.0}])
def test_unknown_options_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="gate_source"):
        ClassifierGuidedLoss(**options)


IGNORE = 3


def cut(out: StageOutputs, columns: slice) -> StageOutputs:
    """The same outputs on some columns of all slices."""
    return out._replace(seg=out.seg[..., columns], ref=out.ref[..., columns])


@pytest.fixture
def wide() -> tuple[StageOutputs, torch.Tensor]:
    """Outputs on three real slices of 4 x 6 pixels, and a target that holds both anatomies in columns 3 to 5."""
    generator = torch.Generator().manual_seed(0)
    seg, ref = torch.randn(3, 3, 4, 6, generator=generator), torch.randn(3, 2, 4, 6, generator=generator)
    target = torch.randint(0, 3, (2, 1, 2, 4, 6), generator=generator).float()
    out = StageOutputs(seg.requires_grad_(), ref.requires_grad_(), torch.full((3, 2), 0.5, requires_grad=True), REAL)
    return out, target


@pytest.mark.parametrize("source", ["pred", "gt", "pred_or_gt"])
def test_both_stages_learn_from_the_annotated_columns_alone(source: str, wide) -> None:
    out, target = wide
    expected = ClassifierGuidedLoss(gate_source=source)(cut(out, slice(3, 6)), target[..., 3:])
    target[..., :3] = IGNORE
    loss = ClassifierGuidedLoss(gate_source=source, ignore_label=IGNORE)(out, target)
    torch.testing.assert_close(loss, expected)  # both anatomies are seen in each slice, so presence is known
    loss.backward()
    for grad in (out.seg.grad, out.ref.grad):
        assert grad[..., :3].eq(0).all()
        assert grad[..., 3:].ne(0).all()


def test_other_losses_of_both_stages_leave_the_rest_out_too(wide) -> None:
    out, target = wide
    expected = StagesLoss(VolumeDiceLoss())(cut(out, slice(3, 6)), target[..., 3:])
    target[..., :3] = IGNORE
    loss = StagesLoss(VolumeDiceLoss(ignore_label=IGNORE), ignore_label=IGNORE)(out, target)
    torch.testing.assert_close(loss, expected)


def test_slices_count_by_their_annotated_pixels() -> None:
    # BCE of logit 1 of slice 0 with one annotated pixel (of anatomy 1), of slice 1 with two (of anatomy 2), of slice 2
    # with none: three pixels in all.
    target = TARGET.clone()
    target[0, 0, 0, 0, 0] = IGNORE
    target[1, 0, 0] = IGNORE
    on, off = softplus(-1), softplus(1)
    loss = ClassifierGuidedLoss(ignore_label=IGNORE)(outputs(None), target)
    assert loss.item() == pytest.approx(math.log(3) + ((on + off) + 2 * (off + on)) / 3)


def test_presence_that_is_not_known_teaches_the_classifier_nothing() -> None:
    target = TARGET.clone()
    target[0, 0, 0, 0, 0] = IGNORE  # slice 0: anatomy 1 is seen, anatomy 2 may be on the other pixel
    target[1, 0, 0] = IGNORE  # slice 2: nothing is known
    present, known = presence_target(target.movedim(2, 1)[REAL], 3, IGNORE)
    assert present.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert known.tolist() == [[1, 0], [1, 1], [0, 0]]
    out = outputs([[1.0, 1.0]] * 3, None)
    loss = ClassifierGuidedLoss(weight=1.0, ignore_label=IGNORE)(out, target)
    # Anatomy 1: mean of present and absent; anatomy 2: present in slice 1 alone.
    assert loss.item() == pytest.approx(math.log(3) + (softplus(-1) + softplus(1)) / 2 + softplus(-1))
    loss.backward()
    assert out.presence.grad.ne(0).int().tolist() == known.int().tolist()


def test_stacks_without_any_reference_have_no_loss(wide) -> None:
    out, target = wide
    for loss in (
        ClassifierGuidedLoss(ignore_label=IGNORE),
        StagesLoss(VolumeDiceLoss(ignore_label=IGNORE), 0.1, IGNORE),
    ):
        found = loss(out, torch.full_like(target, IGNORE))
        found.backward()
        assert found.item() == 0
    assert all(part.grad.eq(0).all() for part in (out.seg, out.ref, out.presence))


def test_evaluation_leaves_the_rest_out_too() -> None:
    logits = torch.zeros(2, 3, 2, 1, 2)
    logits[:, 0, :, 0, 0] = 9.0
    target = TARGET.clone()
    target[..., 0] = IGNORE
    assert ClassifierGuidedLoss(ignore_label=IGNORE)(logits, target).item() == pytest.approx(math.log(3))
