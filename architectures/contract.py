"""What nnU-Net asks of a network, in one base class."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["SegmentationNetwork"]


@dataclass
class _Decoder:
    """The place where nnU-Net's trainers switch deep supervision on and off; no module, so no entry in the weights."""

    deep_supervision: bool


class SegmentationNetwork(nn.Module, ABC):
    """Base of the 2D networks: checks the input, returns logits, alone or as a pyramid.

    A subclass defines `segment`. There are no extra heads for deep supervision: the lower resolutions are averages of
    the full one, so the weights do not depend on the flag and load strictly either way.

    Args:
        input_channels: Channels of the input.
        num_classes: Output channels, background included.
        deep_supervision: Whether `forward` returns a list. Can be changed later at `decoder.deep_supervision`, as
            nnU-Net's trainers do.
        levels: Resolutions of the network; the sides of an image must be multiples of `2 ** (levels - 1)`.
        strides: Step per axis from each resolution to the next, as in a plans file; its first entry leads to the
            highest. `None` stands for `[1, 1]` and then `[2, 2]` for each further level.

    Attributes:
        divisor: What both sides of an input must be multiples of.
        decoder: Carries `deep_supervision`.

    Raises:
        ValueError: If a number of channels is below 1 or `strides` does not hold pairs.

    Shape:
        `(B, input_channels, H, W)` to contiguous logits `(B, num_classes, H, W)`, channel 0 background; with deep
        supervision a list, one for each entry of `strides` but the last and at least one, highest resolution first.
    """

    divisor: int = 16

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool,
        *,
        levels: int = 5,
        strides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        if input_channels < 1 or num_classes < 2:
            raise ValueError(
                f"Found input_channels {input_channels} and num_classes {num_classes}, expected at least 1 and 2 "
                f"(classes include the background)."
            )
        self.input_channels = input_channels
        self.num_classes = num_classes
        self.divisor = 2 ** (levels - 1)
        self.strides = _pairs(strides if strides is not None else [[1, 1]] + [[2, 2]] * (levels - 1))
        self.decoder = _Decoder(deep_supervision)

    @abstractmethod
    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `(B, num_classes, H, W)` of an image `(B, input_channels, H, W)` of a checked size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits of `x` `(B, input_channels, H, W)`, see the class.

        Raises:
            ValueError: If `x` has another number of axes or channels, or a side that `divisor` does not divide.
        """
        self._check(x)
        # Not `contiguous`, which calls a single channel channels-last whatever its strides are.
        logits = self.segment(x.to(memory_format=torch.channels_last)).contiguous()
        return self._pyramid(logits) if self.decoder.deep_supervision else logits

    def _check(self, x: torch.Tensor) -> None:
        name = type(self).__name__
        if x.ndim != 4 or x.shape[1] != self.input_channels:
            raise ValueError(
                f"{name}: found an input of shape {tuple(x.shape)}, expected (batch, {self.input_channels}, height, "
                f"width)."
            )
        height, width = x.shape[2:]
        if height % self.divisor or width % self.divisor:
            needed = " x ".join(str(-(-side // self.divisor) * self.divisor) for side in (height, width))
            raise ValueError(
                f"{name}: found an image of {height} x {width} pixels, expected sides that are multiples of "
                f"{self.divisor}; pad it to {needed}, or give such a patch_size in the plans file."
            )

    def _pyramid(self, logits: torch.Tensor) -> list[torch.Tensor]:
        outputs = []
        for stride in self.strides[:-1] or ((1, 1),):
            logits = logits if stride == (1, 1) else self._downsample(logits, stride)
            outputs.append(logits)
        return outputs

    def _downsample(self, logits: torch.Tensor, stride: tuple[int, int]) -> torch.Tensor:
        """Bring logits `(B, num_classes, H, W)` to a lower resolution, where they have to remain what they are."""
        return F.avg_pool2d(logits, stride, stride)


def _pairs(strides: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    pairs = tuple(tuple(int(step) for step in stride) for stride in strides)
    if not pairs or any(len(pair) != 2 or min(pair) < 1 for pair in pairs):
        raise ValueError(f"strides is {strides}, expected at least one pair of positive steps (rows, columns).")
    return pairs
