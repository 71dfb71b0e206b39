"""The region regressor: corners of known boxes, drawing, stacks, parameters."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures import ROIRegressor
from nnunet_cardiac.architectures.blocks.box_corners import (
    corners_of_mask,
    draw_corners,
    pad_to_square,
    roi_rmse,
    sort_corners,
)


def small(num_classes: int = 3, **options) -> ROIRegressor:
    torch.manual_seed(0)
    return ROIRegressor(1, num_classes, **{"features": (4, 4, 8, 8), "hidden": 16, "grid": 3, **options})


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_corners_of_a_box_worked_out_by_hand():
    mask = torch.zeros(1, 6, 10, dtype=torch.bool)
    mask[0, 1:4, 5:7] = True  # the square has 10 x 10 pixels, rows 0 to 5 of the image are its rows 2 to 7
    corners, present = corners_of_mask(mask)
    torch.testing.assert_close(corners, torch.tensor([[0.5, 0.3, 0.7, 0.6]]))
    assert present.tolist() == [True]


def test_odd_difference_puts_the_extra_pixel_at_the_far_end():
    image = torch.arange(1.0, 7.0).view(1, 1, 2, 3)
    assert pad_to_square(image)[0, 0].tolist() == [[1, 2, 3], [4, 5, 6], [0, 0, 0]]
    assert pad_to_square(image.mT)[0, 0].tolist() == [[1, 4, 0], [2, 5, 0], [3, 6, 0]]


@pytest.mark.parametrize(("height", "width"), [(7, 12), (12, 7), (9, 9), (1, 5), (255, 3)])
def test_drawing_undoes_the_corners_of_any_mask(height, width):
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(40, height, width, generator=generator) > 0.9
    masks[0], masks[1] = False, True
    corners, present = corners_of_mask(masks)
    for mask, drawn, there, box in zip(masks, draw_corners(corners, (height, width)), present, corners, strict=True):
        pixels = mask.nonzero().tolist()
        assert bool(there) is bool(pixels)
        if not pixels:
            assert not box.any()
            continue
        rows, columns = zip(*pixels, strict=True)
        expected = torch.zeros(height, width, dtype=torch.bool)
        expected[min(rows) : max(rows) + 1, min(columns) : max(columns) + 1] = True
        assert torch.equal(drawn, expected)
        # the same box, seen in the padded square
        rows, columns = zip(*pad_to_square(mask).nonzero().tolist(), strict=True)
        side = max(height, width)
        hand = [min(columns) / side, min(rows) / side, (max(columns) + 1) / side, (max(rows) + 1) / side]
        assert box.tolist() == pytest.approx(hand)


def test_round_trip_at_a_thousand_pixels():
    starts = torch.arange(1023)
    masks = torch.zeros(len(starts), 1, 1024, dtype=torch.bool)
    masks[torch.arange(len(starts)), 0, starts] = True
    assert torch.equal(draw_corners(corners_of_mask(masks)[0], (1, 1024)), masks)


def test_a_box_is_drawn_whatever_the_order_of_its_corners():
    box = torch.tensor([[0.2, 0.1, 0.7, 0.8]])
    for order in ([2, 1, 0, 3], [0, 3, 2, 1], [2, 3, 0, 1]):
        assert torch.equal(sort_corners(box[:, order]), box)
        assert torch.equal(draw_corners(box[:, order], (8, 10)), draw_corners(box, (8, 10)))


@pytest.mark.parametrize(
    ("box", "pixel"),
    [
        ((0.5, 0.5, 0.5, 0.5), (3, 5)),
        ((0, 0, 0, 0), (0, 0)),
        ((1, 1, 1, 1), (5, 9)),
        ((0.5, 0.0, 0.55, 0.1), (0, 5)),  # in the padding above the image
    ],
)
def test_a_box_without_area_or_outside_gets_the_nearest_pixel(box, pixel):
    assert draw_corners(torch.tensor([box]), (6, 10))[0].nonzero().tolist() == [list(pixel)]


def test_rmse_by_hand_in_pixels_and_millimetres():
    true = torch.tensor([[0.2, 0.2, 0.6, 0.6]] * 2)
    predicted = true + torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.01, -0.03, 0.05, 0.01]])
    torch.testing.assert_close(roi_rmse(predicted, true, 100), torch.tensor([0.0, 3.0]))  # sqrt((1 + 9 + 25 + 1) / 4)
    torch.testing.assert_close(roi_rmse(predicted[:, [2, 1, 0, 3]], true, 100), torch.tensor([0.0, 3.0]))
    side_mm = torch.tensor([200.0, 100.0, 200.0, 100.0])  # pixels twice as wide as high
    torch.testing.assert_close(roi_rmse(predicted, true, side_mm)[1], torch.tensor(((4 + 9 + 100 + 1) / 4) ** 0.5))


def test_parameters_of_every_part():
    net = ROIRegressor(1, 3)
    parts = (net.encoder, net.hidden, net.reduce, net.gather, net.regress)
    assert [parameters(part) for part in parts] == [1_172_640, 394_240, 172_480, 2_097_280, 10_468]
    assert parameters(net) == 3_847_108


@pytest.mark.parametrize(("height", "width"), [(48, 48), (49, 37), (20, 33), (5, 130), (1, 1)])
def test_any_size_gives_corners_in_training_and_the_same_box_drawn_in_evaluation(height, width):
    net, x = small(4), torch.randn(2, 1, height, width)
    corners = net(x)
    assert corners.shape == (2, 4)
    assert ((corners > 0) & (corners < 1)).all()
    net.eval()
    x[1] = 3.0  # no contrast
    logits = net(x)
    assert logits.shape == (2, 4, height, width)
    assert logits.is_contiguous()
    expected = draw_corners(net.corners(x)[:1], (height, width))[0] & (height * width > 1)
    assert torch.equal(logits[0].argmax(0), expected.long())
    assert not logits[1].argmax(0).any()
    assert logits.abs().eq(20).all()
    assert logits[:, 2:].eq(-20).all()
    assert torch.equal(logits[:, 0], -logits[:, 1])


def test_only_sizes_far_from_the_grid_are_resized_to_it():
    net = small(grid=4)
    sizes = []
    net.encoder[0].register_forward_pre_hook(lambda module, args: sizes.append(tuple(args[0].shape[2:])))
    for height, width in ((64, 64), (80, 48), (75, 90), (43, 10), (42, 42), (96, 96), (97, 97), (200, 20)):
        net.corners(torch.randn(2, 1, height, width))
    assert sizes == [(64, 64), (80, 80), (96, 96), (48, 48), (64, 64), (96, 96), (64, 64), (64, 64)]


def test_padding_leaves_the_shape_of_the_heart_alone():
    net = small().eval()
    square = torch.zeros(1, 1, 48, 48)
    square[..., 9:38, :] = torch.randn(29, 48)
    torch.testing.assert_close(net.corners(square[..., 9:38, :]), net.corners(square))


def test_network_equals_its_layers_at_the_size_it_is_made_for():
    net, x = small(grid=4).double().eval(), torch.randn(2, 1, 64, 64, dtype=torch.float64)
    y = x
    for level in net.encoder:
        for block in level:
            y = block.norm(F.conv2d(y, block.conv.weight, padding=1)).relu()
        y = F.max_pool2d(y, 2)
    for layer in (net.hidden[0], net.hidden[3], net.reduce[0], net.reduce[2], net.reduce[4]):
        y = F.conv2d(y, layer.weight, layer.bias).relu()
    y = torch.einsum("bcij,ocij->bo", y, net.gather[0].weight) + net.gather[0].bias
    y = y.relu()[..., None, None]
    for layer in (net.regress[0][0], net.regress[0][2]):
        y = F.conv2d(y, layer.weight, layer.bias).relu()
    expected = F.conv2d(y, net.regress[1].weight, net.regress[1].bias).flatten(1).sigmoid()
    torch.testing.assert_close(net.corners(x), expected)


def with_boxes(net: ROIRegressor, boxes: list[tuple[float, ...]]) -> ROIRegressor:
    """The network with its answer replaced, slice by slice of one stack."""
    net.corners = lambda x: torch.tensor(boxes)[None]
    return net


BOXES = [(0.1, 0.2, 0.5, 0.6), (0.2, 0.2, 0.6, 0.6), (0.9, 0.9, 1.0, 1.0), (0.7, 0.3, 0.3, 0.7), (0.0, 0.0, 0.1, 0.1)]


def test_a_stack_gets_the_median_box_of_the_slices_that_are_not_padding():
    stack = torch.randn(1, 1, 5, 10, 10)
    stack[:, :, 4] = 0
    drawn = with_boxes(small().eval(), BOXES)(stack).argmax(1)[0]
    # medians of four slices, pairs sorted first: x .1 .2 .3 .9 and .5 .6 .7 1, y .2 .2 .3 .9 and .6 .6 .7 1
    expected = draw_corners(torch.tensor([[0.25, 0.25, 0.65, 0.65]]), (10, 10))[0].long()
    assert all(torch.equal(slice_, expected) for slice_ in drawn[:4])
    assert not drawn[4].any()


def test_each_slice_gets_its_own_box_if_wanted():
    stack = torch.randn(1, 1, 5, 10, 10)
    stack[:, :, 4] = 7
    drawn = with_boxes(small(per_slice=True).eval(), BOXES)(stack).argmax(1)[0]
    expected = draw_corners(torch.tensor(BOXES), (10, 10)).long()
    assert torch.equal(drawn[:4], expected[:4])
    assert not drawn[4].any()


def test_a_stack_of_padding_alone_is_background():
    logits = small().eval()(torch.zeros(2, 1, 3, 16, 16))
    assert logits.isfinite().all()
    assert not logits.argmax(1).any()


def test_slices_of_a_stack_are_regressed_on_their_own():
    net, stack = small().eval(), torch.randn(2, 1, 3, 40, 33)
    expected = torch.stack([net.corners(stack[:, :, z]) for z in range(3)], dim=1)
    torch.testing.assert_close(net.corners(stack), expected)
    assert net.train()(stack[:, :, :2]).shape == (2, 2, 4)


@pytest.mark.parametrize(("height", "width"), [(48, 48), (80, 61)])
def test_every_parameter_gets_a_gradient(height, width):
    net = small(hidden=64, dropout=0)
    F.mse_loss(net(torch.randn(4, 1, height, width)), torch.rand(4, 4)).backward()
    assert [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_learns_where_a_bright_box_is():
    net = small(features=(8, 16, 16, 32), hidden=256, dropout=0)
    generator = torch.Generator().manual_seed(0)
    start = torch.randint(2, 20, (16, 2), generator=generator)
    masks = torch.zeros(16, 48, 40, dtype=torch.bool)
    for mask, (row, column) in zip(masks, start, strict=True):
        mask[row : row + 20, column : column + 14] = True
    target = corners_of_mask(masks)[0]
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(25):
        optimizer.zero_grad()
        loss = F.mse_loss(net(masks[:, None].float()), target)
        loss.backward()
        optimizer.step()
    assert loss < 0.3 * target.var(0, correction=0).mean()  # the best that one box for all could do, but for 0.3


def test_bfloat16_autocast_gives_float32_corners_close_to_those_without():
    net, x = small(hidden=64), torch.randn(4, 1, 60, 48)
    net(x)  # running statistics
    net.eval()
    with torch.autocast("cpu", torch.bfloat16):
        actual = net.corners(x)
        logits = net(x)
    assert actual.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(actual, net.corners(x), rtol=0, atol=0.02)


def test_deep_supervision_gives_a_list_of_one():
    net, x = small(deep_supervision=True, strides=[[1, 1], [2, 2]]), torch.randn(2, 1, 48, 48)
    assert net(x).shape == (2, 4)
    (drawn,) = net.eval()(x)
    net.decoder.deep_supervision = False
    assert torch.equal(net(x), drawn)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 1, 50, 40), (1, 1, 3, 50, 40)])
def test_exports(shape):
    net, x = small().eval(), torch.randn(shape)
    assert torch.equal(torch.export.export(net, (x,)).module()(x), net(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: small(features=(4, 4, 8)), r"Found features \(4, 4, 8\) and hidden 16, expected four positive"),
        (lambda: small(hidden=12), "hidden 12, expected .* a multiple of 8"),
        (lambda: small(grid=1), "Found grid 1 and dropout 0.3, expected at least 2"),
        (lambda: small(dropout=1.0), "dropout 1.0, expected at least 2 and a number in"),
        (lambda: small(1), "Found input_channels 1 and num_classes 1"),
        (lambda: small()(torch.zeros(1, 2, 32, 32)), r"ROIRegressor: found an input of shape \(1, 2, 32, 32\)"),
        (lambda: small()(torch.zeros(1, 32, 32)), r"expected \(batch, 1, height, width\) or \(batch, 1, slices"),
    ],
)
def test_errors_say_what_was_found_and_expected(make, message):
    with pytest.raises(ValueError, match=message):
        make()
