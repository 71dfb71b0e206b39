"""E-2A UNet, the first stage of CroCNet.

Khan et al., Crop and couple: cardiac image segmentation using interlinked specialist networks, ISBI 2024. The authors
published no code for this network. Read from the paper: U-shape of five widths, [conv, BatchNorm, ReLU] twice and an
E-2A block at every level of encoder and decoder. Read from their second stage: the inner structure of the E-2A block,
strided convolutions between levels, an E-2A block at the fifth level too. The patch embedding has stride 1, because
four steps down and four up must end at full resolution.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from nnunet_cardiac.architectures.blocks.double_conv import DoubleConv
from nnunet_cardiac.architectures.blocks.resampling import DownConv, UpMerge
from nnunet_cardiac.architectures.blocks.token_mixing import TokenMixing
from nnunet_cardiac.architectures.contract import SegmentationNetwork
from nnunet_cardiac.architectures.ops.structure_layers import of_structures

__all__ = ["E2AUNet"]

_BOTTLENECKS = ("conv_mix", "conv", "empty")


class E2AUNet(SegmentationNetwork):
    """U-Net with efficient additive attention at every level; 17.06 M parameters for one channel and four classes.

    Args:
        input_channels: Channels of the image.
        num_classes: Output channels, background included.
        deep_supervision: Whether `forward` returns a list of resolutions, see `SegmentationNetwork`.
        features: Channels of each level, top to bottom.
        bottleneck: Contents of the lowest level: `"conv_mix"` convolutions and E-2A block (17.06 M), `"conv"`
            convolutions (13.38 M), `"empty"` nothing (8.65 M).
        token_norm: `"l2_ref"` or `"l2"`, see `TokenNorm`.
        reference_size: Image size in pixels at which the two agree; take the training patch.
        local_rep: Whether the E-2A blocks start with the local representation.
        layer_scale_init: First value of the factors on attention and perceptron; larger for SGD.
        strides: Strides of a plans file, for deep supervision alone.

    Raises:
        ValueError: If an argument is outside its range.

    Shape:
        `(B, input_channels, H, W)` to logits `(B, num_classes, H, W)`; H and W multiples of `divisor` (16).
    """

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool = False,
        *,
        features: Sequence[int] = (32, 64, 128, 256, 512),
        bottleneck: str = "conv_mix",
        token_norm: str = "l2_ref",
        reference_size: Sequence[int] = (224, 224),
        local_rep: bool = True,
        layer_scale_init: float = 1e-5,
        strides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__(input_channels, num_classes, deep_supervision, levels=len(features), strides=strides)
        if len(features) < 2 or min(features) < 1:
            raise ValueError(f"features is {tuple(features)}, expected the channels of two or more levels.")
        if bottleneck not in _BOTTLENECKS:
            raise ValueError(f"bottleneck is {bottleneck!r}, expected one of {', '.join(map(repr, _BOTTLENECKS))}.")

        def mixing(level: int) -> TokenMixing:
            return TokenMixing(
                features[level],
                token_norm=token_norm,
                reference_tokens=reference_size[0] * reference_size[1] / 4**level,
                local_rep=local_rep,
                layer_scale_init=layer_scale_init,
            )

        lowest = len(features) - 1
        self.embed = nn.Sequential(nn.Conv2d(input_channels, features[0], 3, padding=1), nn.BatchNorm2d(features[0]))
        self.encoder = nn.ModuleList(
            nn.Sequential(DoubleConv(features[level], features[level]), mixing(level)) for level in range(lowest)
        )
        self.down = nn.ModuleList(DownConv(features[level], features[level + 1]) for level in range(lowest))
        parts: dict[str, Callable[[], nn.Module]] = {
            "conv_mix": lambda: nn.Sequential(DoubleConv(features[-1], features[-1]), mixing(lowest)),
            "conv": lambda: DoubleConv(features[-1], features[-1]),
            "empty": nn.Identity,
        }
        self.bottleneck = parts[bottleneck]()
        self.up = nn.ModuleList(UpMerge(features[level + 1], features[level]) for level in range(lowest))
        self.up_mixing = nn.ModuleList(mixing(level) for level in range(lowest))
        self.head = of_structures(nn.Conv2d(features[0], num_classes, 1))

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `(B, num_classes, H, W)` of `x` `(B, input_channels, H, W)`."""
        x, skips = self.embed(x), []
        for encode, down in zip(self.encoder, self.down, strict=True):
            skips.append(encode(x))  # (B, features[i], H / 2^i, W / 2^i)
            x = down(skips[-1])
        x = self.bottleneck(x)
        for level in reversed(range(len(skips))):
            x = self.up_mixing[level](self.up[level](x, skips[level]))
        return self.head(x)
