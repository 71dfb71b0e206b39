"""HALSR-Net: sizes, parameters, gradients, output as probabilities, and the contract with nnU-Net."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures import HALSRNet

FEATURES = (16, 16, 32, 32, 48)
FUSIONS = ("prob_mean", "logit_sum", "none")


def small(num_classes: int = 3, **options) -> HALSRNet:
    torch.manual_seed(0)
    return HALSRNet(1, num_classes, features=FEATURES, **options)


def image(height: int = 48, width: int = 32, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 1, height, width)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


TABLE = {
    "nominal": (10_824_822, 2_128_064, 4_687_523, 1_220_964, 1_074_240, [20_423, 77_099, 299_507, 1_180_547], 195),
    "half": (10_710_490, 4_713_632, 2_477_955, 305_844, 2_352_000, [10_135, 39_239, 155_691, 620_531], 99),
}


@pytest.mark.parametrize("preset", TABLE)
def test_parameters_of_every_component(preset):
    net = HALSRNet(1, 3, preset=preset)
    total, encoder, bottleneck, gates, merge, hapm, head = TABLE[preset]
    assert parameters(net) == total
    assert parameters(net.encoder) == encoder
    assert parameters(net.bottleneck) == bottleneck
    assert parameters(net.gates) == gates
    assert parameters(net.merge) == merge
    assert [parameters(m) for m in net.hapm] == hapm
    assert parameters(net.head) == head
    assert parameters(net.reconstruction) == total - encoder - bottleneck - gates - merge - sum(hapm) - head


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(("height", "width"), [(16, 48), (32, 16)])
def test_output_is_fresh_contiguous_logits_of_the_input_size(fusion, height, width):
    net, x = small(recon_fusion=fusion).eval(), image(height, width)
    before = x.clone()
    with torch.inference_mode():
        logits = net(x)
        expected = logits.clone()
        logits += 1  # nnU-Net adds mirrored predictions in place
        assert torch.equal(net(x), expected)
    assert logits.shape == (2, 3, height, width)
    assert logits.is_contiguous()
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    "options",
    [
        {"num_classes": 2},
        {"num_classes": 4, "recon_fusion": "logit_sum"},
        {"separable": False, "hapm_fusion": "reduced", "hapm_residual": True},
        {"hapm_at": "bottleneck", "recon_fusion": "none"},
        {"hapm_at": "none", "gates": False},
    ],
    ids=str,
)
def test_every_parameter_gets_a_gradient(options):
    net = small(**options, dropout=(0, 0))
    logits = net(image(64, 48, batch=3))
    (logits * torch.randn_like(logits)).sum().backward()
    assert logits.shape == (3, options.get("num_classes", 3), 64, 48)
    assert [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def both_segmentations(net: HALSRNet, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What head and reconstruction say on their own."""
    found = {}
    hooks = [
        getattr(net, name).register_forward_hook(lambda module, args, out, name=name: found.update({name: out}))
        for name in ("head", "reconstruction")
    ]
    net(x)
    for hook in hooks:
        hook.remove()
    return found["head"], found["reconstruction"]


def test_softmax_of_the_output_is_the_mean_of_both_probabilities():
    net, x = small().eval(), image()
    decoded, reconstructed = both_segmentations(net, x)
    expected = (decoded.softmax(1) + reconstructed.softmax(1)) / 2
    torch.testing.assert_close(net(x).softmax(1), expected)
    torch.testing.assert_close(net(x).exp(), expected)
    assert torch.equal(net(x).argmax(1), expected.argmax(1))


def test_logit_sum_is_the_sum_of_both_logits():
    net, x = small(recon_fusion="logit_sum").eval(), image()
    torch.testing.assert_close(net(x), sum(both_segmentations(net, x)))


def test_output_stays_finite_where_a_probability_underflows():
    net = small().eval()
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.copy_(torch.tensor([500.0, 0.0, 0.0]))
        net.reconstruction.classify.weight.zero_()
        net.reconstruction.classify.bias.copy_(torch.tensor([500.0, 0.0, 0.0]))
    torch.testing.assert_close(net(image())[0, :, 0, 0], torch.tensor([0.0, -500.0, -500.0]))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_deep_supervision_can_be_switched_and_leaves_the_weights_alone(fusion):
    net = small(recon_fusion=fusion, strides=[[1, 1], [2, 2], [2, 1], [2, 2]]).eval()
    keys, x = list(net.state_dict()), image()
    full = net(x)
    net.decoder.deep_supervision = True
    pyramid = net(x)
    assert [tuple(y.shape[2:]) for y in pyramid] == [(48, 32), (24, 16), (12, 16)]
    assert torch.equal(pyramid[0], full)
    if fusion == "prob_mean":
        for lower, cell in zip(pyramid[1:], ((2, 2), (4, 2)), strict=True):
            torch.testing.assert_close(lower.exp(), F.avg_pool2d(full.exp(), cell))
            torch.testing.assert_close(lower.exp().sum(1), torch.ones_like(lower[:, 0]))
    else:
        torch.testing.assert_close(pyramid[2], F.avg_pool2d(full, (4, 2)))
    assert list(net.state_dict()) == keys
    small(recon_fusion=fusion, deep_supervision=True).load_state_dict(net.state_dict())


