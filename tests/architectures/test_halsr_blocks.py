"""Blocks of HALSR-Net against hand-written references."""

import pytest
import torch
import torch.nn.functional as F

from nnunet_cardiac.architectures.blocks.attention_gate import AttentionGate
from nnunet_cardiac.architectures.blocks.conv_bn_relu import ConvBNReLU
from nnunet_cardiac.architectures.blocks.hybrid_attention_pooling import HybridAttentionPooling
from nnunet_cardiac.architectures.blocks.latent_reconstruction import LatentReconstruction
from nnunet_cardiac.architectures.blocks.spatial_pyramids import AtrousPyramid, PooledPyramid, dilation_rates


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def randomise(module):
    """Give biases, means and variances values, so that a forgotten one shows."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in (*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())):
            tensor.copy_(torch.rand_like(tensor) * 0.5 + 0.1)
    return module.eval()


@pytest.mark.parametrize(
    ("channels", "separable", "fusion", "count"),
    [
        (1024, True, "concat", 4_687_523),
        (512, True, "concat", 1_180_547),
        (64, True, "concat", 20_423),
        (512, False, "reduced", 2_477_955),
        (32, False, "reduced", 10_135),
    ],
)
def test_hapm_has_the_parameters_of_the_specification(channels, separable, fusion, count):
    assert parameters(HybridAttentionPooling(channels, separable, fusion)) == count


@pytest.mark.parametrize("side", [8, 12, 16, 31, 32, 64, 128])
def test_no_dilated_tap_is_wasted(side):
    """At least 0.44 of the taps of each kernel fall inside the map, averaged over its pixels."""
    for rate in dilation_rates(side, side):
        inside = [0 <= p + step < side for p in range(side) for step in (-rate, 0, rate)]
        assert (sum(inside) / len(inside)) ** 2 > 0.43


def test_rates_follow_the_shorter_side():
    assert dilation_rates(128, 16) == dilation_rates(16, 128) == (2, 4, 8)


def test_dilation_is_that_of_the_call():
    conv = ConvBNReLU(1, 1, 3).eval()
    with torch.no_grad():
        conv.spatial.weight.fill_(1.0)
    dot = torch.zeros(1, 1, 15, 15)
    dot[..., 7, 7] = 1
    hit = conv(dot, dilation=3)[0, 0] > 0
    assert hit.sum() == 9
    assert hit[4, 4]
    assert hit[10, 7]
    assert not hit[6, 7]


def test_separable_convolution_is_depthwise_then_pointwise():
    conv = randomise(ConvBNReLU(4, 6, 3, separable=True))
    x = torch.randn(2, 4, 9, 7)
    depthwise = torch.cat([F.conv2d(x[:, i : i + 1], conv.spatial.weight[i : i + 1], padding=1) for i in range(4)], 1)
    expected = conv.norm(torch.einsum("oi,bihw->bohw", conv.pointwise.weight[..., 0, 0], depthwise)).relu()
    torch.testing.assert_close(conv(x), expected)


def test_pooled_pyramid_describes_a_constant_map_by_its_constant():
    pyramid = randomise(PooledPyramid(16, 8))
    out = pyramid(torch.full((1, 16, 12, 18), 2.0))
    assert out.shape == (1, 8, 12, 18)
    torch.testing.assert_close(out, out[..., :1, :1].expand_as(out))


def test_pooled_pyramid_of_one_grid_is_the_mean():
    pyramid = randomise(PooledPyramid(4, 4, grids=(1,)))
    x = torch.rand(2, 4, 5, 6)
    expected = pyramid.reduce[0](x.mean((2, 3), keepdim=True)).expand(-1, -1, 5, 6)
    torch.testing.assert_close(pyramid(x), expected)


def test_image_branch_of_the_atrous_pyramid_sees_the_whole_map():
    pyramid = AtrousPyramid(8, 4, separable=False).eval()
    x = torch.randn(1, 8, 32, 32, requires_grad=True)
    pyramid(x)[0, :, 0, 0].sum().backward()
    assert x.grad[0, :, 31, 31].abs().sum() > 0


def test_hapm_fuses_what_its_four_branches_give():
    module = randomise(HybridAttentionPooling(16, True, "concat"))
    x = torch.rand(2, 16, 8, 8)
    se = module.channel_attention
    squeezed = F.relu(F.conv2d(x.mean((2, 3), keepdim=True), se.fc1.weight, se.fc1.bias))
    channel = x * torch.sigmoid(F.conv2d(squeezed, se.fc2.weight, se.fc2.bias))
    statistics = torch.stack((x.mean(1), x.max(1).values), 1)
    conv = module.spatial_attention.conv
    pixel = x * torch.sigmoid(F.conv2d(statistics, conv.weight, conv.bias, padding=3))
    expected = module.fuse(torch.cat((module.atrous(x), module.pooled(x), channel, pixel), 1))
    torch.testing.assert_close(module(x), expected)


def test_hapm_refuses_what_it_cannot_normalise():
    with pytest.raises(ValueError, match="batch of one sample"):
        HybridAttentionPooling(16).train()(torch.rand(1, 16, 8, 8))
    with pytest.raises(ValueError, match="multiple of 16"):
        HybridAttentionPooling(24)
    with pytest.raises(ValueError, match="fusion is 'sum'"):
        HybridAttentionPooling(16, fusion="sum")


def gate_of_the_equations(gate, decoder, encoder):
    """Equations 2 to 5 in their order: upsample first, then the convolutions."""
    channels = encoder.shape[1]
    up = F.interpolate(decoder, encoder.shape[2:], mode="bilinear")
    inner = channels // 2
    weight, bias = gate.from_decoder.weight, gate.from_decoder.bias
    f_h = F.conv2d(up, weight[:inner], bias[:inner])
    f_sigma = gate.score(F.relu(f_h + gate.from_encoder(encoder))).sigmoid()
    return torch.cat((f_sigma * encoder, F.conv2d(up, weight[inner:], bias[inner:])), 1)


def test_gate_equals_the_equations_with_the_upsampling_first():
    torch.manual_seed(1)
    gate = AttentionGate(8)
    decoder, encoder = torch.randn(2, 16, 5, 6), torch.randn(2, 8, 10, 12)
    torch.testing.assert_close(gate(decoder, encoder), gate_of_the_equations(gate, decoder, encoder))


def test_a_shut_gate_passes_nothing_and_an_open_one_everything():
    gate = AttentionGate(8)
    encoder = torch.randn(1, 8, 4, 4)
    for bias, factor in ((-100.0, 0.0), (100.0, 1.0)):
        torch.nn.init.constant_(gate.score.bias, bias)
        torch.testing.assert_close(gate(torch.zeros(1, 16, 2, 2), encoder)[:, :8], factor * encoder)


def test_without_gates_the_skip_passes_as_it_is():
    gate = AttentionGate(8, gated=False)
    encoder = torch.randn(1, 8, 4, 4)
    out = gate(torch.randn(1, 16, 2, 2), encoder)
    assert out.shape == (1, 16, 4, 4)
    torch.testing.assert_close(out[:, :8], encoder)
    assert parameters(gate) == 16 * 8 + 8


def test_reconstruction_equals_the_order_of_the_paper():
    torch.manual_seed(2)
    module = LatentReconstruction(32, 3)
    latent = torch.randn(2, 32, 4, 5)
    attended = latent * module.attention(latent).sigmoid()
    se = module.excite
    factors = se.fc2(F.relu(se.fc1(attended.mean((2, 3), keepdim=True)))).sigmoid()
    expected = module.head(F.interpolate(attended * factors, (64, 80), mode="bilinear"))
    torch.testing.assert_close(module(latent, torch.Size((64, 80))), expected)
