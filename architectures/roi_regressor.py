"""Regression of the box around the heart, the first stage of HALSR-Net.

Fakhfakh, Sarry, Clarysse, HALSR-Net, Computerized Medical Imaging and Graphics 123 (2025) 102546, section 3.1. The
paper gives the widths of the encoder and the number of 1×1 convolutions; the widths of those, and one box for a stack,
are ours.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.box_corners import (
    draw_corners,
    pad_to_square,
    pixels_of_corners,
    sort_corners,
)
from nnunet_cardiac.architectures.blocks.conv_norm_relu import ConvNormReLU
from nnunet_cardiac.architectures.blocks.drawing import drawn_logits
from nnunet_cardiac.architectures.blocks.grid_pooling import average_grids
from nnunet_cardiac.architectures.blocks.pointwise_conv import PointwiseConv
from nnunet_cardiac.architectures.contract import SegmentationNetwork

__all__ = ["ROIRegressor"]

_STEP = 16  # pixels per position of the encoder's last map
_TOLERANCE = 1.5  # largest factor between the side of an image and the size the grid is made for


class ROIRegressor(SegmentationNetwork):
    """Corners of the box around the heart; 3.85 M parameters for one channel and a 16×16 grid.

    Images are padded to a square in their middle. A square whose side is within a factor of 1.5 of `16 * grid` is
    resized to the nearest multiple of 16 (most need none), others to `16 * grid`; the last map is averaged to the
    grid. So every size works, but size and pixel spacing should stay near those of training.

    In training `forward` returns the corners, which a loss can use; in evaluation it draws the box as a segmentation,
    class 1 inside, so that nnU-Net can validate and export it. `corners` gives the numbers in either mode.

    Args:
        input_channels: Channels of the image.
        num_classes: Output channels of the drawn segmentation, background included; classes above 1 stay empty.
        deep_supervision: Whether `forward` returns the drawing in a list of one; a box has no lower resolutions.
        features: Channels of the encoder's levels.
        hidden: Channels of the 1×1 convolutions between encoder and decoder.
        grid: Rows and columns A of the map that the A×A convolution turns into one vector.
        dropout: Probability of dropping a number behind each convolution between encoder and decoder.
        per_slice: Whether each slice of a stack gets its own box, instead of the median of all.
        strides: Taken because plans files have it; has no effect.

    Raises:
        ValueError: If an argument is outside its range.

    Shape:
        Slices `(B, input_channels, H, W)` or stacks `(B, input_channels, Z, H, W)` of any size to, in training, corners
        `(B, 4)` or `(B, Z, 4)` (see `box_corners`), and in evaluation logits `(B, num_classes, H, W)` or
        `(B, num_classes, Z, H, W)`. Slices that hold a single value, as those that nnU-Net adds to short stacks, have
        no part in the median and are drawn as background.
    """

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool = False,
        *,
        features: Sequence[int] = (32, 64, 128, 256),
        hidden: int = 512,
        grid: int = 16,
        dropout: float = 0.3,
        per_slice: bool = False,
        strides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        if len(features) != 4 or min(features) < 1 or hidden < 8 or hidden % 8:
            raise ValueError(
                f"Found features {tuple(features)} and hidden {hidden}, expected four positive numbers and a multiple "
                f"of 8."
            )
        if grid < 2 or not 0 <= dropout < 1:
            raise ValueError(f"Found grid {grid} and dropout {dropout}, expected at least 2 and a number in [0, 1).")
        super().__init__(input_channels, num_classes, deep_supervision, levels=1)
        self.grid = grid
        self.per_slice = per_slice
        pairs = itertools.pairwise((input_channels, *features))
        self.encoder = nn.ModuleList(nn.Sequential(ConvNormReLU(a, b), ConvNormReLU(b, b)) for a, b in pairs)
        self.hidden = nn.Sequential(
            PointwiseConv(features[-1], hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            PointwiseConv(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.reduce = _pointwise_stack(hidden, hidden // 2, hidden // 4, hidden // 8)
        self.gather = nn.Sequential(nn.Conv2d(hidden // 8, hidden // 4, grid), nn.ReLU(inplace=True))
        self.regress = nn.Sequential(
            _pointwise_stack(hidden // 4, hidden // 8, hidden // 16), PointwiseConv(hidden // 16, 4)
        )
        for part in (self.hidden, self.reduce, self.gather, self.regress):
            part.apply(_keep_variance)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Corners in training, the drawn box in evaluation, see the class.

        Raises:
            ValueError: If `x` has another number of axes or channels.
        """
        if self.training:
            return self.corners(x)
        self._check(x)
        logits = self.segment(x)
        return [logits] if self.decoder.deep_supervision else logits

    def corners(self, x: torch.Tensor) -> torch.Tensor:
        """Corners of the box on each slice, in at least float32 and as regressed: a pair may be in reverse order.

        Args:
            x: Slices `(B, C, H, W)` or stacks `(B, C, Z, H, W)`.

        Returns:
            `(B, 4)` or `(B, Z, 4)`, see `box_corners`.
        """
        self._check(x)
        if x.ndim == 5:
            return self.corners(x.movedim(2, 1).flatten(0, 1)).unflatten(0, (len(x), -1))
        x = self._resized(pad_to_square(x)).to(memory_format=torch.channels_last)
        for encode in self.encoder:
            x = F.max_pool2d(encode(x), 2)
        x = self.reduce(self.hidden(x))
        if x.shape[2] != self.grid:
            (x,) = average_grids(x, [self.grid])
        z = self.regress(self.gather(x)).flatten(1)
        return z.to(torch.promote_types(z.dtype, torch.float32)).sigmoid()

    def corners_of_case(self, image: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Corners of the box on each slice of a whole stack, each in the middle of a sample as in training.

        Args:
            image: Stack `(input_channels, Z, Y, X)` of any size.
            size: Rows and columns of a training sample.

        Returns:
            `(Z, 4)`, see `box_corners`, in the frame of the image.
        """
        height, width = image.shape[2:]
        below, right = (max(wanted - n, 0) for wanted, n in zip(size, (height, width), strict=True))
        top, left = below // 2, right // 2
        sample = F.pad(image, (left, right - left, top, below - top))
        edges = pixels_of_corners(self.corners(sample[None])[0], sample.shape[2:])
        offset, side = edges.new_tensor([left, top] * 2), max(height, width)
        return (edges - offset + edges.new_tensor([(side - width) // 2, (side - height) // 2] * 2)) / side

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, of shape `(B, num_classes, H, W)` or `(B, num_classes, Z, H, W)`, of the boxes on `x`."""
        stack = x if x.ndim == 5 else x[:, :, None]
        corners, used = sort_corners(self.corners(stack)), _has_contrast(stack)  # (B, Z, 4), (B, Z)
        if not self.per_slice:
            corners = _median(corners, used)[:, None].expand_as(corners)
        inside = draw_corners(corners.flatten(0, 1), x.shape[-2:]).unflatten(0, used.shape)
        logits = drawn_logits(inside & used[..., None, None], self.num_classes)
        return logits if x.ndim == 5 else logits[:, :, 0]

    def _resized(self, square: torch.Tensor) -> torch.Tensor:
        side, made_for = square.shape[-1], _STEP * self.grid
        near = made_for / _TOLERANCE <= side <= made_for * _TOLERANCE
        wanted = max(1, round(side / _STEP)) * _STEP if near else made_for
        if wanted == side:
            return square
        return F.interpolate(square, (wanted, wanted), mode="bilinear", align_corners=False, antialias=True)

    def _check(self, x: torch.Tensor) -> None:
        if x.ndim not in (4, 5) or x.shape[1] != self.input_channels:
            raise ValueError(
                f"{type(self).__name__}: found an input of shape {tuple(x.shape)}, expected (batch, "
                f"{self.input_channels}, height, width) or (batch, {self.input_channels}, slices, height, width)."
            )


def _pointwise_stack(*channels: int) -> nn.Sequential:
    """1×1 convolutions from each number of channels to the next, a ReLU behind each."""
    layers = [(PointwiseConv(a, b), nn.ReLU(inplace=True)) for a, b in itertools.pairwise(channels)]
    return nn.Sequential(*itertools.chain(*layers))


def _keep_variance(layer: nn.Module) -> None:
    """He's initialisation: without normalisation, torch's own lets the signal fade to a thousandth over nine layers."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


def _has_contrast(stack: torch.Tensor) -> torch.Tensor:
    """Which slices of `(B, C, Z, H, W)` hold more than one value in some channel, `(B, Z)`."""
    return (stack.amax((3, 4)) > stack.amin((3, 4))).any(1)


def _median(corners: torch.Tensor, used: torch.Tensor) -> torch.Tensor:
    """Median over the used slices of each corner, `(B, Z, 4)` to `(B, 4)`; 0 if there are none."""
    return corners.masked_fill(~used[..., None], float("nan")).nanquantile(0.5, dim=1).nan_to_num()
