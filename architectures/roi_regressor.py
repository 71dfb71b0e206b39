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

from nnunet_cardiac.architectures.blocks.box_corners import draw_corners, pad_to_square, placed_corners, sort_corners
from nnunet_cardiac.architectures.blocks.conv_norm_relu import ConvNormReLU
from nnunet_cardiac.architectures.contract import CaseSampling, SegmentationNetwork
from nnunet_cardiac.architectures.ops.drawing import drawn_logits
from nnunet_cardiac.architectures.ops.fitting import pad_centred, shrunk
from nnunet_cardiac.architectures.ops.grid_pooling import average_grids
from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv

__all__ = ["ROIRegressor", "stack_corners"]

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

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, of shape `(B, num_classes, H, W)` or `(B, num_classes, Z, H, W)`, of the boxes on `x`."""
        stack = x if x.ndim == 5 else x[:, :, None]
        logits = torch.stack([self._drawn(self.corners(one[None])[0], one) for one in stack])
        return logits if x.ndim == 5 else logits[:, :, 0]

    def predict_case(self, image: torch.Tensor, sampling: CaseSampling) -> torch.Tensor:
        """Draw the boxes on a whole stack; nothing is mirrored, since the mean of several boxes is no box.

        Args:
            image: Stack `(input_channels, Z, Y, X)` of any size.
            sampling: Rows and columns of a training sample.

        Returns:
            Logits `(num_classes, Z, Y, X)`.
        """
        return self._drawn(self.corners_of_case(image, sampling.size[-2:]), image)

    def corners_of_case(self, image: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Corners of the box on each slice of a whole stack.

        Slices are seen as in training: in the middle of a sample, larger ones shrunk as a whole. Slices of a single
        value are not computed.

        Args:
            image: Stack `(input_channels, Z, Y, X)` of any size.
            size: Rows and columns of a training sample.

        Returns:
            `(Z, 4)`, see `box_corners`; 0 for slices of a single value.
        """
        used = _has_contrast(image)
        corners = image.new_zeros(image.shape[1], 4, dtype=torch.float32)
        if used.any():
            slices = shrunk(image.movedim(1, 0)[used], size)
            regressed = self.corners(pad_centred(slices, size)).to(corners.dtype)
            corners[used] = placed_corners(regressed, size, slices.shape[2:], image.shape[2:])
        return corners

    def _drawn(self, corners: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Logits `(num_classes, Z, Y, X)` of the boxes `(Z, 4)` on `image` `(input_channels, Z, Y, X)`."""
        corners, used = sort_corners(corners), _has_contrast(image)
        if not self.per_slice:
            corners = stack_corners(corners, used)[None].expand_as(corners)
        inside = draw_corners(corners, image.shape[2:]) & used[:, None, None]
        return drawn_logits(inside[None], self.num_classes)[0]

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
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def stack_corners(corners: torch.Tensor, used: torch.Tensor) -> torch.Tensor:
    """One box for a stack, `(Z, 4)` to `(4,)`: medians over the slices in use, 0 if there are none."""
    return corners.masked_fill(~used[:, None], float("nan")).nanquantile(0.5, dim=0).nan_to_num()


def _has_contrast(image: torch.Tensor) -> torch.Tensor:
    """Which slices of `(C, Z, H, W)` hold more than one value in some channel, `(Z,)`."""
    return (image.amax((2, 3)) > image.amin((2, 3))).any(0)
