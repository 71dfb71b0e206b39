"""Two 3×3 convolutions with batch normalisation (Ronneberger et al., U-Net, MICCAI 2015, with BatchNorm)."""

from torch import nn

__all__ = ["DoubleConv"]


class DoubleConv(nn.Sequential):
    """[conv 3×3, BatchNorm, activation] twice.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels after each convolution.
        activation: Class of the activation, called without arguments.

    Shape:
        `(B, in_channels, H, W)` to `(B, out_channels, H, W)`.
    """

    def __init__(self, in_channels: int, out_channels: int, activation: type[nn.Module] = nn.ReLU) -> None:
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), activation()]
        super().__init__(*layers)
