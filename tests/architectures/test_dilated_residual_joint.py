"""The end-to-end variant: connection of the two networks, gradients, outputs."""

import pytest
import torch

from nnunet_cardiac.architectures import JointDilatedResidualUNet

WIDTHS = {"coarse_filters": 2, "filters": 3}


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters_at_the_default_size():
    network = JointDilatedResidualUNet(1, 4)
    assert count(network.fine) == 10_148_516
    assert count(network) == 10_148_516 + count(network.coarse)
    assert count(JointDilatedResidualUNet(1, 4, fusion="concat").fine) == 10_167_524


@pytest.mark.parametrize(
    ("fusion", "fused"),
    [
        ("mul", lambda x, p: x * p),
        ("add", lambda x, p: x + p),
        ("concat", lambda x, p: torch.cat((x, p), 1)),
        ("mul_concat", lambda x, p: torch.cat((x, x * p), 1)),
    ],
)
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (1, 4), (2, 3)])
def test_the_second_network_sees_image_and_heart(fusion, fused, channels, classes):
    torch.manual_seed(0)
    network = JointDilatedResidualUNet(channels, classes, fusion=fusion, **WIDTHS).eval()
    x = torch.randn(1, channels, 2, 8, 16)
    heart = network.coarse(x).softmax(1)[:, 1:].sum(1, keepdim=True)
    torch.testing.assert_close(network(x), network.fine(fused(x, heart)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fusion", ["mul", "concat", "mul_concat", "add"])
def test_the_loss_of_the_second_reaches_the_first(fusion):
    torch.manual_seed(0)
    network = JointDilatedResidualUNet(1, 3, fusion=fusion, **WIDTHS).train()
    fine, coarse = network(torch.randn(2, 1, 2, 16, 16))
    assert fine.shape == coarse.shape == (2, 3, 2, 16, 16)
    fine.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_evaluation_returns_the_second_alone():
    network = JointDilatedResidualUNet(1, 3, **WIDTHS).eval()
    assert network(torch.zeros(1, 1, 2, 8, 8)).shape == (1, 3, 2, 8, 8)
    network.decoder.deep_supervision = True
    assert [tuple(o.shape[2:]) for o in network.train()(torch.zeros(2, 1, 2, 16, 16))] == [
        (2, 16, 16),
        (2, 8, 8),
        (2, 4, 4),
    ]


@pytest.mark.parametrize(("keep_z", "divisor"), [(True, "1 x 8 x 8"), (False, "8 x 8 x 8")])
def test_a_size_that_does_not_fit_is_refused(keep_z, divisor):
    with pytest.raises(ValueError, match=f"JointDilatedResidualUNet: .* multiples of {divisor}"):
        JointDilatedResidualUNet(1, 2, keep_z=keep_z, **WIDTHS)(torch.zeros(1, 1, 8, 12, 8))


def test_an_unknown_fusion_is_refused():
    with pytest.raises(ValueError, match="fusion is 'sum', expected one of 'mul', 'concat', 'mul_concat', 'add'"):
        JointDilatedResidualUNet(1, 2, fusion="sum")
