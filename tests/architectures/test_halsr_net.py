"""HALSRNet: parameters, probabilities, switches, errors."""

import math

import pytest
import torch

from nnunet_cardiac.architectures import HALSRNet

NARROW = {"features": (16, 32, 64)}


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("preset", "parts"),
    [
        ("nominal", (10_824_822, 2_128_064, 4_687_523, 1_220_964, 1_074_240, 1_577_576, 195, 136_260)),
        ("half", (10_710_490, 4_713_632, 2_477_955, 305_844, 2_352_000, 825_596, 99, 35_364)),
    ],
)
def test_parameters_of_both_presets(preset, parts):
    net = HALSRNet(1, 3, preset=preset)
    counts = [parameters(m) for m in (net, net.encoder, net.bottleneck, net.gates)]
    counts += [sum(parameters(level[i]) for level in net.decode) for i in (0, 1)]
    assert (*counts, parameters(net.head), parameters(net.reconstruction)) == parts


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("preset", ["nominal", "half"])
def test_log_probabilities_are_the_mean_of_both_maps(preset, classes):
    net = HALSRNet(2, classes, preset=preset, **NARROW).eval()
    seen = []
    net.head.register_forward_hook(lambda *call: seen.append(call[2]))
    net.reconstruction.register_forward_hook(lambda *call: seen.append(call[2]))
    out = net(torch.randn(2, 2, 24, 16))
    mean = (seen[0].softmax(1) + seen[1].softmax(1)) / 2 if len(seen) == 2 else None
    assert out.shape == (2, classes, 24, 16)
    torch.testing.assert_close(out.exp().sum(1), torch.ones(2, 24, 16))
    torch.testing.assert_close(out.softmax(1), mean, atol=1e-6, rtol=0)
    assert (out.argmax(1) == (seen[0].softmax(1) + seen[1].softmax(1)).argmax(1)).float().mean() > 0.999


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"hapm_at": "bottleneck"},
        {"hapm_at": "none"},
        {"recon_fusion": "none"},
        {"recon_fusion": "logit_sum"},
        {"gates": False},
        {"hapm_residual": True},
        {"preset": "half"},
    ],
)
def test_all_parameters_get_gradients_with_every_switch(switches):
    torch.manual_seed(0)
    net = HALSRNet(1, 4, dropout=(0.0, 0.0), **NARROW, **switches).train()
    net(torch.randn(3, 1, 32, 32)).square().mean().backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def test_switches_take_parts_out():
    whole = parameters(HALSRNet(1, 3))
    assert parameters(HALSRNet(1, 3, recon_fusion="none")) == whole - 136_260
    assert parameters(HALSRNet(1, 3, hapm_at="bottleneck")) == whole - 1_577_576
    assert parameters(HALSRNet(1, 3, hapm_at="none")) == whole - 1_577_576 - 4_687_523


def test_dropout_drops_channels_of_the_two_lowest_levels_only():
    net = HALSRNet(1, 2, features=(16, 32, 64, 128, 256)).train()
    assert [layer.p for layer in net.dropout] == [0, 0, 0, 0.3, 0.5]
    assert (net.dropout[-1](torch.ones(1, 400, 2, 2)).amax((2, 3)) == 0).float().mean() == pytest.approx(0.5, abs=0.1)


def test_output_is_float32_under_autocast():
    net = HALSRNet(1, 3, **NARROW).eval()
    x = torch.randn(1, 1, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(x)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.exp(), net(x).exp(), atol=0.02, rtol=0)


def test_lower_resolutions_are_distributions_too():
    net = HALSRNet(1, 3, True, **NARROW).eval()
    outputs = net(torch.randn(1, 1, 16, 16))
    assert [tuple(o.shape[2:]) for o in outputs] == [(16, 16), (8, 8)]
    for out in outputs:
        torch.testing.assert_close(out.exp().sum(1), torch.ones(1, *out.shape[2:]))
    torch.testing.assert_close(outputs[1].exp(), torch.nn.functional.avg_pool2d(outputs[0].exp(), 2))


def test_smallest_image_and_slices_one_by_one_in_evaluation():
    net = HALSRNet(1, 3).eval()
    x = torch.randn(2, 1, 16, 32)
    torch.testing.assert_close(net(x)[:1], net(x[:1]), atol=1e-5, rtol=1e-4)


def test_exports():
    net = HALSRNet(1, 3, **NARROW).eval()
    x = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(torch.export.export(net, (x,)).module()(x), net(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "wide"}, "preset is 'wide', expected one of 'nominal', 'half'"),
        ({"hapm_at": "decoder"}, "hapm_at is 'decoder'"),
        ({"recon_fusion": "sum"}, "recon_fusion is 'sum'"),
        ({"hapm_at": "none", "hapm_residual": True}, "hapm_at is 'none', but"),
        ({"features": (16, 24)}, "a multiple of 16, then doubled"),
        ({"features": (24, 48)}, "a multiple of 16, then doubled"),
        ({"dropout": (0.3, 1.0)}, "two probabilities below 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        HALSRNet(1, 3, **arguments)


def test_wrong_inputs_are_named():
    net = HALSRNet(1, 3, **NARROW)
    with pytest.raises(ValueError, match="30 x 32 pixels, expected sides that are multiples of 4; pad it to 32 x 32"):
        net(torch.zeros(2, 1, 30, 32))
    with pytest.raises(ValueError, match="batch of one sample"):
        net.train()(torch.zeros(1, 1, 32, 32))


def test_reconstruction_alone_moves_the_mean_by_half():
    """Where the decoder is certain of one class and the latent space of another, both get half."""
    decoded = torch.tensor([100.0, 0.0]).view(1, 2, 1, 1)
    joined = HALSRNet(1, 2, **NARROW)._join(decoded, -decoded)
    torch.testing.assert_close(joined, torch.full((1, 2, 1, 1), -math.log(2)))
