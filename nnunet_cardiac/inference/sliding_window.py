"""Networks on an image larger than their patch: nnU-Net's sliding window, with batches of slices.

Tiles, weights, the float16 sums and the order of the operations are those of `nnUNetPredictor`, so that in float32 and
with a batch of one the logits are equal bit for bit. What is left out: a queue, a thread and a reload of the weights
for each case. Networks that predict whole cases get them, as in nnU-Net's own commands
(`nnunet_cardiac.cascade.whole_cases`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from torch import nn

from nnunet_cardiac.cascade.whole_cases import WholeCase, predict_case, predicts_cases
from nnunet_cardiac.inference.precision import prediction_autocast

#: nnU-Net's defaults: overlap of tiles and scale of the weights in float16.
_STEP, _SIGMA, _SCALE = 0.5, 1.0 / 8, 10

Tile = tuple[slice | int, ...]


@dataclass(frozen=True)
class SlidingWindow:
    """How a network is moved over an image.

    Attributes:
        patch_size: Size of a tile; two entries make every slice a sample of its own.
        classes: Channels of the logits.
        device: Where the networks are.
        mirror_axes: Spatial axes of a tile to mirror, or None.
        batch: Tiles in a batch.
        precision: See :mod:`nnunet_cardiac.inference.precision`.
        case: How networks were trained, for those that predict whole cases.
    """

    patch_size: tuple[int, ...]
    classes: int
    device: torch.device
    mirror_axes: tuple[int, ...] | None = None
    batch: int = 1
    precision: str = "fp32"
    case: WholeCase | None = None

    @torch.inference_mode()
    def logits(self, networks: Sequence[nn.Module], image: torch.Tensor) -> torch.Tensor:
        """Return the mean logits of the networks.

        Args:
            networks: One for each fold, in evaluation mode.
            image: Preprocessed image (C, Z, Y, X), float32.

        Returns:
            Logits (classes, Z, Y, X) in float16 on the CPU.

        Raises:
            RuntimeError: If a logit is too large for float16, as nnU-Net does.
        """
        total: torch.Tensor | None = None
        with prediction_autocast(self.device, self.precision):
            for network in networks:
                one = self._logits_of(network, image).to("cpu")
                total = one if total is None else total.add_(one)
        if total is None:
            raise ValueError("no network to predict with.")
        return total if len(networks) == 1 else total.div_(len(networks))

    def _logits_of(self, network: nn.Module, image: torch.Tensor) -> torch.Tensor:
        if self.case is not None and predicts_cases(network):
            return predict_case(network, image, self.case, self.device)
        padded, inside = pad_nd_image(image, self.patch_size, "constant", {"value": 0}, True, None)
        return self._one_network(network, padded)[(slice(None), *inside[1:])]

    def _one_network(self, network: nn.Module, image: torch.Tensor) -> torch.Tensor:
        # On CUDA the sums stay on the device, as in nnU-Net; elsewhere they are on the CPU anyway.
        where = self.device if self.device.type == "cuda" else torch.device("cpu")
        image = image.to(where)
        logits = torch.zeros((self.classes, *image.shape[1:]), dtype=torch.half, device=where)
        weights = torch.zeros(image.shape[1:], dtype=torch.half, device=where)
        gaussian = compute_gaussian(self.patch_size, _SIGMA, _SCALE, device=where)
        tiles = self.tiles(tuple(image.shape[1:]))
        for start in range(0, len(tiles), self.batch):
            group = tiles[start : start + self.batch]
            samples = torch.stack([image[tile] for tile in group]).to(self.device)
            for tile, sample in zip(group, self._predict(network, samples), strict=True):
                logits[tile] += sample.to(where).mul_(gaussian)
                weights[tile[1:]] += gaussian
        logits = torch.div(logits, weights, out=logits)
        if torch.isinf(logits).any():
            raise RuntimeError("A logit is too large for float16; the network's output is not usable.")
        return logits

    def tiles(self, size: tuple[int, ...]) -> list[Tile]:
        """Return the index of each tile in an image (C, *size), in nnU-Net's order."""
        flat = len(self.patch_size) < len(size)
        steps = compute_steps_for_sliding_window(size[1:] if flat else size, self.patch_size, _STEP)
        starts = itertools.product(range(size[0]) if flat else [None], *steps)
        return [
            (
                slice(None),
                *([] if first is None else [first]),
                *(slice(at, at + n) for at, n in zip(corner, self.patch_size, strict=True)),
            )
            for first, *corner in starts
        ]

    def _predict(self, network: nn.Module, samples: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes, *patch) in float32, the mean over mirror images."""
        prediction = network(samples).float()
        if not self.mirror_axes:
            return prediction
        axes = [axis + 2 for axis in self.mirror_axes]
        flips = [flip for n in range(len(axes)) for flip in itertools.combinations(axes, n + 1)]
        for flip in flips:
            prediction += torch.flip(network(torch.flip(samples, flip)), flip)
        return prediction.div_(len(flips) + 1)
