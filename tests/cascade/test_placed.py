"""Samples of networks that see whole images: in the middle of a patch, whole, or a part inside the image."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader

from nnunet_cardiac.architectures.blocks.box_corners import corners_of_mask, placed_corners
from nnunet_cardiac.architectures.ops.fitting import fitted_size, pad_centred, shrunk
from nnunet_cardiac.cascade.placed import PlacedDataset


class OneCase:
    """A case (Z, Y, X) whose voxels hold their own address, from 1, with one labelled voxel."""

    def __init__(self, shape: tuple[int, int, int], voxel: tuple[int, int, int]) -> None:
        self.identifiers = ["a"]
        self.image = 1 + np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape)
        self.labels = np.zeros((1, *shape), np.int16)
        self.labels[(0, *voxel)] = 2
        self.properties = {"class_locations": {1: np.empty((0, 4), int), 2: np.array([[0, *voxel]])}, "spacing": [1]}

    def load_case(self, identifier: str):
        return self.image, self.labels, None, self.properties


def through_loader(dataset: PlacedDataset, size: tuple[int, ...], patch: tuple[int, ...], batch: int = 4) -> dict:
    """What nnU-Net's loader makes of it, every sample forced to show foreground."""
    labels = SimpleNamespace(all_labels=[0, 1, 2], has_ignore_label=False)
    return nnUNetDataLoader(dataset, batch, size, patch, labels, 1.0).generate_train_batch()


@pytest.mark.parametrize("size", [(16, 16), (21, 23)])
def test_a_slice_lies_in_the_middle_wherever_its_foreground_is(size: tuple[int, int]) -> None:
    np.random.seed(0)
    case = OneCase((3, 11, 14), (1, 0, 13))
    batch = through_loader(PlacedDataset(case, (16, 16), size), size, (16, 16), 12)
    top, left = 2 + size[0] // 2 - 8, 1 + size[1] // 2 - 8  # as `pad_centred` in 16 x 16, and the sample around that
    seen = set()
    for image, labels in zip(batch["data"][:, 0].numpy(), batch["target"][:, 0].numpy(), strict=True):
        inside = image[top : top + 11, left : left + 14]
        z = int(inside[0, 0] // (11 * 14))
        np.testing.assert_array_equal(inside, case.image[0, z])
        assert (image != 0).sum() == 11 * 14
        assert (labels == -1).sum() == np.prod(size) - 11 * 14
        seen.add(z)
    assert seen == {0, 1, 2}


def test_a_volume_is_whole() -> None:
    case = OneCase((3, 11, 14), (0, 10, 0))
    batch = through_loader(PlacedDataset(case, (6, 16, 16)), (6, 16, 16), (6, 16, 16), 2)
    expected = pad_centred(torch.from_numpy(case.image[0]), (6, 16, 16))
    for image in batch["data"][:, 0]:
        torch.testing.assert_close(image, expected)


def test_runs_of_slices_are_drawn_alike() -> None:
    np.random.seed(1)
    dataset = PlacedDataset(OneCase((7, 4, 4), (0, 0, 0)), (5, 4, 4))
    firsts = [int(dataset.load_case("a")[0].min() - 1) // 16 for _ in range(300)]
    assert set(firsts) == {0, 1, 2}
    assert min(np.bincount(firsts)) > 70


def test_parts_of_larger_images_lie_inside_and_show_foreground() -> None:
    np.random.seed(2)
    case = OneCase((2, 40, 20), (1, 37, 3))
    dataset = PlacedDataset(case, (2, 16, 24), foreground=1.0)
    for _ in range(20):
        image, labels, _, _ = dataset.load_case("a")
        assert image.shape == (1, 2, 16, 24)
        assert (image != 0).sum() == 2 * 16 * 20  # nothing of the rows is lost at the end of the image
        assert (labels == 2).sum() == 1
    anywhere = PlacedDataset(case, (2, 16, 24))
    tops = {int(anywhere.load_case("a")[0][0, 0, 0, 2] - 1) // 20 for _ in range(200)}
    assert min(tops) == 0
    assert max(tops) == 24
    assert len(tops) > 15


def test_larger_slices_are_shrunk_whole() -> None:
    mask = np.zeros((1, 40, 20), bool)
    mask[:, 10:30, 6:14] = True
    case = OneCase((1, 40, 20), (0, 0, 0))
    case.labels[0] = mask
    image, labels, _, _ = PlacedDataset(case, (20, 20), shrink=True).load_case("a")
    assert fitted_size((40, 20), (20, 20)) == (20, 10)
    assert (labels[0, 0] == 1).sum() == 40
    assert (labels[0, 0, :, :5] == -1).all()
    assert (image[0, 0, :, 5:15] != 0).all()
    # Its box, put back into the image, is the box of the mask.
    corners, _ = corners_of_mask(torch.from_numpy(labels[:, 0] == 1))
    back = placed_corners(corners, (20, 20), (20, 10), (40, 20))
    torch.testing.assert_close(back, corners_of_mask(torch.from_numpy(mask))[0])


@pytest.mark.parametrize(("sample", "image"), [((16, 16), (11, 14)), ((16, 24), (16, 9)), ((32, 16), (15, 15))])
def test_corners_in_a_sample_are_those_in_the_image(sample: tuple[int, int], image: tuple[int, int]) -> None:
    mask = torch.zeros(1, *image, dtype=torch.bool)
    mask[:, 3:9, 2:8] = True
    corners, _ = corners_of_mask(pad_centred(mask.float(), sample) > 0)
    torch.testing.assert_close(placed_corners(corners, sample, image, image), corners_of_mask(mask)[0])


def test_images_that_fit_are_not_resampled() -> None:
    image = torch.rand(2, 1, 9, 7)
    assert shrunk(image, (9, 8)) is image
    assert fitted_size((9, 7), (9, 8)) == (9, 7)
    assert shrunk(image, (6, 8)).shape == (2, 1, 6, 5)
