"""Crop and paste are exact inverses, at every border and outside."""

from __future__ import annotations

import itertools

import pytest
import torch

from nnunet_cardiac.cascade.crop import crop, paste
from nnunet_cardiac.cascade.roi import Box

#: A window of 4 x 6 in an image of 9 x 11: inside, over each border, over the corners, and entirely outside.
WINDOWS = [
    Box((y, x), (y + 4, x + 6))
    for y, x in itertools.product((-20, -4, -3, 0, 3, 5, 7, 9, 30), (-6, -1, 0, 2, 5, 10, 11))
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_paste_undoes_crop_to_the_voxel(window: Box) -> None:
    image = torch.randn(2, 3, 9, 11)
    patch = crop(image, window, fill=-7.0)
    assert patch.shape == (2, 3, 4, 6)
    torch.testing.assert_close(paste(patch, window, image.clone()), image, rtol=0, atol=0)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_crop_reads_the_right_voxels(window: Box) -> None:
    # Oracle: each voxel holds its own address, and an explicit loop looks it up.
    image = torch.arange(99.0).reshape(1, 9, 11)
    patch = crop(image, window, fill=-1.0)[0]
    for i, j in itertools.product(range(4), range(6)):
        y, x = window.start[0] + i, window.start[1] + j
        assert patch[i, j] == (y * 11 + x if 0 <= y < 9 and 0 <= x < 11 else -1)


def test_crop_undoes_paste_in_three_dimensions() -> None:
    window = Box((-1, 4, 2), (3, 8, 7))
    patch = torch.randn(1, 2, 4, 4, 5)
    pasted = paste(patch, window, torch.zeros(1, 2, 6, 10, 9))
    torch.testing.assert_close(crop(pasted, window)[..., 1:, :, :], patch[..., 1:, :, :], rtol=0, atol=0)
    assert pasted.count_nonzero() == 2 * 3 * 4 * 5  # nothing outside the window was touched


def test_crop_is_a_copy() -> None:
    image = torch.zeros(1, 4, 4)
    crop(image, Box((0, 0), (4, 4))).fill_(1)
    assert image.sum() == 0


def test_paste_rejects_a_patch_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"size \(3, 3\) does not fit a window of size \(4, 4\)"):
        paste(torch.zeros(1, 3, 3), Box((0, 0), (4, 4)), torch.zeros(1, 9, 9))
