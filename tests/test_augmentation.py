"""The paper's augmentations keep shapes, labels and the centre."""

from __future__ import annotations

import numpy as np
import torch

from nnunet_cardiac.augmentation import crocnet_transforms


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
