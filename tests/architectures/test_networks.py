"""Both networks: sizes, parameters, gradients, and the contract with nnU-Net."""

import pytest
import torch
from torch import nn

from nnunet_cardiac.architectures import E2AUNet, SpecialistNetworks
from nnunet_cardiac.architectures.blocks.cross_token_mixing import CrossTokenMixing
from nnunet_cardiac.architectures.blocks.token_mixing import TokenMixing

MODES = ("coupled", "uncoupled", "single")
SMALL = {
    "e2a": lambda **kw: E2AUNet(1, 4, features=(4, 6, 8, 10, 12), **kw),
    **{mode: lambda mode=mode, **kw: SpecialistNetworks(4, 4, mode=mode, base_width=4, **kw) for mode in MODES},
}


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def image_for(network: nn.Module, height: int = 32, width: int = 48, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, network.input_channels, height, width)


@pytest.mark.parametrize(("kind", "count"), [("conv_mix", 17_060_964), ("conv", 13_376_100), ("empty", 8_654_436)])
def test_parameters_of_e2a_unet(kind, count):
    assert parameters(E2AUNet(1, 4, bottleneck=kind)) == count


def test_parameters_of_e2a_unet_by_level():
    net = E2AUNet(1, 4)
    assert parameters(net.embed) == 384
    assert [parameters(m) for m in net.encoder] == [33_888, 133_312, 528_768, 2_106_112]
    assert [parameters(m) for m in net.down] == [18_624, 74_112, 295_680, 1_181_184]
    assert parameters(net.bottleneck) == 8_406_528
    assert [parameters(m.up) for m in net.up] == [8_224, 32_832, 131_200, 524_544]
    blocks = [parameters(u.merge) + parameters(m) for u, m in zip(net.up, net.up_mixing, strict=True)]
    assert blocks == [43_104, 170_176, 676_224, 2_695_936]
    assert parameters(net.head) == 132


@pytest.mark.parametrize(("mode", "count"), [("coupled", 5_338_025), ("uncoupled", 1_647_785), ("single", 1_647_963)])
def test_parameters_of_specialists(mode, count):
    assert parameters(SpecialistNetworks(4, 4, mode=mode)) == count


def test_parameters_of_specialists_by_level():
    net = SpecialistNetworks(4, 4)
    assert parameters(net.stem) == 1_368
    assert [parameters(m) for m in net.encoder] == [11_088, 42_656, 167_232, 662_144]
    assert [parameters(m) for m in net.couple] == [11_520, 44_544, 175_104, 694_272, 2_764_800]
    assert parameters(net.up) == 763_280
    assert parameters(net.head) == 17


@pytest.mark.parametrize("c", [8, 20])
def test_parameters_of_mixing_blocks_follow_the_closed_forms(c):
    assert parameters(TokenMixing(c, token_norm="l2", reference_tokens=1)) == 14 * c**2 + 29 * c
    assert parameters(CrossTokenMixing(c, 3, token_norm="l2", reference_tokens=1)) == 42 * c**2 + 48 * c


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("height", "width"), [(16, 48), (32, 16)])
def test_output_is_fresh_contiguous_logits_of_the_input_size(name, height, width):
    network = SMALL[name]().eval()
    x = image_for(network, height, width)
    before = x.clone()
    with torch.inference_mode():
        logits = network(x)
        expected = logits.clone()
        logits += 1  # nnU-Net adds mirrored predictions in place
        assert torch.equal(network(x), expected)
    assert logits.shape == (2, 4, height, width)
    assert logits.is_contiguous()
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_gets_a_gradient(name):
    network = SMALL[name](layer_scale_init=0.1)
    (network(image_for(network, 64, 64)) * torch.randn(2, 4, 64, 64)).sum().backward()
    assert [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("name", SMALL)
def test_deep_supervision_can_be_switched_and_leaves_the_weights_alone(name):
    network = SMALL[name](strides=[[1, 1], [2, 2], [2, 1], [2, 2]]).eval()
    keys = list(network.state_dict())
    x = image_for(network)
    full = network(x)
    network.decoder.deep_supervision = True
    pyramid = network(x)
    assert [tuple(y.shape[2:]) for y in pyramid] == [(32, 48), (16, 24), (8, 24)]
    assert torch.equal(pyramid[0], full)
    torch.testing.assert_close(pyramid[1], full.unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1)))
    assert list(network.state_dict()) == keys
    SMALL[name](deep_supervision=True).load_state_dict(network.state_dict())


