"""Localisation of the heart by an activation map, the first stage of the multi-stage 3D DR-UNet.

Vesal, Maier, Ravikumar, Journal of Imaging 6 (2020) 65, section 3. A small network segments the heart, all structures
in one, on a low-resolution grid; where its gradient-weighted activation map exceeds half of its maximum is the middle
of the heart. The paper prints neither the threshold nor the score of the map; half and the sum of logits are ours.

A network of a few filters may learn to speak against the background only. All weights of its last convolution are
negative then, the heart is where nothing is active, and the map is zero. In such a volume features count from their
mean over it: what speaks less against the heart than the average does, speaks for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch

from nnunet_cardiac.architectures.blocks.gcam import gcam
from nnunet_cardiac.architectures.contract import CaseSampling, SegmentationNetwork
from nnunet_cardiac.architectures.dilated_residual_unet import DilatedResidualUNet, pooling_step
from nnunet_cardiac.architectures.ops.drawing import drawn_logits
from nnunet_cardiac.architectures.ops.fitting import centred_padding, pad_centred

__all__ = ["GCAMLocaliser"]

_SCORES = ("logit", "sigmoid")  # the network has a single logit
_SPACE = (1, 2, 3)  # axes of a map
_VOXELS = (2, 3, 4)  # axes of features


class GCAMLocaliser(SegmentationNetwork):
    """Thresholded activation map of a small `DilatedResidualUNet`; 0.639 M parameters for 8 filters.

    In training `forward` returns the logits of background and heart, which a loss compares with the union of all
    structures; in evaluation the thresholded map, drawn as class 1, so that nnU-Net can export it and hand it on. It
    may have several pieces: which of them is the heart, and what to do if there is none, is for
    `nnunet_cardiac.cascade.roi` to say. The maximum is that of the volume, without what it is padded with.

    Args:
        input_channels: Channels of the volume.
        num_classes: Channels of the drawn segmentation, background included; classes above 1 stay empty.
        deep_supervision: Whether `forward` returns its result in a list of one; a map has no lower resolutions.
        threshold: Share of the maximum that a voxel of the drawn map exceeds.
        score: What the map is the gradient of: `"logit"` or `"sigmoid"`, see `gcam`.
        filters, keep_z, norm, preact, checkpointing, clahe: See `DilatedResidualUNet`.
        strides: Taken because plans files have it; has no effect.

    Raises:
        ValueError: If an argument is outside its range.

    Shape:
        `(B, input_channels, Z, Y, X)` to logits `(B, 2, Z, Y, X)` in training and `(B, num_classes, Z, Y, X)` in
        evaluation; divisors as for `DilatedResidualUNet`.
    """

    axes = 3

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool = False,
        *,
        threshold: float = 0.5,
        score: str = "logit",
        filters: int = 8,
        keep_z: bool = True,
        norm: str = "batch",
        preact: bool = False,
        checkpointing: bool = False,
        clahe: bool | str = False,
        strides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        if not 0 <= threshold < 1 or score not in _SCORES:
            raise ValueError(
                f"Found threshold {threshold} and score {score!r}, expected a number in [0, 1) and one of "
                f"{', '.join(map(repr, _SCORES))}."
            )
        super().__init__(input_channels, num_classes, deep_supervision, levels=1, step=pooling_step(keep_z))
        self.threshold = threshold
        self.score = score
        self.draws = True
        self.network = DilatedResidualUNet(
            input_channels,
            2,
            filters=filters,
            keep_z=keep_z,
            norm=norm,
            preact=preact,
            checkpointing=checkpointing,
            clahe=clahe,
        )
        self.divisor = self.network.divisor

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits of background and heart in training, the drawn map in evaluation, see the class.

        Raises:
            ValueError: If `x` has another number of axes or channels, or a side that `divisor` does not divide.
        """
        self._check(x)
        output = self.network(x) if self.training or not self.draws else self.segment(x)
        return [output] if self.decoder.deep_supervision else output

    @contextlib.contextmanager
    def segmenting(self) -> Iterator[None]:
        """Return the two logits in evaluation, too: what validation during training judges the network by."""
        self.draws = False
        try:
            yield
        finally:
            self.draws = True

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `(B, num_classes, Z, Y, X)` of class 1 where the map exceeds its threshold."""
        heat = self.heat(x)
        peak = heat.amax(_SPACE, keepdim=True)
        return drawn_logits((heat > self.threshold * peak) & (peak > 0), self.num_classes)

    def predict_case(self, image: torch.Tensor, sampling: CaseSampling) -> torch.Tensor:
        """Draw the map of a whole volume, in the middle of a training sample; a map is not mirrored.

        Args:
            image: Volume `(input_channels, Z, Y, X)` of any size.
            sampling: Size of a training sample; a larger volume is padded to what the network takes.

        Returns:
            Logits `(num_classes, Z, Y, X)`.
        """
        held = zip(image.shape[1:], sampling.size, self._divisors, strict=True)
        sides = [-(-max(n, size) // divisor) * divisor for n, size, divisor in held]
        starts = [before for before, _ in centred_padding(image.shape[1:], sides)]
        drawn = self.segment(pad_centred(image, sides)[None])[0]
        inside = tuple(slice(first, first + n) for first, n in zip(starts, image.shape[1:], strict=True))
        return drawn[(slice(None), *inside)]

    def heat(self, x: torch.Tensor) -> torch.Tensor:
        """Activation map `(B, Z, Y, X)` of the heart on `x` `(B, input_channels, Z, Y, X)`.

        Zero where the volume ends (nnU-Net pads with zeros), and everywhere only where the features are the same.
        """
        head = self.network.head
        features = self.network.features(x.to(memory_format=torch.channels_last_3d))
        content = _content(x)
        heat = gcam(features, head.weight, head.bias, self.score) * content
        mean = (features * content[:, None]).sum(_VOXELS, keepdim=True) / content[:, None].sum(_VOXELS, keepdim=True)
        from_mean = gcam(features - mean, head.weight, None) * content
        return torch.where(heat.amax(_SPACE, keepdim=True) == 0, from_mean, heat)


def _content(x: torch.Tensor) -> torch.Tensor:
    """1 in the smallest box that holds all of a volume that is not zero, else 0; 1 everywhere if all is zero.

    `(B, C, Z, Y, X)` to `(B, Z, Y, X)`.
    """
    held = (x != 0).any(1)
    held |= ~held.flatten(1).any(1).view(-1, 1, 1, 1)
    box = torch.ones_like(held)
    for axis in _SPACE:
        line = held.any(tuple(other for other in _SPACE if other != axis), keepdim=True)
        box &= (line.cumsum(axis) > 0) & (line.flip(axis).cumsum(axis).flip(axis) > 0)
    return box.to(x.dtype)
