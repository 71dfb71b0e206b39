"""3D DR-UNet: sizes of the paper, blocks against direct computation, what every network of ours promises."""

import pytest
import torch
import torch.nn.functional as F

from nnunet_cardiac.architectures import DilatedResidualUNet
from nnunet_cardiac.architectures.blocks.dilated_residual import ConcatResidual, ConvUnit, DilatedSum
from nnunet_cardiac.architectures.ops.checkpointing import run_block


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_number_of_parameters_in_each_part():
    network = DilatedResidualUNet(1, 4)
    parts = [count(getattr(network, name)) for name in ("encoder", "bottleneck", "up", "merge", "head")]
    assert parts == [974_624, 6_865_664, 172_256, 2_135_840, 132]
    assert count(network) == sum(parts) == 10_148_516


@pytest.mark.parametrize(
    ("arguments", "options", "wanted"),
    [
        ((1, 2), {"filters": 8}, 638_609),
        ((1, 4), {"filters": 16}, 2_542_932),
        ((2, 4), {"filters": 32}, 10_167_524),  # image and map of the end-to-end variant
    ],
)
def test_number_of_parameters_of_other_widths(arguments, options, wanted):
    assert count(DilatedResidualUNet(*arguments, **options)) == wanted


def test_without_keep_z_only_the_transposed_convolutions_grow():
    flat, cubic = (DilatedResidualUNet(1, 4, filters=8, keep_z=keep) for keep in (True, False))
    assert count(cubic.up) == 8 * (16 * 8 + 32 * 16 + 64 * 32) + 8 + 16 + 32
    assert count(cubic) - count(flat) == count(cubic.up) - count(flat.up)


@pytest.mark.parametrize("preact", [False, True])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_a_unit_is_convolution_norm_relu_in_either_order(norm, preact):
    torch.manual_seed(0)
    unit = ConvUnit(2, 3, dilation=2, norm=norm, preact=preact)
    x = torch.randn(2, 2, 5, 7, 6)
    axes = (0, 2, 3, 4) if norm == "batch" else (2, 3, 4)

    def normalised(y):
        return ((y - y.mean(axes, keepdim=True)) / (y.var(axes, correction=0, keepdim=True) + 1e-5).sqrt()).relu()

    weight = next(p for p in unit.parameters() if p.ndim == 5)
    wanted = (
        F.conv3d(normalised(x), weight, padding=2, dilation=2)
        if preact
        else normalised(F.conv3d(x, weight, padding=2, dilation=2))
    )
    torch.testing.assert_close(unit(x.clone()), wanted, rtol=1e-4, atol=1e-5)


def test_a_residual_hands_its_input_on_unchanged():
    block = ConcatResidual(3, 4)
    x = torch.randn(2, 3, 2, 4, 4)
    out = block(x)
    assert out.shape == (2, 7, 2, 4, 4)
    assert torch.equal(out[:, :3], x)
    assert torch.equal(out[:, 3:], block.units(x))


def test_the_bottleneck_sums_a_cascade():
    torch.manual_seed(0)
    block = DilatedSum(2, 3, (1, 2, 4, 8)).eval()
    x = torch.randn(1, 2, 3, 20, 20)
    first = block.units[0](x)
    second = block.units[1](first)
    third = block.units[2](second)
    assert [unit[0].dilation[0] for unit in block.units] == [1, 2, 4, 8]
    torch.testing.assert_close(block(x), first + second + third + block.units[3](third))


@pytest.mark.parametrize(("keep_z", "size"), [(True, (3, 16, 24)), (True, (1, 8, 16)), (False, (8, 16, 24))])
@pytest.mark.parametrize("classes", [2, 4])
def test_shapes_and_gradients(keep_z, size, classes):
    torch.manual_seed(0)
    network = DilatedResidualUNet(1, classes, filters=2, keep_z=keep_z)
    logits = network(torch.randn(2, 1, *size))
    assert logits.shape == (2, classes, *size)
    assert logits.is_contiguous()
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_two_classes_are_one_sigmoid():
    network = DilatedResidualUNet(1, 2, filters=2).eval()
    x = torch.randn(1, 1, 2, 8, 8)
    z = network.head(network.features(x))
    assert z.shape[1] == 1
    torch.testing.assert_close(network(x).softmax(1)[:, 1:], z.sigmoid())


