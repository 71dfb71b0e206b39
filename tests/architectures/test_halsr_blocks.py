"""Blocks of HALSR-Net against the formulas written out with torch's own operations."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.atrous_pyramid import AtrousPyramid, atrous_rates
from nnunet_cardiac.architectures.blocks.attention_gate import AttentionGate
from nnunet_cardiac.architectures.blocks.conv_norm_relu import PooledBatchNorm2d
from nnunet_cardiac.architectures.blocks.hybrid_attention_pooling import HybridAttentionPooling
from nnunet_cardiac.architectures.blocks.latent_reconstruction import LatentReconstruction
from nnunet_cardiac.architectures.blocks.squeeze_excite import ExciteChannels
from nnunet_cardiac.architectures.ops.grid_pooling import average_grids
from nnunet_cardiac.architectures.ops.polyphase import join_phases, split_phases
from nnunet_cardiac.architectures.ops.separable_conv import DenseConv, SeparableConv

FUSIONS = ("concat", "reduced")


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def image(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64).contiguous(memory_format=torch.channels_last)


def randomised(module: nn.Module) -> nn.Module:
    """The module in double precision with no parameter at a value that hides a mistake, such as 0 or 1."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def up(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def literal_norm(x: torch.Tensor, norm: nn.BatchNorm2d, channels: slice = slice(None)) -> torch.Tensor:
    return F.batch_norm(x, None, None, norm.weight[channels], norm.bias[channels], training=True, eps=norm.eps).relu()


def literal_hapm(hapm: HybridAttentionPooling, x: torch.Tensor) -> torch.Tensor:
    """Section 3.2.2 with every branch and every map formed."""
    (height, width), m, aspp = x.shape[2:], x.shape[1] // 4, hapm.aspp

    def atrous(conv: nn.Module, rate: int) -> torch.Tensor:
        if isinstance(conv, DenseConv):
            return F.conv2d(x, conv.weight, padding=rate, dilation=rate)
        each = F.conv2d(x, conv.depthwise.weight, padding=rate, dilation=rate, groups=x.shape[1])
        return F.conv2d(each, conv.pointwise.weight)

    convolved = [F.conv2d(x, aspp.pointwise.weight)]
    convolved += [atrous(conv, rate) for conv, rate in zip(aspp.atrous, atrous_rates(height, width), strict=True)]
    branches = [literal_norm(branch, aspp.local_norm, slice(i * m, (i + 1) * m)) for i, branch in enumerate(convolved)]
    whole = literal_norm(F.conv2d(F.adaptive_avg_pool2d(x, 1), aspp.image[0].weight), aspp.image[1])
    branches.append(whole.expand(-1, -1, height, width))
    context = literal_norm(F.conv2d(torch.cat(branches, 1), aspp.project.weight), aspp.norm)

    pyramid = [
        up(literal_norm(F.conv2d(F.adaptive_avg_pool2d(x, grid), reduce[0].weight), reduce[1]), (height, width))
        for grid, reduce in zip((1, 2, 3, 6), hapm.spp.reduce, strict=True)
    ]
    excite = hapm.channel
    hidden = F.conv2d(F.adaptive_avg_pool2d(x, 1), excite.reduce.weight, excite.reduce.bias).relu()
    by_channel = x * F.conv2d(hidden, excite.expand.weight, excite.expand.bias).sigmoid()
    mean_and_max = torch.cat((x.mean(1, True), x.amax(1, True)), 1)
    by_pixel = x * F.conv2d(mean_and_max, hapm.spatial.conv.weight, hapm.spatial.conv.bias, padding=3).sigmoid()
    attended = [by_channel, by_pixel]
    if hapm.fusion == "reduced":
        attended = [
            literal_norm(F.conv2d(y, conv.weight), hapm.reduce_norm, slice(i * m, (i + 1) * m))
            for i, (y, conv) in enumerate(zip(attended, hapm.reduce, strict=True))
        ]
    fused = F.conv2d(torch.cat((context, *pyramid, *attended), 1), hapm.fuse.weight)
    out = literal_norm(fused, hapm.norm)
    return x + out if hapm.residual else out


