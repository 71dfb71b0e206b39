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

from nnunet_cardiac.architectures.blocks.drawing import drawn_logits
from nnunet_cardiac.architectures.blocks.gcam import gcam
from nnunet_cardiac.architectures.contract import SegmentationNetwork
from nnunet_cardiac.architectures.dilated_residual_unet import DilatedResidualUNet, pooling_step

__all__ = ["GCAMLocaliser"]

_SCORES = ("logit", "sigmoid")  # the network has a single logit
_SPACE = (1, 2, 3)  # axes of a map


class GCAMLocaliser(SegmentationNetwork):
    """Thresholded activation map of a small `DilatedResidualUNet`; 0.639 M parameters for 8 filters.

    In training `forward` returns the logits of background and heart, which a loss compares with the union of all
    structures; in evaluation the thresholded map, drawn as class 1, so that nnU-Net can export it and hand it on. It
    may have several pieces: which of them is the heart, and what to do if there is none, is for
    `nnunet_cardiac.cascade.roi` to say. The maximum is that of the input, so a volume should be one input.

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
        clahe: bool = False,
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

    def heat(self, x: torch.Tensor) -> torch.Tensor:
        """Activation map `(B, Z, Y, X)` of the heart on `x` `(B, input_channels, Z, Y, X)`.

        Zero everywhere only where the features are the same everywhere.
        """
        head = self.network.head
        features = self.network.features(x.to(memory_format=torch.channels_last_3d))
        heat = gcam(features, head.weight, head.bias, self.score)
        from_mean = gcam(features - features.mean((2, 3, 4), keepdim=True), head.weight, None)
        return torch.where(heat.amax(_SPACE, keepdim=True) == 0, from_mean, heat)