def test_keep_z_leaves_slices_to_the_kernels_alone():
    """The reach along z is that of the convolutions: nothing is pooled along it."""
    torch.manual_seed(0)
    network = DilatedResidualUNet(1, 2, filters=2, keep_z=True, rates=(1,)).eval()
    x = torch.randn(1, 1, 40, 8, 8, requires_grad=True)
    network(x)[0, 1, 20].sum().backward()
    reached = x.grad[0, 0].abs().sum((1, 2)).nonzero()[:, 0]
    # Two 3×3×3 convolutions at each of three levels down and up, and one at the bottom: 13 slices each way.
    assert (reached.min().item(), reached.max().item()) == (20 - 13, 20 + 13)


def test_deep_supervision_gives_averages_at_the_levels_of_the_network():
    network = DilatedResidualUNet(1, 3, True, filters=2, keep_z=True).eval()
    x = torch.randn(1, 1, 3, 16, 16)
    first, second, third = network(x)
    network.decoder.deep_supervision = False
    torch.testing.assert_close(first, network(x))
    assert [tuple(out.shape[2:]) for out in (first, second, third)] == [(3, 16, 16), (3, 8, 8), (3, 4, 4)]
    torch.testing.assert_close(third[..., 0, 0], first[..., :4, :4].mean((3, 4)))


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_checkpointing_changes_neither_gradients_nor_statistics(norm):
    torch.manual_seed(0)
    plain = DilatedResidualUNet(1, 3, filters=2, norm=norm)
    saving = DilatedResidualUNet(1, 3, filters=2, norm=norm, checkpointing=True)
    saving.load_state_dict(plain.state_dict())
    x = torch.randn(2, 1, 2, 16, 16)
    for network in (plain, saving):
        for _ in range(2):
            network(x).square().mean().backward()
    for (name, a), b in zip(plain.named_parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(b.grad, a.grad, msg=name)
    for (name, a), b in zip(plain.named_buffers(), saving.buffers(), strict=True):
        torch.testing.assert_close(b, a, msg=name)


def test_checkpointing_keeps_fewer_activations():
    block, x = ConcatResidual(2, 4), torch.randn(2, 2, 2, 8, 8, requires_grad=True)
    saved = []

    def kept(recompute):
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
            run_block(block, x, recompute=recompute)
        return len(saved)

    assert kept(True) < kept(False)
    with torch.no_grad():
        assert run_block(block, x, recompute=True).shape == (2, 6, 2, 8, 8)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda: DilatedResidualUNet(1, 2, filters=1)(torch.zeros(1, 1, 5, 20, 16)),
            "5 x 20 x 16 voxels, expected sides that are multiples of 1 x 8 x 8; pad it to 5 x 24 x 16",
        ),
        (
            lambda: DilatedResidualUNet(1, 2, filters=1, keep_z=False)(torch.zeros(1, 1, 6, 16, 16)),
            "multiples of 8 x 8 x 8; pad it to 8 x 16 x 16",  # fewer slices than the pooling needs
        ),
        (
            lambda: DilatedResidualUNet(1, 2, filters=1)(torch.zeros(1, 1, 16, 16)),
            r"expected \(batch, 1, slices, height, width\)",
        ),
        (lambda: DilatedResidualUNet(1, 2, filters=1)(torch.zeros(1, 1, 1, 8, 8)), "one volume of 1 x 8 x 8 voxels"),
        (lambda: DilatedResidualUNet(1, 2, filters=0), "filters 0"),
        (lambda: DilatedResidualUNet(1, 2, rates=()), "expected positive numbers"),
        (lambda: DilatedResidualUNet(1, 2, norm="group"), "norm is 'group', expected one of 'batch', 'instance'"),
        (lambda: DilatedResidualUNet(1, 2, strides=[[1, 1]]), r"triple of positive steps \(z, y, x\)"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(act, message):
    with pytest.raises(ValueError, match=message):
        act()
