"""ROIRegressor and its boxes."""

import numpy as np
import pytest
import torch

from nnunet_cardiac.architectures import ROIRegressor
from nnunet_cardiac.architectures.blocks.box_corners import corners_of_mask, draw_corners, pad_to_square


def brute_force(mask):
    """Corners of one mask (H, W) by looking at every pixel of the padded square."""
    height, width = mask.shape
    side = max(height, width)
    square = np.zeros((side, side), dtype=bool)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = mask
    points = [(x, y) for y in range(side) for x in range(side) if square[y, x]]
    xs, ys = zip(*points, strict=True)
    return [min(xs) / side, min(ys) / side, (max(xs) + 1) / side, (max(ys) + 1) / side]


@pytest.mark.parametrize("size", [(20, 20), (17, 31), (30, 11), (9, 8)])
def test_corners_equal_a_search_over_all_pixels(size):
    rng = np.random.default_rng(0)
    masks = rng.random((20, *size)) > 0.97
    masks[:, 3, 5] = True
    corners, present = corners_of_mask(torch.from_numpy(masks))
    assert present.all()
    np.testing.assert_allclose(corners.numpy(), [brute_force(mask) for mask in masks], atol=1e-7)


@pytest.mark.parametrize("size", [(20, 20), (17, 31), (30, 11), (256, 216)])
def test_drawing_inverts_the_corners_of_every_rectangle(size):
    rng = np.random.default_rng(1)
    masks = torch.zeros(50, *size, dtype=torch.bool)
    for mask in masks:
        (y0, y1), (x0, x1) = (np.sort(rng.choice(n + 1, 2, replace=False)) for n in size)
        mask[y0:y1, x0:x1] = True
    assert torch.equal(draw_corners(corners_of_mask(masks)[0], size), masks)


def test_an_empty_mask_has_no_corners():
    corners, present = corners_of_mask(torch.zeros(2, 6, 6, dtype=torch.bool))
    assert not present.any()
    assert not corners.any()


@pytest.mark.parametrize(
    "corners", [[0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.9, 0.2, 0.1, 0.1]]
)
def test_a_box_without_area_or_outside_gets_a_pixel_of_the_image(corners):
    drawn = draw_corners(torch.tensor([corners]), (8, 20))
    assert 1 <= drawn.sum() <= 20


def test_swapped_corners_are_put_in_order():
    a = draw_corners(torch.tensor([[0.2, 0.3, 0.6, 0.9]]), (10, 10))
    b = draw_corners(torch.tensor([[0.6, 0.9, 0.2, 0.3]]), (10, 10))
    assert torch.equal(a, b)
    assert a.sum() == 4 * 6


def test_padding_is_symmetric():
    x = torch.arange(12.0).view(1, 1, 3, 4) + 1
    square = pad_to_square(x)
    assert square.shape == (1, 1, 4, 4)
    assert torch.equal(square[0, 0, :3], x[0, 0])
    assert not square[0, 0, 3].any()


def test_parameters():
    count = [sum(p.numel() for p in ROIRegressor(1, 3, grid=grid).parameters()) for grid in (16, 8)]
    assert count == [1_172_640 + 394_240 + 172_480 + 2_097_280 + 10_468, 2_274_244]


def test_training_gives_corners_and_evaluation_the_box_that_they_describe():
    torch.manual_seed(0)
    net = ROIRegressor(1, 4, grid=2, dropout=0.0)
    x = torch.randn(3, 1, 40, 28)
    assert net.train()(x).shape == (3, 4)
    net.eval()
    logits = net(x)
    assert logits.shape == (3, 4, 40, 28)
    assert torch.equal(logits.argmax(1) == 1, draw_corners(net.corners(x), (40, 28)))
    assert logits.argmax(1).max() == 1


def test_all_parameters_get_gradients():
    torch.manual_seed(0)
    net = ROIRegressor(2, 3, grid=2).train()
    net(torch.randn(4, 2, 32, 32)).sum().backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


class Scripted(ROIRegressor):
    """Says corners that the image carries in its first pixel."""

    def corners(self, x):
        return x[:, 0, 0, :4]


def stack_of(corners):
    stack = torch.full((1, 1, len(corners), 12, 12), 0.5)
    stack[0, 0, :, 0, :4] = torch.tensor(corners)
    return stack


def test_a_stack_gets_the_median_box_and_outliers_do_not_move_it():
    usual, wrong = [0.25, 0.25, 0.75, 0.75], [0.9, 0.9, 1.0, 1.0]
    net = Scripted(1, 2, grid=1).eval()
    masks = net(stack_of([usual, wrong, usual, usual, wrong])).argmax(1)[0]
    assert torch.equal(masks, draw_corners(torch.tensor([usual]), (12, 12)).long().expand(5, -1, -1))


def test_per_slice_gives_each_slice_its_own_box():
    corners = [[0.25, 0.25, 0.75, 0.75], [0.5, 0.5, 1.0, 1.0]]
    masks = Scripted(1, 2, grid=1, per_slice=True).eval()(stack_of(corners)).argmax(1)[0]
    assert torch.equal(masks.bool(), draw_corners(torch.tensor(corners), (12, 12)))


def test_padded_slices_have_no_box_and_no_vote():
    usual = [0.25, 0.25, 0.75, 0.75]
    stack = stack_of([usual, [0.9, 0.9, 1.0, 1.0], [0.8, 0.8, 1.0, 1.0]])
    stack[:, :, 1:] = 0
    masks = Scripted(1, 2, grid=1).eval()(stack).argmax(1)[0]
    assert torch.equal(masks[0].bool(), draw_corners(torch.tensor([usual]), (12, 12))[0])
    assert not masks[1:].any()
    assert not Scripted(1, 2, grid=1).eval()(torch.zeros(1, 1, 2, 8, 8)).argmax(1).any()


def test_learns_where_a_bright_rectangle_lies():
    torch.manual_seed(0)
    net = ROIRegressor(1, 2, grid=2, dropout=0.0).train()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    masks = torch.zeros(32, 32, 32, dtype=torch.bool)
    for i, mask in enumerate(masks):
        mask[i % 8 : i % 8 + 12, (3 * i) % 16 : (3 * i) % 16 + 14] = True
    target = corners_of_mask(masks)[0]
    for _ in range(60):
        optimizer.zero_grad()
        loss = (net(masks[:, None].float()) - target).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.sqrt() * 32 < 2  # pixels


def test_wrong_arguments_and_inputs_are_named():
    with pytest.raises(ValueError, match="deep_supervision is False"):
        ROIRegressor(1, 2, True)
    with pytest.raises(ValueError, match="grid 0, expected at least 1, 2 and 1"):
        ROIRegressor(1, 2, grid=0)
    with pytest.raises(ValueError, match=r"\(1, 2, 8, 8\), expected \(batch, 1,"):
        ROIRegressor(1, 2)(torch.zeros(1, 2, 8, 8))
