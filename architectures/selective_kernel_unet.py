"""U-Net with selective kernels that may fuse all slices at its bottleneck: a stage of the classifier-guided network."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.conv_norm_relu import ConvNormReLU
from nnunet_cardiac.architectures.blocks.selective_kernel import SQUEEZES, SelectiveKernel
from nnunet_cardiac.architectures.blocks.slice_fusion import SliceFusionTransformer
from nnunet_cardiac.architectures.blocks.squeeze_excite_residual import SqueezeExciteResidual
from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv
from nnunet_cardiac.architectures.ops.stack_norm import StackNorm2d
from nnunet_cardiac.architectures.ops.structure_layers import of_structures

__all__ = ["SelectiveKernelUNet"]

_ENCODER_BLOCKS = ("sk", "se_res")

_NORMS: dict[str, type[nn.Module]] = {"stack": StackNorm2d, "batch": nn.BatchNorm2d}

#: Weight of the newest stack in running statistics, where there are any. Slices of one stack are alike, so a mean over
#: about ten stacks, which torch's 0.1 gives, is noise.
_MOMENTUM = 0.03


class SelectiveKernelUNet(nn.Module):
    """U-Net on the slices of a stack: [conv 3×3, norm, ReLU, selective kernel] at each level, max-pooling, skips.

    Args:
        in_channels: Channels of a slice.
        out_channels: Channels of the output.
        features: Channels of the levels, top to bottom.
        encoder_block: What follows the first convolution of an encoder level: `"sk"`, or `"se_res"` as in the SK-U-Net
            that the paper cites, whose encoder has residual units with channel attention.
        fusion: Arguments of the `SliceFusionTransformer` at the bottleneck; None for none.
        norm: `"stack"`, see `StackNorm2d`, or `"batch"` for batch normalisation with running statistics.
        squeeze: Normalisation inside the selective kernels, `"batch"` or `"slice"`, see `SelectiveKernel`.

    Raises:
        ValueError: If an argument is outside its range.

    Shape:
        Slices `(S, in_channels, H, W)` of one stack, H and W multiples of 2 to the number of levels less one, to logits
        `(S, out_channels, H, W)` and the map `(S, features[-1], h, w)` that the encoder hands to the bottleneck.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        features: Sequence[int],
        encoder_block: str = "sk",
        fusion: Mapping[str, Any] | None = None,
        norm: str = "stack",
        squeeze: str = "batch",
    ) -> None:
        super().__init__()
        if len(features) < 2 or min(features) < 1:
            raise ValueError(f"features is {tuple(features)}, expected two or more positive numbers.")
        if encoder_block not in _ENCODER_BLOCKS:
            raise ValueError(f"encoder_block is {encoder_block!r}, expected one of 'sk', 'se_res'.")
        if norm not in _NORMS:
            raise ValueError(f"norm is {norm!r}, expected one of 'stack', 'batch'.")
        if squeeze not in SQUEEZES:
            raise ValueError(f"squeeze is {squeeze!r}, expected one of {', '.join(map(repr, SQUEEZES))}.")
        unit = functools.partial(ConvNormReLU, norm=_NORMS[norm])
        kernel = functools.partial(SelectiveKernel, norm=_NORMS[norm], squeeze=squeeze)
        block = kernel if encoder_block == "sk" else functools.partial(SqueezeExciteResidual, norm=_NORMS[norm])
        self.encoder = nn.ModuleList(
            nn.Sequential(unit(before, width), block(width))
            for before, width in itertools.pairwise((in_channels, *features))
        )
        self.fusion = None if fusion is None else SliceFusionTransformer(features[-1], **fusion)
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        for width, below in itertools.pairwise(features):
            self.up.append(nn.ConvTranspose2d(below, width, 2, stride=2))
            self.decoder.append(nn.Sequential(unit(2 * width, width), kernel(width)))
        self.head = of_structures(PointwiseConv(features[0], out_channels))
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = _MOMENTUM

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Segment the slices of a stack."""
        maps: list[torch.Tensor] = []
        x = x.contiguous(memory_format=torch.channels_last)
        for level, encode in enumerate(self.encoder):
            maps.append(encode(F.max_pool2d(maps[-1], 2) if level else x))
        bottleneck = maps.pop()
        x = bottleneck if self.fusion is None else self.fusion(bottleneck)
        for level in reversed(range(len(maps))):
            x = self.decoder[level](torch.cat((self.up[level](x), maps[level]), dim=1))
        return self.head(x), bottleneck
