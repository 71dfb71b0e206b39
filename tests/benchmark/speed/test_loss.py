"""The loss that all networks share, against its formula."""

import pytest
import torch
import torch.nn.functional as F

from nnunet_cardiac.benchmark.speed.loss import BenchmarkLoss


def dice_and_cross_entropy(logits, target):
    """Foreground Dice of the whole batch and mean cross-entropy, written out."""
    p, g = logits.softmax(1), F.one_hot(target[:, 0].long(), logits.shape[1]).movedim(-1, 1)
    dice = [
        (2 * (p[:, k] * g[:, k]).sum() + 1e-5) / (p[:, k].sum() + g[:, k].sum() + 1e-5)
        for k in range(1, logits.shape[1])
    ]
    chosen = p.log().gather(1, target.long())
    return -torch.stack(dice).mean() - chosen.mean()


@pytest.fixture
def target():
    return torch.randint(3, (2, 1, 8, 12), generator=torch.Generator().manual_seed(0)).float()


def test_logits(target):
    logits = torch.randn(2, 3, 8, 12)
    torch.testing.assert_close(BenchmarkLoss(target, 3)(logits), dice_and_cross_entropy(logits, target))


def test_lower_resolutions_weigh_half_and_the_last_nothing(target):
    outputs = [torch.randn(2, 3, 8, 12), torch.randn(2, 3, 4, 6), torch.full((2, 3, 2, 3), float("nan"))]
    # nearest-exact takes the pixel at the centre, rounded up: rows 1, 3, 5, 7 of 8
    half = target[:, :, 1::2, 1::2]
    expected = (2 * dice_and_cross_entropy(outputs[0], target) + dice_and_cross_entropy(outputs[1], half)) / 3
    loss = BenchmarkLoss(target, 3)
    torch.testing.assert_close(loss(outputs), expected)
    torch.testing.assert_close(loss(outputs), expected)  # with the targets kept from the first call


def test_other_outputs_are_trained_on_their_mean_square(target):
    corners = torch.tensor([[0.0, 0.5, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]], requires_grad=True)
    loss = BenchmarkLoss(target, 3)(corners)
    assert loss.item() == (0.25 + 1 + 1 + 4 * 0.25) / 8
    loss.backward()
    torch.testing.assert_close(corners.grad, corners.detach() / 4)
