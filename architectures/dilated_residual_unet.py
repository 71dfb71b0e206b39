"""3D DR-UNet, the network of both stages of Vesal et al.

Vesal, Maier, Ravikumar, Fully automated 3D cardiac MRI localisation and segmentation using deep neural networks,
Journal of Imaging 6 (2020) 65, section 3. Read from the text: residuals by concatenation, dilated units in
cascade whose outputs are all summed, and "Keep Z" as pooling in-plane alone. The widths are those whose size matches
the paper's; kernels of the transposed convolutions are ours.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.dilated_residual import ConcatResidual, DilatedSum, double_unit
from nnunet_cardiac.architectures.contract import SegmentationNetwork
from nnunet_cardiac.architectures.ops.binary_logits import fuse_binary_logits
from nnunet_cardiac.architectures.ops.checkpointing import run_block
from nnunet_cardiac.architectures.ops.clahe import equalisation
from nnunet_cardiac.architectures.ops.structure_layers import of_structures

__all__ = ["DilatedResidualUNet", "pooling_step"]

_LEVELS = 4


def pooling_step(keep_z: bool) -> tuple[int, int, int]:
    """Step (z, y, x) from one level to the next."""
    return (1, 2, 2) if keep_z else (2, 2, 2)


class DilatedResidualUNet(SegmentationNetwork):
    """3D U-Net of four levels with concatenating residual blocks and a dilated bottleneck.

    10.15 M parameters for 32 filters, one channel and four classes; 2.543 M for 16, 0.639 M for 8. With two classes the
    network has a single logit, the other is 0: softmax is the sigmoid of the paper.

    Args:
        input_channels: Channels of the volume.
        num_classes: Output channels, background included.
        deep_supervision: Whether `forward` returns a list of resolutions, see `SegmentationNetwork`.
        filters: Channels of the first level; each further level has twice as many.
        keep_z: Whether pooling leaves the slice axis alone, for stacks of slices that are much farther apart than
            pixels. Else all axes are pooled.
        rates: Dilation of each unit of the bottleneck.
        norm: `"batch"` or `"instance"`.
        preact: Whether normalisation and ReLU stand before each convolution instead of behind it.
        checkpointing: Whether activations inside the blocks are computed again in the backward pass, for less memory.
        clahe: `"slice"` equalises each slice of the input first, see `SliceEqualisation`; true does it as earlier
            versions did, with the statistics of all slices together.
        strides: Strides of a plans file, for deep supervision alone.

    Raises:
        ValueError: If an argument is outside its range.

    Shape:
        `(B, input_channels, Z, Y, X)` to logits `(B, num_classes, Z, Y, X)`; Y and X multiples of 8, and Z too unless
        `keep_z`. In training the lowest level must hold more than one value per channel.
    """

    axes = 3

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool = False,
        *,
        filters: int = 32,
        keep_z: bool = True,
        rates: Sequence[int] = (1, 2, 4, 8),
        norm: str = "batch",
        preact: bool = False,
        checkpointing: bool = False,
        clahe: bool | str = False,
        strides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        if filters < 1 or not rates or min(rates) < 1:
            raise ValueError(f"Found filters {filters} and rates {tuple(rates)}, expected positive numbers.")
        step = pooling_step(keep_z)
        super().__init__(input_channels, num_classes, deep_supervision, levels=_LEVELS, step=step, strides=strides)
        self.step = step
        self.prepare = equalisation(clahe)
        self.checkpointing = checkpointing
        widths = [filters * 2**level for level in range(_LEVELS)]
        self.encoder = nn.ModuleList()
        channels, skip_channels = input_channels, []
        for width in widths[:-1]:
            block = ConcatResidual(channels, width, norm, preact)
            self.encoder.append(block)
            skip_channels.append(block.out_channels)
            channels = block.out_channels
        self.bottleneck = DilatedSum(channels, widths[-1], rates, norm, preact)
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for skip, (low, high) in zip(skip_channels, itertools.pairwise(widths), strict=True):
            self.up.append(nn.ConvTranspose3d(high, low, step, stride=step))
            self.merge.append(double_unit(low + skip, low, norm, preact))
        self.head = of_structures(nn.Conv3d(filters, num_classes if num_classes > 2 else 1, 1))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Input `(B, filters, Z, Y, X)` of the last convolution, for `x` `(B, input_channels, Z, Y, X)`."""
        x, skips = self.prepare(x), []
        for encode in self.encoder:
            skips.append(run_block(encode, x, recompute=self.checkpointing))
            x = F.max_pool3d(skips[-1], self.step)
        x = run_block(self.bottleneck, x, recompute=self.checkpointing)
        for level in reversed(range(len(skips))):
            x = torch.cat((self.up[level](x), skips.pop()), dim=1)
            x = run_block(self.merge[level], x, recompute=self.checkpointing)
        return x

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `(B, num_classes, Z, Y, X)` of `x` `(B, input_channels, Z, Y, X)`."""
        return self.logits(self.features(x))

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Logits `(B, num_classes, Z, Y, X)` of `features` `(B, filters, Z, Y, X)`."""
        z = self.head(features)
        return z if self.num_classes > 2 else fuse_binary_logits(z)

    def _check(self, x: torch.Tensor) -> None:
        super()._check(x)
        self._refuse_one_value(x)
