"""Operations against numbers worked out by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.pointwise_mlp import ResidualPointwiseMLP
from nnunet_cardiac.benchmark.speed.arithmetic import count_flop

IMAGE = (2, 6, 8, 12)  # batch, channels, height, width
PIXELS = 2 * 8 * 12


@pytest.mark.parametrize(
    ("layer", "multiply_adds"),
    [
        (nn.Conv2d(6, 10, 3, padding=1), PIXELS * 6 * 10 * 9),
        (nn.Conv2d(6, 6, 3, padding=1, groups=6), PIXELS * 6 * 9),
        (nn.Conv2d(6, 12, 3, padding=1, groups=3), PIXELS * 12 * 2 * 9),
        (nn.Conv2d(6, 10, 2, stride=2), PIXELS // 4 * 6 * 10 * 4),
        (nn.ConvTranspose2d(6, 4, 2, stride=2), PIXELS * 6 * 4 * 4),
        (nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2), PIXELS * 6 * 2 * 4),
        (nn.Sequential(nn.Flatten(2), nn.Linear(96, 5)), 2 * 6 * 96 * 5),
    ],
)
def test_layers(layer, multiply_adds):
    """The gradients of input and weight take as many multiplications as the forward pass, each."""
    x = torch.randn(IMAGE, requires_grad=True)
    assert count_flop(lambda: layer(x)) == 2 * multiply_adds
    assert count_flop(lambda: layer(x).sum().backward()) == 3 * 2 * multiply_adds


def test_input_without_gradient_saves_a_third():
    layer, x = nn.Conv2d(6, 6, 3, padding=1, groups=6), torch.randn(IMAGE)
    assert count_flop(lambda: layer(x).sum().backward()) == 2 * 2 * PIXELS * 6 * 9


@pytest.mark.parametrize(
    "product",
    [
        lambda a, b, out: a @ b,
        lambda a, b, out: torch.baddbmm(out, a, b),
        lambda a, b, out: out.baddbmm_(a, b),
        lambda a, b, out: torch.bmm(a, b, out=out),
        lambda a, b, out: [out[i].addmm_(a[i], b[i]) for i in range(3)],
    ],
)
def test_products_in_place_count_as_others(product):
    a, b, out = torch.randn(3, 4, 5), torch.randn(3, 5, 7), torch.zeros(3, 4, 7)
    assert count_flop(lambda: product(a, b, out)) == 2 * 3 * 4 * 5 * 7


def test_attention_counts_on_every_version_of_torch():
    """Two products forward; backward the scores again and four gradients, of query, key, value and the scores."""
    query, key, value = (torch.randn(2, 4, n, 8, requires_grad=True) for n in (5, 7, 7))
    one = 2 * 4 * 5 * 7 * 8
    attend = F.scaled_dot_product_attention
    assert count_flop(lambda: attend(query, key, value)) == 2 * 2 * one
    assert count_flop(lambda: attend(query, key, value).sum().backward()) == 2 * (2 + 5) * one


def test_layers_computed_again_in_the_backward_pass_count():
    """Two products forward, then the first again and two gradients of each."""
    layer = ResidualPointwiseMLP(6, 24, scale_init=1.0)
    x = torch.randn(IMAGE, requires_grad=True)
    one = PIXELS * 6 * 24
    assert count_flop(lambda: layer(x, x)) == 2 * 2 * one
    assert count_flop(lambda: layer(x, x).sum().backward()) == 2 * (2 + 1 + 4) * one
