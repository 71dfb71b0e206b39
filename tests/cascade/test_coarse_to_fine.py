"""The cropping network: equal to the inner network inside the window, background outside."""

from __future__ import annotations

import logging

import pytest
import torch

from nnunet_cardiac.cascade.coarse_to_fine import CropFromCoarse


@pytest.fixture
def network(toy_networks: str):
    def build(**kwargs) -> CropFromCoarse:
        kwargs = {"window": [32, 32], "margin": 4, "network_class_name": f"{toy_networks}.PointwiseNetwork"} | kwargs
        return CropFromCoarse(4, 4, **kwargs).eval()

    return build


def stack(slices: int = 6, height: int = 70, width: int = 61) -> torch.Tensor:
    """Image and three coarse channels (1, 4, Z, Y, X); the heart lies at y 30-40, x 45-58 on the middle slices."""
    x = torch.zeros(1, 4, slices, height, width)
    x[:, 0] = torch.randn(slices, height, width)
    x[:, 2, 1:-1, 30:40, 45:58] = 1
    return x


def test_inside_the_window_it_is_the_inner_network(network) -> None:
    net, x = network(), stack()
    y = net(x)
    expected = torch.stack([net.inner(s) for s in x[0].movedim(1, 0)]).movedim(0, 1)
    # Box 30-40 x 45-58, margin 4, centre (35, 51): window 19-51 x 35-67, of which 35-61 lies in the image.
    torch.testing.assert_close(y[0, :, :, 19:51, 35:], expected[:, :, 19:51, 35:])
    outside = torch.ones(6, 70, 61, dtype=torch.bool)
    outside[:, 19:51, 35:] = False
    assert (y[0].argmax(0)[outside] == 0).all()
    assert y[0, 0][outside].eq(0).all()
    assert y[0, 1:, outside].eq(-20).all()


def test_slices_the_coarse_stage_missed_are_seen(network) -> None:
    net = network()
    net(stack(slices=7))
    assert net.inner.seen == [(7, 4, 32, 32)]  # first and last slice have no coarse label


def test_padded_slices_cost_nothing_and_change_nothing(network) -> None:
    net, x = network(), stack()
    padded = torch.nn.functional.pad(x, (0, 0, 0, 0, 4, 5))
    y = net(padded)
    torch.testing.assert_close(y[:, :, 4:-5], net(x))
    assert (y[:, :, :4].argmax(1) == 0).all()
    assert (y[:, :, -5:].argmax(1) == 0).all()
    assert net.inner.seen[0] == net.inner.seen[1] == (6, 4, 32, 32)


def test_samples_of_a_batch_have_their_own_windows(network) -> None:
    net, x = network(), stack()
    other = x.roll((-20, -30), (3, 4))
    torch.testing.assert_close(net(torch.cat([x, other])), torch.cat([net(x), net(other)]))


def test_a_heart_larger_than_the_window_is_seen_whole(network) -> None:
    net, x = network(), stack()
    x[:, 1, 2, 5:65, 3:50] = 1
    y = net(x)
    # Union of both boxes 5-65 x 3-58, margin 4: 1-69 x 0-61, 68 x 61 -> next multiples of 16: 80 x 64.
    # The inner network sees windows of its own size: at rows 0, 16, 32 and 48 and columns 0, 16 and 32 of the region.
    assert net.inner.seen == [(6, 4, 32, 32)] * 12
    expected = torch.stack([net.inner(s) for s in x[0].movedim(1, 0)]).movedim(0, 1)
    torch.testing.assert_close(y[0], expected)


def test_empty_coarse_prediction_falls_back_to_the_centre(network, caplog: pytest.LogCaptureFixture) -> None:
    net, x = network(), stack()
    x[:, 1:] = 0
    with caplog.at_level(logging.WARNING):
        y = net(x)
    assert "Empty coarse prediction" in caplog.text
    centre = net.inner(x[0].movedim(1, 0)).movedim(0, 1)[:, :, 19:51, 14:46]
    torch.testing.assert_close(y[0, :, :, 19:51, 14:46], centre)


def test_an_image_of_nothing_but_padding_is_background(network) -> None:
    y = network()(torch.zeros(1, 4, 3, 48, 48))
    assert (y.argmax(1) == 0).all()


def test_a_training_patch_goes_straight_to_the_inner_network(network) -> None:
    net, patch = network(), torch.randn(5, 4, 32, 32)
    torch.testing.assert_close(net(patch), net.inner(patch))


def test_a_single_slice_is_a_stack_of_one(network) -> None:
    net, x = network(), stack()
    torch.testing.assert_close(net(x[:, :, 2]), net(x[:, :, 2:3])[:, :, 0])


