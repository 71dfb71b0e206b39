"""Classifier-guided network: sizes of the ablation rows, what slices know of each other, padding, the gate."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnunet_cardiac.architectures import ClassifierGuidedNet
from nnunet_cardiac.architectures.blocks.conv_norm_relu import PooledBatchNorm2d
from nnunet_cardiac.architectures.blocks.presence_gate import PresenceGate
from nnunet_cardiac.architectures.blocks.selective_kernel import SelectiveKernel
from nnunet_cardiac.architectures.blocks.slice_fusion import SliceFusionTransformer, TransformerBlock
from nnunet_cardiac.architectures.classifier_guided import StageOutputs
from nnunet_cardiac.architectures.ops.stack_norm import StackNorm2d
from nnunet_cardiac.architectures.ops.stack_packing import content_box, pack, real_slices, unpack
from nnunet_cardiac.benchmark.speed.arithmetic import count_flop
from nnunet_cardiac.cascade.whole_cases import WholeCase

NARROW = {"features": (8, 16, 16), "heads": 4, "hidden": 8}

#: Table 2 of the paper: arguments and parameters.
ROWS = [
    ({"ref": False, "fusion": False, "classifier": None}, 7.42),
    ({"fusion": False, "classifier": None}, 14.84),
    ({"fusion": False}, 14.87),
    ({"ref": False, "classifier": None}, 10.58),
    ({"ref": False, "classifier": "seg"}, 10.61),
    ({"classifier": None}, 21.16),
    ({}, 21.19),
]


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def calibrated(**options) -> ClassifierGuidedNet:
    """A narrow network in evaluation whose normalisation has seen data, so that inputs matter to its outputs."""
    torch.manual_seed(0)
    net = ClassifierGuidedNet(1, 4, **{**NARROW, **options})
    with torch.no_grad():
        for _ in range(60):
            net(torch.randn(1, 1, 6, 16, 24))
    return net.eval()


@pytest.mark.parametrize(("switches", "millions"), ROWS)
def test_parameters_of_the_ablation_rows(switches: dict, millions: float) -> None:
    assert count(ClassifierGuidedNet(1, 4, **switches)) / 1e6 == pytest.approx(millions, abs=0.005)


def test_parameters_of_the_parts() -> None:
    net = ClassifierGuidedNet(1, 4)
    parts = [net.seg.encoder, net.seg.fusion, nn.ModuleList([net.seg.up, net.seg.decoder, net.seg.head])]
    assert [round(count(part) / 1e6, 2) for part in parts] == [3.80, 3.16, 3.62]
    assert count(net.classifier) == 33_283


@pytest.mark.parametrize("slices", [1, 2, 7, 40])
def test_any_number_of_slices(slices: int) -> None:
    net = calibrated()
    with torch.inference_mode():
        assert net(torch.randn(1, 1, slices, 16, 24)).shape == (1, 4, slices, 16, 24)


@pytest.mark.parametrize("switches", [row[0] for row in ROWS] + [{"encoder_block": "se_res", "position": "sincos"}])
def test_every_parameter_learns(switches: dict) -> None:
    torch.manual_seed(1)
    net = ClassifierGuidedNet(2, 3, **{**NARROW, **switches})
    out = net(torch.randn(2, 2, 3, 16, 16))
    assert isinstance(out, StageOutputs)
    sum(z.square().sum() for z in (out.seg, out.ref, out.presence) if z is not None).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_the_second_stage_teaches_the_first_only_if_asked() -> None:
    x = torch.randn(1, 1, 3, 16, 16)
    for detach in (True, False):
        net = ClassifierGuidedNet(1, 4, **NARROW, detach=detach)
        net(x).ref.square().sum().backward()
        reached = [p.grad is not None and p.grad.abs().sum() > 0 for p in net.seg.parameters()]
        assert not any(reached) if detach else all(reached)


def test_slices_know_each_other_only_through_fusion() -> None:
    x = torch.randn(1, 1, 5, 16, 24)
    other = x.clone()
    other[:, :, 3] += torch.randn(16, 24)
    for fusion in (True, False):
        net = calibrated(fusion=fusion, norm="batch")
        with torch.inference_mode():
            change = (net(x) - net(other)).abs().amax((0, 1, 3, 4))
        assert change[3] > 1e-3
        assert (change[[0, 1, 2, 4]] > 1e-5).all() if fusion else (change[[0, 1, 2, 4]] < 1e-6).all()


def test_results_do_not_depend_on_padding_or_on_other_stacks() -> None:
    net = calibrated()
    first, second = torch.randn(1, 1, 7, 16, 24), torch.randn(1, 1, 4, 16, 24)
    both = torch.zeros(2, 1, 12, 16, 24)
    both[0, :, 2:9], both[1, :, 4:8] = first[0], second[0]
    with torch.inference_mode():
        together, alone = net(both), (net(first), net(second))
    torch.testing.assert_close(together[:1, :, 2:9], alone[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(together[1:, :, 4:8], alone[1], atol=1e-5, rtol=0)
    assert alone[0].abs().max() > 0.1
    assert together[0, 0, [0, 1, 9, 10, 11]].eq(0).all()
    assert together[0, 1:, [0, 1, 9, 10, 11]].eq(-20).all()


def test_padded_slices_are_not_computed() -> None:
    net = calibrated()
    seen = []
    net.seg.encoder[0].register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    x = torch.zeros(2, 1, 9, 16, 16)
    x[0, :, 3:5], x[1, :, :4] = 1.0, 1.0
    with torch.inference_mode():
        net(x)
    assert seen == [2, 4]


def test_cost_is_linear_in_the_number_of_slices() -> None:
    # At full width: the attention between slices is the one part that grows with their square.
    net = ClassifierGuidedNet(1, 4).eval()

    def flop_per_slice(slices: int) -> float:
        with torch.no_grad():
            return count_flop(lambda: net(torch.ones(1, 1, slices, 32, 32))) / slices

    one, ten, forty = (flop_per_slice(slices) for slices in (1, 10, 40))
    assert one < ten < forty  # it is counted
    assert forty / one < 1.05


def test_order_of_slices_has_no_effect_without_positions() -> None:
    x, order = torch.randn(1, 1, 6, 16, 16), torch.tensor([3, 0, 5, 1, 4, 2])
    plain, placed = calibrated(), calibrated(position="sincos")
    with torch.inference_mode():
        torch.testing.assert_close(plain(x)[:, :, order], plain(x[:, :, order]), atol=1e-5, rtol=0)
        assert (placed(x)[:, :, order] - placed(x[:, :, order])).abs().max() > 1e-3


def test_a_stack_of_zeros_gives_a_finite_result() -> None:
    with torch.inference_mode():
        out = calibrated()(torch.zeros(1, 1, 3, 16, 16))
    assert out.shape == (1, 4, 3, 16, 16)
    assert out.isfinite().all()


def test_one_slice_trains() -> None:
    net = ClassifierGuidedNet(1, 4, **NARROW)
    assert net(torch.randn(1, 1, 1, 16, 16)).seg.isfinite().all()


# -------------------------------------------------------------------------------------------------------------- gate


def test_running_statistics_are_those_of_many_stacks() -> None:
    """The last few patients must not decide how the next one is normalised."""
    torch.manual_seed(0)
    net = ClassifierGuidedNet(1, 4, **NARROW, ref=False, classifier=None, fusion=False, norm="batch")
    convolve, norm = net.seg.encoder[0][0].conv, net.seg.encoder[0][0].norm
    with torch.no_grad():
        for scale in [1.0] * 100 + [3.0] * 5:  # five patients at the end are unlike the rest
            net(scale * torch.randn(1, 1, 6, 16, 24))
        usual = convolve(torch.randn(50, 1, 16, 24)).var((0, 2, 3))
    assert (norm.running_var / usual).max() < 1 + 0.3 * (9 - 1)


def test_prediction_normalises_as_training_does() -> None:
    torch.manual_seed(0)
    net = ClassifierGuidedNet(1, 4, **NARROW, ref=False, fusion=False, classifier=None)
    for norm in (module for module in net.modules() if isinstance(module, PooledBatchNorm2d)):
        norm.momentum = 1.0  # what the selection of kernels keeps of all stacks; its variance is unbiased
    x = 5 + 3 * torch.randn(1, 1, 6, 16, 24)
    with torch.no_grad():
        trained, predicted = net.train().stages(x).seg, net.eval().stages(x).seg
    assert trained.std() > 0.01
    assert (trained - predicted).abs().mean() < 0.05 * trained.std()


def test_stack_norm_is_batch_norm_in_training() -> None:
    torch.manual_seed(1)
    ours, theirs = StackNorm2d(3), nn.BatchNorm2d(3)
    for norm in (ours, theirs):
        norm.weight.data, norm.bias.data = torch.tensor([1.0, 2.0, -1.0]), torch.tensor([0.5, 0.0, 3.0])
    x = 4 + torch.randn(5, 3, 7, 2)
    torch.testing.assert_close(ours.eval()(x), theirs.train()(x))
    torch.testing.assert_close(ours(torch.randn(1, 3, 1, 1)).flatten(), ours.bias)


def test_margins_of_zeros_change_nothing_at_prediction() -> None:
    net = calibrated()
    x = torch.randn(1, 1, 5, 16, 24)
    wide = torch.zeros(1, 1, 5, 40, 48)
    wide[..., 9:25, 13:37] = x  # not on the grid of the divisor, 4
    with torch.inference_mode():
        inside, alone = net(wide), net(x)
    torch.testing.assert_close(inside[..., 9:25, 13:37], alone)
    assert inside[:, 0, :, :9].eq(0).all()
    assert inside[:, 1:, :, :, 37:].max() <= -20


def test_gates_hide_what_is_absent_and_leave_the_rest() -> None:
    z = torch.tensor([[2.0, -1.0, 0.5]]).view(1, 3, 1, 1)
    gated = PresenceGate()(z, torch.tensor([[True, True, False]])).flatten()
    torch.testing.assert_close(gated, torch.tensor([2.0, -1.0, -0.501]))


def test_a_whole_case_is_what_the_network_says_of_a_stack() -> None:
    net = calibrated()
    image = torch.randn(1, 4, 13, 22)  # no multiples of 4
    padded = nn.functional.pad(image, (1, 1, 2, 1))
    with torch.inference_mode():
        whole = net.predict_case(image, WholeCase((4, 16, 24)))
        torch.testing.assert_close(whole, net(padded[None])[0][..., 2:15, 1:23])
        mirrored = net.predict_case(image, WholeCase((4, 16, 24), (-1,)))
        assert not torch.allclose(whole, mirrored)


def test_margins_of_zeros_enter_no_statistics_in_training() -> None:
    net = calibrated().train()
    net.classifier[2].p = 0.0
    image = torch.randn(1, 1, 3, 16, 24)
    wide = nn.functional.pad(image, (8, 16, 4, 12))
    with torch.inference_mode():
        narrow, padded = net.stages(image), net.stages(wide)
    torch.testing.assert_close(padded.presence, narrow.presence)
    torch.testing.assert_close(padded.ref[..., 4:20, 8:32], narrow.ref)
    torch.testing.assert_close(padded.seg[..., 4:20, 8:32], narrow.seg)
    assert (padded.ref[..., :4, :] < -10).all()
    assert (padded.seg[:, 1:, 20:] < padded.seg[:, :1, 20:] - 10).all()


def test_the_squeeze_of_a_slice_needs_no_other_slice() -> None:
    torch.manual_seed(6)
    block = SelectiveKernel(8, norm=StackNorm2d, squeeze="slice")
    v = torch.randn(5, 32, 1, 1)
    norm = block.squeeze[1]
    by_hand = (v - v.mean(1, keepdim=True)) / (v.var(1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    for mode in (True, False):
        torch.testing.assert_close(norm.train(mode)(v), by_hand)
        torch.testing.assert_close(norm.train(mode)(v[2:3]), by_hand[2:3])


@pytest.mark.parametrize("switches", [{}, {"ref": False, "classifier": "seg"}])
def test_the_network_shows_a_class_only_where_its_classifier_finds_it(switches: dict) -> None:
    net = calibrated(**switches)
    x = torch.randn(1, 1, 4, 16, 24)
    with torch.inference_mode():
        for bias in (-50.0, 50.0):
            net.classifier[-1].bias.copy_(torch.tensor([50.0, bias, 50.0]))
            out, stages = net(x), net.stages(x)
            binary = stages.seg[:, 1:] - stages.seg[:, :1] if stages.ref is None else stages.ref
            shown = out[0, 1:].transpose(0, 1)  # (Z, K, H, W)
            torch.testing.assert_close(shown[:, [0, 2]], binary[:, [0, 2]])
            if bias > 0:
                torch.testing.assert_close(shown[:, 1], binary[:, 1])
            else:
                assert (shown[:, 1] < 0).all()
                assert (out.argmax(1) != 2).all()


# ------------------------------------------------------------------------------------------------------------ blocks


def test_packing_and_unpacking() -> None:
    x = torch.zeros(2, 2, 3, 4, 5)
    x[0, 1, 1], x[1, 0, 0], x[1, 1, 2, 3, 4] = 1.0, 2.0, 3.0
    real = real_slices(x)
    assert real.tolist() == [[False, True, False], [True, False, True]]
    packed = pack(x, real)
    assert packed.shape == (3, 2, 4, 5)
    back = unpack(packed, real, torch.tensor([7.0, -7.0]))
    torch.testing.assert_close(back.movedim(2, 1)[real], packed)
    assert back[0, 0, 0].eq(7).all()
    assert back[1, 1, 1].eq(-7).all()


def test_content_box() -> None:
    x = torch.zeros(2, 1, 3, 16, 24)
    x[0, 0, 1, 5, 7], x[1, 0, 2, 9, 22] = 1.0, 1.0
    assert content_box(x) == (slice(5, 10), slice(7, 23))
    assert content_box(torch.zeros(1, 1, 2, 8, 6)) == (slice(0, 8), slice(0, 6))


def test_selective_kernel_by_hand() -> None:
    torch.manual_seed(2)
    block = SelectiveKernel(8).eval()
    x = torch.randn(2, 8, 9, 11)
    with torch.no_grad():
        near, far = block.near(x), block.far(x)
        v = block.squeeze((near + far).mean((2, 3), keepdim=True))
        scores = (block.select.weight.flatten(1) @ v.flatten(1).T).T + block.select.bias
        a = torch.exp(scores[:, :8]) / (torch.exp(scores[:, :8]) + torch.exp(scores[:, 8:]))
        expected = a[..., None, None] * near + (1 - a)[..., None, None] * far
        torch.testing.assert_close(block(x), expected)
        far_by_hand = torch.relu(block.far.norm(nn.functional.conv2d(x, block.far.conv.weight, padding=2, dilation=2)))
        torch.testing.assert_close(far, far_by_hand)


@pytest.mark.parametrize("training", [False, True])
def test_transformer_block_against_torch(training: bool) -> None:
    torch.manual_seed(3)
    ours = TransformerBlock(16, heads=4, mlp_ratio=2).train(training)
    theirs = nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", batch_first=True, norm_first=True).train(training)
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": ours.query_key_value.weight,
            "self_attn.in_proj_bias": ours.query_key_value.bias,
            "self_attn.out_proj.weight": ours.project.weight,
            "self_attn.out_proj.bias": ours.project.bias,
            "linear1.weight": ours.mlp[0].weight,
            "linear1.bias": ours.mlp[0].bias,
            "linear2.weight": ours.mlp[2].weight,
            "linear2.bias": ours.mlp[2].bias,
            "norm1.weight": ours.attention_norm.weight,
            "norm1.bias": ours.attention_norm.bias,
            "norm2.weight": ours.mlp_norm.weight,
            "norm2.bias": ours.mlp_norm.bias,
        }
    )
    tokens = torch.randn(3, 5, 16)
    with torch.set_grad_enabled(training):  # without gradients torch takes a kernel of its own
        torch.testing.assert_close(ours(tokens), theirs(tokens), atol=1e-6, rtol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ours(tokens), theirs(tokens), atol=2e-2, rtol=2e-2)


def test_fusion_attends_between_slices_at_a_position_and_within_slices() -> None:
    torch.manual_seed(4)
    fusion = SliceFusionTransformer(8, layers=1, heads=2)
    maps = torch.randn(5, 8, 2, 3)
    tokens = maps.flatten(2).mT  # (Z, P, D)
    expected = torch.cat([fusion.inter(tokens[:, p][None])[0][:, None] for p in range(6)], 1)
    expected = torch.stack([fusion.intra(one[None])[0] for one in expected]).mT.unflatten(2, (2, 3))
    torch.testing.assert_close(fusion(maps), expected, atol=1e-5, rtol=1e-5)


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"ref": False}, "classifier is 'ref', but ref is false"),
        ({"classifier": "both"}, "classifier is 'both'"),
        ({"heads": 3}, "multiple of the heads"),
        ({"position": "learned"}, "position is 'learned'"),
        ({"encoder_block": "dense"}, "encoder_block is 'dense'"),
        ({"norm": "layer"}, "norm is 'layer'"),
        ({"features": (8,)}, "features is"),
        ({"dropout": 1.0}, "dropout 1.0"),
    ],
)
def test_contradictions_are_refused(options: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ClassifierGuidedNet(1, 4, **{**NARROW, **options})


def test_sizes_are_checked() -> None:
    net = calibrated()
    with pytest.raises(ValueError, match=r"4 x 18 x 16 voxels.*1 x 4 x 4.*4 x 20 x 16"):
        net(torch.zeros(1, 1, 4, 18, 16))
    with pytest.raises(ValueError, match=r"expected \(batch, 1, slices, height, width\)"):
        net(torch.zeros(1, 1, 16, 16))
