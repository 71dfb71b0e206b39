"""The first stage of HALSR-Net: a network that regresses the box of the left ventricle.

Fakhfakh et al., HALSR-Net, Computerized Medical Imaging and Graphics 123, 2025, section 2.1. Encoder, fully connected
layers at each position, an A×A convolution over the whole map, four sigmoids. The widths of the 1×1 layers between 512
and 64 and between 128 and 4 are ours.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.box_corners import draw_corners, pad_to_square
from nnunet_cardiac.architectures.blocks.conv_bn_relu import double_conv_bn_relu

__all__ = ["ROIRegressor"]

_WIDTHS = (32, 64, 128, 256)
_LOGIT = 20.0  # of a drawn box: a probability of 2e-9, far from the limit of float16


class ROIRegressor(nn.Module):
    """Regress a box and draw it, so that nnU-Net can validate, export and hand it on; 3.85 M parameters.

    In training `forward` returns the corners, for the loss. In evaluation it returns the box as logits of class 1; a
    stack gets one box, the median over its slices.

    Args:
        input_channels: Channels of the image.
        num_classes: Output channels of the drawn box, background included.
        deep_supervision: Has no meaning here and must be False.
        grid: A, positions along each side of the lowest map; the image is brought to 16 A pixels (16: 3.85 M
            parameters, 8: 2.27 M).
        dropout: Probability of dropping a channel after each fully connected layer.
        per_slice: One box for each slice of a stack instead of one for all.

    Raises:
        ValueError: If an argument is outside its range.

    Shape:
        Training: `(B, C, H, W)` to corners `(B, 4)`, see `box_corners`. Evaluation: `(B, C, H, W)` or a stack
        `(B, C, Z, H, W)` to logits of the same size with `num_classes` channels. Any H and W.
    """

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool = False,
        *,
        grid: int = 16,
        dropout: float = 0.3,
        per_slice: bool = False,
        strides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        if deep_supervision:
            raise ValueError("ROIRegressor regresses one box and has no lower resolutions: deep_supervision is False.")
        if input_channels < 1 or num_classes < 2 or grid < 1:
            raise ValueError(
                f"Found input_channels {input_channels}, num_classes {num_classes} and grid {grid}, expected at least "
                "1, 2 and 1."
            )
        self.input_channels = input_channels
        self.num_classes = num_classes
        self.per_slice = per_slice
        self.side = grid * 2 ** len(_WIDTHS)
        self.encoder = nn.Sequential()
        for before, after in zip((input_channels, *_WIDTHS), _WIDTHS, strict=False):
            self.encoder.append(double_conv_bn_relu(before, after, separable=False)).append(nn.MaxPool2d(2))
        self.positions = _pointwise((_WIDTHS[-1], 512, 512), dropout)
        self.reduce = _pointwise((512, 256, 128, 64))
        self.whole = nn.Conv2d(64, 128, grid)
        self.corner_head = nn.Sequential(nn.ReLU(), _pointwise((128, 64, 32)), nn.Conv2d(32, 4, 1), nn.Sigmoid())

    def corners(self, x: torch.Tensor) -> torch.Tensor:
        """Corners `(B, 4)` of slices `(B, C, H, W)`, fractions of the slice padded to a square."""
        x = pad_to_square(x)
        if x.shape[-1] != self.side:
            mode = {"mode": "area"} if x.shape[-1] > self.side else {"mode": "bilinear"}
            x = F.interpolate(x, (self.side, self.side), **mode)
        x = self.encoder(x.contiguous(memory_format=torch.channels_last))
        return self.corner_head(self.whole(self.reduce(self.positions(x)))).flatten(1).float()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Corners in training, the drawn box in evaluation, see the class."""
        if x.ndim not in (4, 5) or x.shape[1] != self.input_channels:
            raise ValueError(
                f"ROIRegressor: found an input of shape {tuple(x.shape)}, expected (batch, {self.input_channels}, "
                "[slices,] height, width)."
            )
        if self.training:
            return self.corners(x)
        if x.ndim == 4:
            return self._logits(draw_corners(self.corners(x), x.shape[-2:]))
        return torch.stack([self._segment_stack(stack) for stack in x])

    def _segment_stack(self, stack: torch.Tensor) -> torch.Tensor:
        """Logits (K+1, Z, H, W) of a stack (C, Z, H, W)."""
        slices = stack.movedim(1, 0)
        boxes = torch.zeros(len(slices), *slices.shape[2:], dtype=torch.bool, device=stack.device)
        # nnU-Net pads a short stack with slices of exact zeros: they have no box and no vote.
        real = slices.abs().sum((1, 2, 3)).nonzero()[:, 0]
        if len(real):
            corners = self.corners(slices[real])
            if not self.per_slice:
                corners = corners.quantile(0.5, dim=0, keepdim=True).expand_as(corners)
            boxes[real] = draw_corners(corners, slices.shape[2:])
        return self._logits(boxes).movedim(0, 1)

    def _logits(self, boxes: torch.Tensor) -> torch.Tensor:
        """Logits (B, K+1, H, W) of boxes (B, H, W): class 1 inside, background outside."""
        logits = torch.full((len(boxes), self.num_classes, *boxes.shape[1:]), -_LOGIT, device=boxes.device)
        logits[:, 0], logits[:, 1] = 0.0, torch.where(boxes, _LOGIT, -_LOGIT)
        return logits


def _pointwise(widths: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """1×1 convolutions with ReLU, the same fully connected layer at every position."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 1), nn.ReLU(), *([nn.Dropout2d(dropout)] if dropout else [])]
    return nn.Sequential(*layers)