def test_lower_resolutions_leave_out_what_does_not_fill_a_cell():
    net = small(strides=[[1, 1], [5, 3], [2, 2]], deep_supervision=True).eval()
    full, lower = net(image(16, 32))
    assert lower.shape == (2, 3, 3, 10)
    torch.testing.assert_close(lower.exp(), F.avg_pool2d(full.exp(), (5, 3)))


@pytest.mark.parametrize("options", [{}, {"separable": False, "hapm_fusion": "reduced"}], ids=str)
def test_bfloat16_autocast_gives_float32_probabilities_close_to_those_without(options):
    net, x = small(**options), image(64, 64)
    net(x)  # running statistics
    net.eval()
    with torch.inference_mode():
        expected = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            actual = net(x)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual.exp().sum(1), torch.ones(2, 64, 64))
    assert (actual - expected).norm() < 0.1 * expected.norm()


def test_bfloat16_autocast_trains():
    net = small()
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(image(64, 48))
    logits.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_training_repeats_exactly_with_the_same_seed():
    net, x = small(), image()
    weights, runs = torch.randn(2, 3, 48, 32), []
    for _ in range(2):
        torch.manual_seed(1)
        net.zero_grad()
        (net(x) * weights).sum().backward()
        runs.append([p.grad.clone() for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_evaluation_does_not_depend_on_the_batch():
    net, x = small(), image(32, 32, batch=3)
    net(x)
    net.eval()
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]))


def test_the_smallest_image_runs_and_trains_from_two_images_on():
    net = small()
    assert net(image(16, 16, batch=2)).isfinite().all()
    with pytest.raises(ValueError, match=r"one image of 16 x 16 pixels in training.*larger batch or a larger patch"):
        net(image(16, 16, batch=1))
    assert net(image(32, 16, batch=1)).isfinite().all()  # the pooled branches see one value per channel
    assert net.eval()(image(16, 16, batch=1)).isfinite().all()


def test_dropout_stands_behind_the_two_lowest_levels():
    assert [drop.p for drop in HALSRNet(1, 3).dropout] == [0, 0, 0, 0.3, 0.5]


def test_presets_are_values_of_the_three_arguments():
    half = HALSRNet(
        1, 3, features=(32, 64, 128, 256, 512), separable=False, hapm_fusion="reduced", dropout=(0, 0)
    ).state_dict()
    assert {k: v.shape for k, v in HALSRNet(1, 3, preset="half").state_dict().items()} == {
        k: v.shape for k, v in half.items()
    }
    assert parameters(HALSRNet(1, 3, preset="half", separable=True)) < 0.5 * TABLE["half"][0]


@pytest.mark.slow
def test_exports():
    net, x = small().eval(), image()
    exported = torch.export.export(net, (x,)).module()
    torch.testing.assert_close(exported(x), net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HALSRNet(1, 3, preset="full"), "preset is 'full', expected one of 'nominal', 'half'"),
        (lambda: HALSRNet(1, 3, hapm_at="top"), "hapm_at is 'top', expected one of 'all', 'bottleneck', 'none'"),
        (lambda: HALSRNet(1, 3, recon_fusion="sum"), "recon_fusion is 'sum', expected one of 'prob_mean'"),
        (lambda: HALSRNet(1, 3, hapm_at="none", hapm_fusion="concat"), "hapm_at is 'none', so hapm_fusion and"),
        (lambda: HALSRNet(1, 3, hapm_at="none", hapm_residual=True), "hapm_at is 'none', so hapm_fusion and"),
        (lambda: HALSRNet(1, 3, hapm_fusion="sum"), "fusion is 'sum', expected 'concat' or 'reduced'"),
        (lambda: HALSRNet(1, 3, features=(16, 24)), r"features is \(16, 24\), expected two or more multiples of 16"),
        (lambda: HALSRNet(1, 3, features=(16,)), r"features is \(16,\), expected two or more"),
        (lambda: HALSRNet(1, 3, dropout=(0.5,)), r"dropout is \(0.5,\), expected two probabilities below 1"),
        (lambda: HALSRNet(1, 3, dropout=(0.5, 1)), r"dropout is \(0.5, 1\), expected two probabilities below 1"),
        (lambda: HALSRNet(0, 3), "Found input_channels 0 and num_classes 3"),
        (lambda: small()(image(40, 33)), "HALSRNet: found an image of 40 x 33 pixels.*pad it to 48 x 48"),
    ],
)
def test_errors_say_what_was_found_and_expected(make, message):
    with pytest.raises(ValueError, match=message):
        make()
