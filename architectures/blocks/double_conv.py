"""Two 3×3 convolutions with batch normalisation (Ronneberger et al., U-Net, MICCAI 2015, with BatchNorm)."""

from collections.abc import Callable
from functools import partial

from torch import nn

__all__ = ["Activation", "DoubleConv", "InplaceReLU"]

Activation = Callable[[], nn.Module]

#: BatchNorm keeps its input for the backward pass, not its output: one map less for each convolution.
InplaceReLU: Activation = partial(nn.ReLU, inplace=True)


class DoubleConv(nn.Sequential):
    """[conv 3×3, BatchNorm, activation] twice.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels after each convolution.
        activation: Makes the module after each normalisation; may work in place.

    Shape:
        `(B, in_channels, H, W)` to `(B, out_channels, H, W)`.
    """

    def __init__(self, in_channels: int, out_channels: int, activation: Activation = InplaceReLU) -> None:
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), activation()]
        super().__init__(*layers)
