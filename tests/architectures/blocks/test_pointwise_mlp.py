"""The fused perceptron against two linear layers under autograd."""

import pytest
import torch
import torch.nn.functional as F

from nnunet_cardiac.architectures.blocks.pointwise_mlp import ResidualPointwiseMLP


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("channels", "hidden", "shape"), [(3, 5, (1, 1, 1)), (8, 32, (3, 171, 63))])
def test_equals_two_layers(channels, hidden, shape, memory_format):
    mlp = ResidualPointwiseMLP(channels, hidden, 0.3).double()
    batch, height, width = shape
    x, base = (
        torch.randn(batch, channels, height, width, dtype=torch.double)
        .contiguous(memory_format=memory_format)
        .requires_grad_()
        for _ in range(2)
    )
    expected = mlp.project(F.gelu(mlp.expand(x.movedim(1, -1)))) * mlp.scale + base.movedim(1, -1)
    actual = mlp(x, base)
    torch.testing.assert_close(actual, expected.movedim(-1, 1), rtol=0, atol=1e-9)
    weight = torch.randn_like(actual)
    inputs = [x, base, *mlp.parameters()]
    ours = torch.autograd.grad((actual * weight).sum(), inputs)
    theirs = torch.autograd.grad((expected.movedim(-1, 1) * weight).sum(), inputs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