def test_one_stride_gives_a_list_of_one():
    network = SMALL["e2a"](strides=[[1, 1]], deep_supervision=True)
    assert [tuple(y.shape) for y in network(image_for(network))] == [(2, 4, 32, 48)]


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_autocast_is_finite_and_close(name):
    torch.manual_seed(0)
    network = SMALL[name](layer_scale_init=0.1)
    x = image_for(network, 64, 64)
    network(x)  # running statistics
    network.eval()
    with torch.inference_mode():
        expected = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            actual = network(x)
    assert actual.isfinite().all()
    assert (actual - expected).norm() < 0.1 * expected.norm()


@pytest.mark.parametrize(
    "name", ["single", *(pytest.param(n, marks=pytest.mark.slow) for n in ("e2a", "coupled", "uncoupled"))]
)
def test_exports(name):
    network = SMALL[name]().eval()
    x = image_for(network)
    exported = torch.export.export(network, (x,)).module()
    torch.testing.assert_close(exported(x), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("image_channels", "anatomies"), [(1, 1), (2, 2), (1, 4)])
@pytest.mark.parametrize("mode", MODES)
def test_any_number_of_anatomies(mode, image_channels, anatomies):
    network = SpecialistNetworks(image_channels + anatomies, anatomies + 1, mode=mode, base_width=4)
    logits = network(image_for(network, 32, 32))
    assert logits.shape == (2, anatomies + 1, 32, 32)
    assert not logits[:, 0].any()


def test_uncoupled_specialists_see_their_own_mask_only_and_coupled_ones_all():
    torch.manual_seed(0)
    for mode, others_change in (("uncoupled", False), ("coupled", True)):
        network = SpecialistNetworks(4, 4, mode=mode, base_width=4, layer_scale_init=0.5).eval()
        x = image_for(network)
        changed = x.clone()
        changed[:, 2] += 1  # mask of the second anatomy
        difference = (network(changed) - network(x)).abs().amax((0, 2, 3))
        assert difference[2] > 1e-4
        assert bool(difference[[1, 3]].max() > 1e-6) is others_change


def test_uncoupled_specialists_share_their_weights():
    network = SpecialistNetworks(4, 4, mode="uncoupled", base_width=4).eval()
    x = image_for(network)
    torch.testing.assert_close(network(x[:, [0, 3, 1, 2]])[:, 1:], network(x)[:, [3, 1, 2]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: E2AUNet(1, 4, bottleneck="none"), "bottleneck is 'none', expected one of 'conv_mix', 'conv', 'empty'"),
        (lambda: E2AUNet(1, 4, features=(32,)), "expected the channels of two or more levels"),
        (lambda: E2AUNet(1, 1), "Found input_channels 1 and num_classes 1"),
        (lambda: E2AUNet(1, 4, strides=[[1, 1, 1]]), "expected at least one pair of positive steps"),
        (lambda: SpecialistNetworks(3, 4), "Found 3 input channels for 3 coarse masks, expected at least 4"),
        (lambda: SpecialistNetworks(4, 4, mode="none"), "mode is 'none', expected one of 'coupled'"),
        (lambda: SpecialistNetworks(4, 4, base_width=3), "base_width is 3, expected an even number"),
        (lambda: E2AUNet(1, 4)(torch.zeros(1, 1, 40, 33)), "40 x 33 pixels.*multiples of 16; pad it to 48 x 48"),
        (lambda: E2AUNet(1, 4)(torch.zeros(1, 2, 32, 32)), r"shape \(1, 2, 32, 32\), expected \(batch, 1, height"),
    ],
)
def test_errors_say_what_was_found_and_expected(make, message):
    with pytest.raises(ValueError, match=message):
        make()