def test_image_smaller_than_the_window(network) -> None:
    net = network(window=[64, 64])
    x = stack(height=40, width=33)[..., :33]
    x[:, 2] = 0
    x[:, 2, :, 10:20, 10:20] = 1
    y = net(x)
    assert y.shape == (1, 4, 6, 40, 33)
    torch.testing.assert_close(y[0], torch.stack([net.inner(s) for s in x[0].movedim(1, 0)]).movedim(0, 1))


def test_per_slice_gives_each_slice_its_own_window(network) -> None:
    net, x = network(per_slice=True), stack()
    x[:, 1:] = 0
    x[:, 2, :, 10:20, 10:20] = 1
    x[:, 2, 3] = 0
    x[:, 2, 3, 50:60, 40:50] = 1
    y = net(x)
    assert net.inner.seen == [(1, 4, 32, 32)] * 6
    assert (y[0, 1, 3, 39:70, 29:61] > -20).all()  # window 39-71 x 29-61 around (55, 45)
    assert (y[0, 1, 3, :39] == -20).all()
    assert (y[0, 1, 2, :31, :31] > -20).all()


def test_mask_outside_zeroes_all_but_the_enlarged_box(network) -> None:
    net, x = network(mask_outside=True), stack()
    y = net(x)
    expected = torch.zeros_like(x)
    expected[..., 26:44, 41:61] = x[..., 26:44, 41:61]
    direct = torch.stack([net.inner(s) for s in expected[0].movedim(1, 0)]).movedim(0, 1)
    torch.testing.assert_close(y[0, :, :, 19:51, 35:], direct[:, :, 19:51, 35:])


@pytest.mark.parametrize("rule", [{}, {"per_slice": True}, {"mask_outside": True, "margin": 12}])
def test_only_the_coarse_heart_is_shown(network, rule: dict) -> None:
    x, both = stack(), stack()
    both[:, :1] = x[:, :1]
    both[:, 3, 3:5, 26:29, 40:43] = 1  # another piece in the window, smaller than the heart on each slice
    net = network(**rule)
    torch.testing.assert_close(net(both), net(x))
    assert (both[:, 3, 3:5, 26:29, 40:43] == 1).all()  # the input stays as it was
    shown = network(**rule, heart_only=False)
    assert (shown(both) != shown(x)).any()


def test_inner_network_without_coarse_channels(network) -> None:
    net = network(pass_coarse=False)
    net(stack())
    assert net.inner.seen == [(6, 1, 32, 32)]


def test_three_dimensional_window(network, toy_networks: str) -> None:
    net = network(
        window=[4, 32, 32],
        multiple=[2, 16, 16],
        margin=[1, 4, 4],
        network_class_name=f"{toy_networks}.PointwiseNetwork3d",
    )
    x = stack(slices=12)
    x[:, 1:] = 0
    x[:, 3, 5:7, 30:40, 20:30] = 1
    y = net(x)
    assert net.inner.seen == [(1, 4, 4, 32, 32)]
    torch.testing.assert_close(y[:, :, 4:8, 19:51, 9:41], net.inner(x)[:, :, 4:8, 19:51, 9:41])
    assert (y[:, :, :4].argmax(1) == 0).all()


def test_only_the_coarse_heart_is_shown_in_a_volume(network, toy_networks: str) -> None:
    window = {"window": [4, 32, 32], "multiple": [1, 16, 16], "margin": [1, 4, 4]}
    window["network_class_name"] = f"{toy_networks}.PointwiseNetwork3d"
    x = stack()
    both = x.clone()
    both[:, 1, 0, 26:29, 40:43] = 1
    net, shown = network(**window), network(**window, heart_only=False)
    assert shown._region(both[0]) == net._region(x[0])
    torch.testing.assert_close(net(both), net(x))
    assert (shown(both) != shown(x)).any()


def test_gradient_reaches_the_inner_network_from_whole_stacks(network) -> None:
    net = network().train()
    net(stack()).square().sum().backward()
    assert net.inner.conv.weight.grad.abs().sum() > 0


def test_runs_under_inference_mode_and_returns_a_fresh_tensor(network) -> None:
    net, x = network(), stack()
    with torch.inference_mode():
        first = net(x)
        kept = first.clone()
        first += 1  # nnU-Net adds mirrored predictions in place
        torch.testing.assert_close(net(x), kept)


def test_mirroring_agrees_where_windows_overlap(network) -> None:
    net, x = network(), stack()
    torch.testing.assert_close(net(x.flip(3)).flip(3), net(x))  # box and window of even size: the same window


def test_clear_errors(network, toy_networks: str) -> None:
    with pytest.raises(ValueError, match="hold no image beside 3 coarse channels"):
        CropFromCoarse(3, 4, network_class_name=f"{toy_networks}.PointwiseNetwork")
    with pytest.raises(ValueError, match=r"'no_such\.Network' cannot be imported"):
        network(network_class_name="no_such.Network")
