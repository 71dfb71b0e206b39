"""Training samples of networks that see whole images, for nnU-Net's own data loader.

nnU-Net's loader moves its patch to a foreground voxel where a sample has to show one, and at random elsewhere, also
where the patch holds the whole image, which then lies displaced and loses a part. :class:`PlacedDataset` lies between
nnU-Net's dataset and its loader and gives each case as the network will see it at prediction: in the middle of a patch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunet_cardiac.architectures.ops.fitting import shrunk

#: `class_locations` key under which the loader finds the centre of the sample.
_CENTRE = 1


class PlacedDataset:
    """A dataset of samples that hold the image in their middle, or a part of a larger image.

    Args:
        dataset: nnU-Net's dataset.
        patch: Size of the patch that the network sees. Two entries (y, x) take one slice of a stack, drawn from all
            with equal probability; three (z, y, x) take as many slices in a row, drawn from those of a deeper stack.
        size: Size of the sample, which augmentation crops to the patch; None is the patch.
        shrink: Whether slices larger than the patch are shrunk as a whole. Else a part is drawn.
        foreground: Share of the parts that are drawn around a foreground voxel.

    Attributes:
        identifiers: Case names.
    """

    def __init__(
        self,
        dataset: nnUNetBaseDataset,
        patch: Sequence[int],
        size: Sequence[int] | None = None,
        shrink: bool = False,
        foreground: float = 0.0,
    ) -> None:
        self._dataset = dataset
        self._flat = len(patch) == 2
        self._patch = (1,) * self._flat + tuple(int(n) for n in patch)
        self._size = self._patch if size is None else (1,) * self._flat + tuple(int(n) for n in size)
        self._shrink = shrink
        self._foreground = foreground
        self.identifiers = list(dataset.identifiers)

    def __getitem__(self, identifier: str) -> tuple[np.ndarray, np.ndarray, None, dict[str, Any]]:
        """Same as :meth:`load_case`, as in nnU-Net's datasets."""
        return self.load_case(identifier)

    def load_case(self, identifier: str) -> tuple[np.ndarray, np.ndarray, None, dict[str, Any]]:
        """Load a sample.

        Returns:
            Image (C, Z, Y, X), 0 where there is none; reference labels (1, Z, Y, X), -1 there; None for the coarse
            labels; and nnU-Net's properties, whose `class_locations` hold the centre of the sample.
        """
        image, labels, _, properties = self._dataset.load_case(identifier)
        depth, slices = image.shape[1], self._patch[0]
        first = int(np.random.randint(max(depth - slices, 0) + 1))
        image, labels = (np.asarray(part[:, first : first + slices]) for part in (image, labels))
        if self._shrink:
            image, labels = self._shrunk(image), self._shrunk(labels, labels=True)
        starts = self._patch_starts(image.shape[1:], properties.get("class_locations") or {}, first)
        box = []
        for start, n, wanted in zip(starts, self._patch, self._size, strict=True):
            low = start + n // 2 - wanted // 2
            box.append([low, low + wanted])
        centre = np.array([[0, *(n // 2 for n in self._size)]])
        image, labels = crop_and_pad_nd(image, box, 0), crop_and_pad_nd(labels, box, -1)
        return image, labels, None, {**properties, "class_locations": {_CENTRE: centre}}

    def _patch_starts(self, shape: Sequence[int], locations: Mapping[Any, Any], first: int) -> list[int]:
        """First voxel (z, y, x) of the patch in slices of this shape, whose first is slice `first` of the case."""
        voxel = None
        if any(n > wanted for n, wanted in zip(shape, self._patch, strict=True)):
            voxel = self._foreground_voxel(locations, first, shape[0])
        starts = []
        for axis, (n, wanted) in enumerate(zip(shape, self._patch, strict=True)):
            if n <= wanted:
                starts.append(-((wanted - n) // 2))
            elif voxel is None:
                starts.append(int(np.random.randint(n - wanted + 1)))
            else:
                starts.append(int(np.clip(voxel[axis] - wanted // 2, 0, n - wanted)))
        return starts

    def _foreground_voxel(self, locations: Mapping[Any, Any], first: int, slices: int) -> np.ndarray | None:
        """A voxel (z, y, x) of one of the structures on these slices; None if none is wanted or there is none."""
        if np.random.uniform() >= self._foreground:
            return None
        held = []
        for rows in locations.values():
            rows = np.asarray(rows).reshape(-1, 4)[:, 1:] - np.array([first, 0, 0])
            held.append(rows[(rows[:, 0] >= 0) & (rows[:, 0] < slices)])
        held = [rows for rows in held if len(rows)]
        if not held:
            return None
        rows = held[np.random.randint(len(held))]
        return rows[np.random.randint(len(rows))]

    def _shrunk(self, part: np.ndarray, labels: bool = False) -> np.ndarray:
        """Shrink the slices of (C, Z, Y, X)."""
        slices = shrunk(torch.from_numpy(part).movedim(1, 0), self._patch[1:], labels)
        return slices.movedim(0, 1).numpy()
