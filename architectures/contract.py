"""What nnU-Net asks of a network, in one base class."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["CaseSampling", "NetworkOutput", "SegmentationNetwork"]

#: Logits, a list of resolutions, or in training what the loss of the network takes.
NetworkOutput: TypeAlias = torch.Tensor | Sequence[torch.Tensor | None]

_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


class CaseSampling(Protocol):
    """What a network that predicts whole cases is told of how it was trained; `nnunet_cardiac.cascade.whole_cases`.

    Such a network has a method `predict_case(image, sampling)`, which maps a whole preprocessed case
    `(input_channels, Z, Y, X)` of any size to logits `(num_classes, Z, Y, X)`.
    """

    @property
    def size(self) -> tuple[int, ...]:
        """Slices, rows and columns of a training sample; rows and columns of one that is a slice."""

    def mirrored(
        self, run: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], x: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Mean of the outputs of `run` over mirror images of `x`; the first output has the axes of `x`."""

    def tiled(self, run: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Weighted mean of the outputs of `run` over overlapping tiles of `size` along the last axes of `x`."""


@dataclass
class _Decoder:
    """The place where nnU-Net's trainers switch deep supervision on and off; no module, so no entry in the weights."""

    deep_supervision: bool


class SegmentationNetwork(nn.Module, ABC):
    """Base of the networks: checks the input, returns logits, alone or as a pyramid.

    A subclass defines `segment`. No network defines `initialize`, so nnU-Net leaves weights as they are drawn here
    (docs/notes/short_trainings.md). There are no extra heads for deep supervision: the lower resolutions are averages
    of the full one, so the weights do not depend on the flag and load strictly either way.

    Args:
        input_channels: Channels of the input.
        num_classes: Output channels, background included.
        deep_supervision: Whether `forward` returns a list. Can be changed later at `decoder.deep_supervision`, as
            nnU-Net's trainers do.
        levels: Resolutions of the network.
        step: Step along each axis from one level to the next, where it is not 2; the sides of an input must be
            multiples of `step ** (levels - 1)`.
        strides: Step per axis from each resolution to the next, as in a plans file; its first entry leads to the
            highest. `None` means ones and then `step` for each further level.

    Attributes:
        axes: Spatial axes of an input, 2 or 3; a subclass for volumes says 3.
        divisor: What the sides of an input must be multiples of, a number for all axes or one for each.
        decoder: Carries `deep_supervision`.

    Raises:
        ValueError: If a number of channels is below 1 or `strides` does not hold a step for each axis.

    Shape:
        `(B, input_channels, *spatial)` to contiguous logits `(B, num_classes, *spatial)`, channel 0 background, where
        `spatial` is `(H, W)` or `(Z, H, W)`; with deep supervision a list, one for each entry of `strides` but the last
        and at least one, highest resolution first.
    """

    axes: ClassVar[int] = 2
    divisor: int | tuple[int, ...] = 16

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool,
        *,
        levels: int = 5,
        step: Sequence[int] | None = None,
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
        self.divisor = 2 ** (levels - 1) if step is None else tuple(n ** (levels - 1) for n in step)
        default = [[1] * self.axes] + [list(step or [2] * self.axes)] * (levels - 1)
        self.strides = _steps(default if strides is None else strides, self.axes)
        self.decoder = _Decoder(deep_supervision)

    @abstractmethod
    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `(B, num_classes, *spatial)` of an image `(B, input_channels, *spatial)` of a checked size."""

    def forward(self, x: torch.Tensor) -> NetworkOutput:
        """Logits of `x` `(B, input_channels, *spatial)`, see the class.

        Raises:
            ValueError: If `x` has another number of axes or channels, or a side that `divisor` does not divide.
        """
        self._check(x)
        # Not `contiguous`, which calls a single channel channels-last whatever its strides are.
        logits = self.segment(x.to(memory_format=_CHANNELS_LAST[self.axes])).contiguous()
        return self._pyramid(logits) if self.decoder.deep_supervision else logits

    @property
    def _divisors(self) -> tuple[int, ...]:
        """The divisor of each axis."""
        return (self.divisor,) * self.axes if isinstance(self.divisor, int) else self.divisor

    def _check(self, x: torch.Tensor) -> None:
        name = type(self).__name__
        if x.ndim != 2 + self.axes or x.shape[1] != self.input_channels:
            raise ValueError(
                f"{name}: found an input of shape {tuple(x.shape)}, expected (batch, {self.input_channels}, "
                f"{', '.join(('slices', 'height', 'width')[-self.axes :])})."
            )
        sides, divisors = x.shape[2:], self._divisors
        if any(side % divisor for side, divisor in zip(sides, divisors, strict=True)):
            needed = (-(-side // divisor) * divisor for side, divisor in zip(sides, divisors, strict=True))
            multiples = self.divisor if isinstance(self.divisor, int) else _product(divisors)
            raise ValueError(
                f"{name}: found an image of {_product(sides)} {'pixels' if self.axes == 2 else 'voxels'}, expected "
                f"sides that are multiples of {multiples}; pad it to "
                f"{_product(needed)}, or give such a patch_size in the plans file."
            )

    def _refuse_one_value(self, x: torch.Tensor) -> None:
        """Refuse an input whose lowest level has one value per channel, on which batch normalisation cannot train.

        Args:
            x: A checked input `(B, input_channels, *spatial)`.

        Raises:
            ValueError: If it is such a one and the network is in training.
        """
        divisors = self._divisors
        if self.training and len(x) == 1 and tuple(x.shape[2:]) == divisors:
            one, unit = ("image", "pixels") if self.axes == 2 else ("volume", "voxels")
            raise ValueError(
                f"{type(self).__name__}: found a batch of one {one} of {_product(divisors)} {unit} in training, whose "
                f"lowest level has one value per channel, expected at least two for the normalisation; take a larger "
                f"batch or a larger patch."
            )

    def _pyramid(self, logits: torch.Tensor) -> list[torch.Tensor]:
        outputs = []
        for stride in self.strides[:-1] or ((1,) * self.axes,):
            logits = logits if max(stride) == 1 else self._downsample(logits, stride)
            outputs.append(logits)
        return outputs

    def _downsample(self, logits: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
        """Bring logits `(B, num_classes, *spatial)` to a lower resolution, where they have to remain what they are."""
        pool = F.avg_pool2d if self.axes == 2 else F.avg_pool3d
        return pool(logits, stride, stride)


def _steps(strides: Sequence[Sequence[int]], axes: int) -> tuple[tuple[int, ...], ...]:
    steps = tuple(tuple(int(step) for step in stride) for stride in strides)
    if not steps or any(len(stride) != axes or min(stride) < 1 for stride in steps):
        kind = "pair of positive steps (rows, columns)" if axes == 2 else "triple of positive steps (z, y, x)"
        raise ValueError(f"strides is {strides}, expected at least one {kind}.")
    return steps


def _product(numbers: Iterable[int]) -> str:
    return " x ".join(map(str, numbers))
