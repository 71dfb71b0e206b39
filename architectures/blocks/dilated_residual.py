"""Blocks of the 3D DR-UNet: units of convolution, residuals by concatenation, a cascade of dilated convolutions.

Vesal, Maier, Ravikumar, Fully automated 3D cardiac MRI localisation and segmentation using deep neural networks,
Journal of Imaging 6 (2020) 65, section 3.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from nnunet_cardiac.architectures.ops.volume_conv import VolumeConv

__all__ = ["ConcatResidual", "ConvUnit", "DilatedSum", "double_unit"]

_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm3d,
    "instance": lambda channels: nn.InstanceNorm3d(channels, affine=True),
}


class ConvUnit(nn.Sequential):
    """3×3×3 convolution without bias, normalisation, ReLU.

    The text says that a convolution is "proceeded by" normalisation and ReLU, which is read as followed by.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        dilation: Distance of the taps of the kernel, in voxels.
        norm: `"batch"`, or `"instance"` for batches too small for statistics.
        preact: The other reading: normalisation and ReLU stand before the convolution.

    Raises:
        ValueError: If `norm` is unknown.

    Shape:
        `(B, in_channels, Z, Y, X)` to `(B, out_channels, Z, Y, X)`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, dilation: int = 1, norm: str = "batch", preact: bool = False
    ) -> None:
        if norm not in _NORMS:
            raise ValueError(f"norm is {norm!r}, expected one of {', '.join(map(repr, _NORMS))}.")
        conv = VolumeConv(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False)
        rest = [_NORMS[norm](in_channels if preact else out_channels), nn.ReLU(inplace=True)]
        super().__init__(*([*rest, conv] if preact else [conv, *rest]))


def double_unit(in_channels: int, out_channels: int, norm: str = "batch", preact: bool = False) -> nn.Sequential:
    """Two units, `(B, in_channels, Z, Y, X)` to `(B, out_channels, Z, Y, X)`."""
    return nn.Sequential(
        ConvUnit(in_channels, out_channels, norm=norm, preact=preact),
        ConvUnit(out_channels, out_channels, norm=norm, preact=preact),
    )


class ConcatResidual(nn.Module):
    """Two units whose input is concatenated to their output instead of added.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the units.
        norm, preact: See `ConvUnit`.

    Attributes:
        out_channels: `in_channels + channels`.

    Shape:
        `(B, in_channels, Z, Y, X)` to `(B, out_channels, Z, Y, X)`, the input first.
    """

    def __init__(self, in_channels: int, channels: int, norm: str = "batch", preact: bool = False) -> None:
        super().__init__()
        self.out_channels = in_channels + channels
        self.units = double_unit(in_channels, channels, norm, preact)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Append the output of both units to the channels of `x`."""
        return torch.cat((x, self.units(x)), dim=1)


class DilatedSum(nn.Module):
    """Dilated units one behind the other, the sum of all their outputs.

    Args:
        in_channels: Channels of the input.
        channels: Channels of each unit.
        rates: Dilation of each unit.
        norm, preact: See `ConvUnit`.

    Shape:
        `(B, in_channels, Z, Y, X)` to `(B, channels, Z, Y, X)`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        rates: Sequence[int] = (1, 2, 4, 8),
        norm: str = "batch",
        preact: bool = False,
    ) -> None:
        super().__init__()
        widths = [in_channels] + [channels] * (len(rates) - 1)
        self.units = nn.ModuleList(
            ConvUnit(width, channels, rate, norm, preact) for width, rate in zip(widths, rates, strict=True)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sum the outputs of the units, each fed with the one before."""
        x = total = self.units[0](x)
        for unit in self.units[1:]:
            x = unit(x)
            total = total + x
        return total
