"""The paper's augmentations keep shapes, labels and the centre."""

from __future__ import annotations

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform

from nnunet_cardiac.trainers.recipe.augmentation import (
    ZerosStayZero,
    crocnet_transforms,
    crop_transforms,
    flipped_axes,
    mild_transforms,
    stack_transforms,
)


def disc(size: int, radius: int) -> torch.Tensor:
    y, x = np.ogrid[:size, :size]
    return torch.from_numpy((((y - size / 2) ** 2 + (x - size / 2) ** 2) <= radius**2).astype(np.int16))[None]


def test_all_six_keep_size_and_labels_and_change_something() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    transform = crocnet_transforms((48, 64), (0, 1))
    segmentation = disc(96, 12)
    image = segmentation.float() + 0.1 * torch.arange(96)[None, None, :] / 96
    plain = image[:, 24:72, 16:80]
    changed = 0
    for _ in range(60):
        out = transform(image=image.clone(), segmentation=segmentation.clone())
        assert out["image"].shape == (1, 48, 64)
        assert out["segmentation"].shape == (1, 48, 64)
        assert set(out["segmentation"].unique().tolist()) <= {-1, 0, 1}
        assert out["segmentation"][0, 24, 32] == 1  # the centre stays the centre
        changed += not torch.equal(out["image"], plain)
    assert changed > 45  # a flip leaves a quarter of its images as they are


def test_repeats_with_a_seed() -> None:
    def run() -> torch.Tensor:
        torch.manual_seed(3)
        np.random.seed(3)
        transform = crocnet_transforms((32, 32), (0, 1))
        return torch.stack([transform(image=disc(40, 9).float(), segmentation=disc(40, 9))["image"] for _ in range(8)])

    assert torch.equal(run(), run())


def test_mild_ones_shift_and_scale_a_little_and_never_turn() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    transform = mild_transforms((100, 80))
    wedge = torch.zeros(1, 120, 120, dtype=torch.int16)
    wedge[0, 50:70, 50:60], wedge[0, 50:70, 60:70] = 1, 2  # 1 left of 2, around the centre
    centres, sides = [], []
    for _ in range(100):
        out = transform(image=wedge.float() + 1, segmentation=wedge.clone())
        label = out["segmentation"][0]
        assert label.shape == (100, 80)
        y, x = (label > 0).nonzero(as_tuple=True)
        centres.append([(y.min() + y.max() + 1) / 2 - 50, (x.min() + x.max() + 1) / 2 - 40])
        sides.append(y.max() + 1 - y.min())
        assert (label == 1).nonzero()[:, 1].float().mean() < (label == 2).nonzero()[:, 1].float().mean()
    shifts, sides = torch.tensor(centres).numpy(), np.array(sides)
    largest = np.abs(shifts).max(0)
    assert (largest <= np.array([8, 6.4]) / 0.86 + 1).all()  # 8 % of the patch, enlarged with what it shows
    assert (largest > [5, 4]).all()
    assert (np.abs(shifts.mean(0)) < 1.5).all()
    assert 16 <= sides.min() < 18
    assert 22 < sides.max() <= 24


def test_mild_ones_leave_the_slices_of_a_volume_where_they_are() -> None:
    np.random.seed(1)
    out = mild_transforms((5, 32, 32))(
        image=torch.ones(1, 5, 40, 40), segmentation=torch.arange(5)[None, :, None, None].expand(1, 5, 40, 40).short()
    )
    assert out["segmentation"][0, 2].unique().tolist() == [2]


def test_stacks_are_turned_as_a_whole_and_keep_their_order() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    transform = stack_transforms((4, 64, 64))
    marker = torch.zeros(1, 4, 90, 90, dtype=torch.int16)
    marker[0, :3, 40:60, 35:45] = torch.tensor([1, 2, 3], dtype=torch.int16)[:, None, None]
    marker[0, 3] = -1
    places = []
    for _ in range(40):
        out = transform(image=marker.float(), segmentation=marker.clone())["segmentation"][0]
        assert out.shape == (4, 64, 64)
        assert [set(out[z].unique().tolist()) - {0, -1} for z in range(3)] == [{1}, {2}, {3}]
        assert set(out[3].unique().tolist()) == {-1}
        masks = [(out[z] == z + 1) for z in range(3)]
        assert all(torch.equal(masks[0], mask) for mask in masks[1:])
        places.append(masks[0].nonzero().float().mean(0))
    spread = torch.stack(places).std(0)
    assert (spread > 2).all()


def test_zeros_stay_zero_under_noise_and_move_with_the_image() -> None:
    class NoiseAndFlip(BasicTransform):
        def __call__(self, **data) -> dict:
            flipped = {name: part.flip(-1) for name, part in data.items()}
            return {"image": flipped["image"] + 1, "segmentation": flipped["segmentation"].clamp(min=0)}

    image, segmentation = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    image[1, 1:, :, 2:] = 5.0  # the first slice fills a stack up, the first two columns are outside of the image
    segmentation[0, 1, :2] = -1  # a part of a slice that nnU-Net's preprocessing calls background for certain
    out = ZerosStayZero(NoiseAndFlip())(image=image, segmentation=segmentation)
    assert out["image"][:, 0].eq(0).all()
    assert out["image"][:, 1:, :, 2:].eq(0).all()
    assert out["image"][0, 1:, :, :2].eq(1).all()
    assert out["image"][1, 1:, :, :2].eq(6).all()
    assert out["segmentation"].shape == (2, 3, 4, 4)
    assert out["segmentation"].eq(0).all()


def test_flips_are_found_wherever_they_are() -> None:
    nested = ComposeTransforms([RandomTransform(MirrorTransform(allowed_axes=(2,)), 0.5), crop_transforms((8, 8))])
    assert flipped_axes(ZerosStayZero(nested)) == {2}
    assert flipped_axes(crocnet_transforms((16, 16), (0, 1))) == {0, 1}
    assert flipped_axes(crocnet_transforms((16, 16), ())) == set()
    assert flipped_axes(stack_transforms((4, 16, 16))) == {1, 2}
    assert flipped_axes(stack_transforms((4, 16, 16), ())) == set()
    assert flipped_axes(mild_transforms((16, 16))) == set()