@pytest.mark.parametrize(("height", "width"), [(17, 20), (3, 5)])  # more pixels than channels, and fewer
@pytest.mark.parametrize("separable", [True, False])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_hapm_equals_the_formulas_and_so_do_its_gradients(fusion, separable, height, width):
    hapm = randomised(HybridAttentionPooling(16, fusion, separable, residual=separable))
    x = image(2, 16, height, width).requires_grad_()
    weights = torch.randn(2, 16, height, width, dtype=torch.float64)
    inputs = [x, *hapm.parameters()]
    actual, expected = hapm(x), literal_hapm(hapm, x)
    torch.testing.assert_close(actual, expected)
    ours, theirs = (torch.autograd.grad((y * weights).sum(), inputs) for y in (actual, expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("channels", "fusion", "separable", "count"),
    [
        (1024, "concat", True, 4_687_523),
        (512, "concat", True, 1_180_547),
        (64, "concat", True, 20_423),
        (512, "reduced", False, 2_477_955),
        (256, "reduced", False, 620_531),
        (32, "reduced", False, 10_135),
    ],
)
def test_parameters_of_hapm(channels, fusion, separable, count):
    assert parameters(HybridAttentionPooling(channels, fusion, separable)) == count


def test_rates_follow_the_shorter_side_and_keep_taps_inside():
    assert [atrous_rates(side, 500) for side in (8, 15, 16, 31, 32, 63, 64, 300)] == [
        *[(1, 2, 4)] * 2,
        *[(2, 4, 8)] * 2,
        *[(3, 6, 12)] * 2,
        *[(6, 12, 18)] * 2,
    ]
    assert atrous_rates(40, 16) == (2, 4, 8)
    assert [atrous_rates(side, side) for side in (4, 3, 2, 1)] == [(1, 2, 3), (1, 2, 2), (1, 1, 1), (1, 1, 1)]


def test_rates_reach_the_convolutions_and_no_parameter_depends_on_them():
    pyramid = randomised(AtrousPyramid(16, 4, separable=True))
    for side, reach in ((8, 4), (16, 8), (32, 12), (64, 18)):
        x = image(1, 16, side, side).requires_grad_()
        centre = side // 2
        branch = pyramid.atrous[2](x, dilation=atrous_rates(side, side)[2])[..., centre, centre].sum()
        touched = torch.autograd.grad(branch, x)[0].abs().sum((0, 1)).nonzero() - centre
        assert sorted({abs(v) for v in touched.flatten().tolist()}) in ([0, reach], [0])
        assert touched.min() == -reach


@pytest.mark.parametrize("dilation", [1, 2, 5, 12])
def test_separable_conv_is_one_computation_with_and_without_gradient(dilation):
    conv = randomised(SeparableConv(3, 4))
    x = image(2, 3, 11, 9)
    dense = torch.einsum("oc,cij->ocij", conv.pointwise.weight[..., 0, 0], conv.depthwise.weight[:, 0])
    expected = F.conv2d(x, dense, padding=dilation, dilation=dilation)
    torch.testing.assert_close(conv(x, dilation=dilation), expected)
    with torch.no_grad():
        torch.testing.assert_close(conv(x, dilation=dilation), expected)


@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("kind", [DenseConv, SeparableConv])
def test_several_maps_count_as_their_stack(kind, dilation):
    conv, maps = randomised(kind(7, 5)), [image(2, channels, 6, 9) for channels in (2, 4, 1)]
    torch.testing.assert_close(conv(*maps, dilation=dilation), conv(torch.cat(maps, dim=1), dilation=dilation))


@pytest.mark.parametrize(("height", "width", "step"), [(7, 5, 3), (6, 4, 2), (2, 3, 4)])
def test_phases_hold_every_step_th_pixel_and_join_again(height, width, step):
    x = image(2, 3, height, width)
    phases = split_phases(x, step)
    second = phases.unflatten(0, (2, step, step))[1, 1, step - 1]
    expected = x[1, :, 1::step, step - 1 :: step]
    torch.testing.assert_close(second[:, : expected.shape[1], : expected.shape[2]], expected)
    assert not second[:, expected.shape[1] :].any()
    assert torch.equal(join_phases(phases, step, (height, width)), x)


@pytest.mark.parametrize(("height", "width"), [(7, 12), (6, 6), (1, 1), (13, 5)])
def test_average_grids_equals_adaptive_pooling(height, width):
    x = image(2, 3, height, width).requires_grad_()
    for grid, actual in zip((1, 2, 3, 6), average_grids(x, (1, 2, 3, 6)), strict=True):
        expected = F.adaptive_avg_pool2d(x, grid)
        torch.testing.assert_close(actual, expected)
        weights = torch.randn_like(expected)
        ours, theirs = (torch.autograd.grad((y * weights).sum(), x, retain_graph=True)[0] for y in (actual, expected))
        torch.testing.assert_close(ours, theirs)


def test_excite_channels_equals_timm():
    from timm.layers import SqueezeExcite

    theirs = SqueezeExcite(64, rd_channels=4).double()
    ours = ExciteChannels(64).double()
    ours.load_state_dict(
        {k.replace("fc1", "reduce").replace("fc2", "expand"): v for k, v in theirs.state_dict().items()}
    )
    x = image(2, 64, 5, 3)
    torch.testing.assert_close(x * ours(x.mean((2, 3), keepdim=True)), theirs(x))


def test_excite_channels_keeps_four_hidden_units():
    assert [parameters(ExciteChannels(c)) for c in (16, 32, 128)] == [16 * 8 + 20, 32 * 8 + 36, 128 * 16 + 136]


def test_pooled_norm_passes_a_single_value_and_is_batch_norm_otherwise():
    norm, plain = PooledBatchNorm2d(3), nn.BatchNorm2d(3)
    x = torch.randn(2, 3, 1, 1)
    torch.testing.assert_close(norm(x), plain(x))
    before = norm.running_mean.clone()
    one = torch.randn(1, 3, 1, 1)
    expected = (one[0, :, 0, 0] - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(norm(one)[0, :, 0, 0], expected)
    assert torch.equal(norm.running_mean, before)


def literal_gate(gate: AttentionGate, high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """Eq. 2-5 in the order of the paper: enlarge first."""
    high = up(high, tuple(low.shape[2:]))
    if gate.gated:
        f_high, f_low = (F.conv2d(y, c.weight, c.bias) for y, c in ((high, gate.from_high), (low, gate.from_low)))
        low = low * F.conv2d((f_high + f_low).relu(), gate.score.weight, gate.score.bias).sigmoid()
    return torch.cat((low, F.conv2d(high, gate.reduce.weight, gate.reduce.bias)), 1)


@pytest.mark.parametrize("gated", [True, False])
def test_gate_convolves_before_enlarging_without_changing_the_result(gated):
    gate = randomised(AttentionGate(12, 6, gated))
    high, low = image(2, 12, 3, 5), image(2, 6, 6, 10)
    actual, expected = torch.cat(gate(high, low), dim=1), literal_gate(gate, high, low)
    torch.testing.assert_close(actual, expected)
    weights = torch.randn_like(expected)
    ours, theirs = (
        torch.autograd.grad((y * weights).sum(), list(gate.parameters()), retain_graph=True) for y in (actual, expected)
    )
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("widths", "count"), [((64, 128, 256, 512), 1_220_964), ((32, 64, 128, 256), 305_844)], ids=["nominal", "half"]
)
def test_parameters_of_gates(widths, count):
    assert sum(parameters(AttentionGate(2 * width, width)) for width in widths) == count


def test_reconstruction_convolves_before_enlarging_without_changing_the_result():
    block = randomised(LatentReconstruction(32, 3))
    latent = image(2, 32, 3, 2)
    x = latent * F.conv2d(latent, block.attention.weight, block.attention.bias).sigmoid()
    hidden = F.conv2d(F.adaptive_avg_pool2d(x, 1), block.excite.reduce.weight, block.excite.reduce.bias).relu()
    x = x * F.conv2d(hidden, block.excite.expand.weight, block.excite.expand.bias).sigmoid()
    expected = F.conv2d(up(x, (48, 32)), block.classify.weight, block.classify.bias)
    torch.testing.assert_close(block(latent, (48, 32)), expected)


@pytest.mark.parametrize(("channels", "count"), [(1024, 136_260), (512, 35_364)])
def test_parameters_of_reconstruction(channels, count):
    assert parameters(LatentReconstruction(channels, 3)) == count


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HybridAttentionPooling(24), "Found 24 channels, expected a multiple of 16"),
        (lambda: HybridAttentionPooling(16, "sum"), "fusion is 'sum', expected 'concat' or 'reduced'"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
