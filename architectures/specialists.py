"""Coupled specialist networks, the second stage of CroCNet.

Khan et al., Crop and couple: cardiac image segmentation using interlinked specialist networks, ISBI 2024. One encoder,
decoder and head serve every anatomy; between the levels, cross-attention with weights of its own for each anatomy joins
them. Differs from the authors' code: base width 16 as printed (32 there), an output layer for each anatomy in the
cross-attention (see `CrossEfficientAdditiveAttention`), no unused layers, any number of anatomies. The anatomies go
through the shared layers as one batch, so BatchNorm sees their joint statistics in training as it does in inference.
"""

from collections.abc import Sequence

import torch
from torch import nn

from nnunet_cardiac.architectures.blocks.cross_token_mixing import CrossTokenMixing
from nnunet_cardiac.architectures.blocks.depthwise_residual import DepthwiseResidual
from nnunet_cardiac.architectures.blocks.resampling import DownConv, UpMerge
from nnunet_cardiac.architectures.blocks.token_mixing import MLP_EXPANSION, TokenMixing
from nnunet_cardiac.architectures.contract import SegmentationNetwork
from nnunet_cardiac.architectures.ops.binary_logits import fuse_binary_logits
from nnunet_cardiac.architectures.ops.structure_layers import of_structures

__all__ = ["SpecialistNetworks"]

_MODES = ("coupled", "uncoupled", "single")
_LEVELS = 5


class SpecialistNetworks(SegmentationNetwork):
    """Refine K coarse masks, one specialist per anatomy; 5.34 M parameters for one image channel and three anatomies.

    Args:
        input_channels: Image channels and K coarse masks together; the masks come last.
        num_classes: K + 1.
        deep_supervision: Whether `forward` returns a list of resolutions, see `SegmentationNetwork`.
        mode: `"coupled"` specialists with cross-attention, `"uncoupled"` the same without it (1.65 M), `"single"` one
            network for image and all masks with K outputs (1.65 M).
        base_width: Channels of the first of five levels, even; doubled at each further one.
        token_norm: `"l2_ref"` or `"l2"`, see `TokenNorm`.
        reference_size: Image size in pixels at which the two agree; take the training window.
        local_rep: Whether the E-2A blocks start with the local representation.
        layer_scale_init: First value of the factors on attention and perceptron; larger for SGD.
        strides: Strides of a plans file, for deep supervision alone.

    Raises:
        ValueError: If an argument is outside its range or no image channel is left beside the masks.

    Shape:
        `(B, input_channels, H, W)` to logits `(B, K + 1, H, W)` whose channel 0 is 0 and whose others are the binary
        logits of the specialists; H and W multiples of 16.
    """

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool = False,
        *,
        mode: str = "coupled",
        base_width: int = 16,
        token_norm: str = "l2_ref",
        reference_size: Sequence[int] = (128, 128),
        local_rep: bool = True,
        layer_scale_init: float = 1e-5,
        strides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__(input_channels, num_classes, deep_supervision, levels=_LEVELS, strides=strides)
        self.anatomies = num_classes - 1
        self.image_channels = input_channels - self.anatomies
        if self.image_channels < 1:
            raise ValueError(
                f"Found {input_channels} input channels for {self.anatomies} coarse masks, expected at least "
                f"{self.anatomies + 1}: image channels first, then one mask per foreground class."
            )
        if mode not in _MODES:
            raise ValueError(f"mode is {mode!r}, expected one of {', '.join(map(repr, _MODES))}.")
        if base_width < 2 or base_width % 2:
            raise ValueError(f"base_width is {base_width}, expected an even number of at least 2.")
        self.mode = mode
        widths = [base_width * 2**level for level in range(_LEVELS)]
        tokens = [reference_size[0] * reference_size[1] / 4**level for level in range(_LEVELS)]

        self.stem = _stem(input_channels if mode == "single" else self.image_channels + 1, base_width)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                DepthwiseResidual(width, MLP_EXPANSION),
                TokenMixing(
                    width,
                    token_norm=token_norm,
                    reference_tokens=reference,
                    local_rep=local_rep,
                    layer_scale_init=layer_scale_init,
                ),
                DownConv(width, 2 * width),
            )
            for width, reference in zip(widths[:-1], tokens, strict=False)
        )
        self.couple = nn.ModuleList(
            CrossTokenMixing(
                width,
                self.anatomies,
                token_norm=token_norm,
                reference_tokens=reference,
                layer_scale_init=layer_scale_init,
            )
            if mode == "coupled"
            else nn.Identity()
            for width, reference in zip(widths, tokens, strict=True)
        )
        self.up = nn.ModuleList(UpMerge(2 * width, width, nn.GELU) for width in widths[:-1])
        self.head = nn.Conv2d(base_width, self.anatomies if mode == "single" else 1, 1)
        for layer in (self.stem[0], self.head) if mode == "single" else self.couple:
            of_structures(layer)

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `(B, K + 1, H, W)` of image and masks `(B, input_channels, H, W)`."""
        batch = len(x)
        x = self._coupled(0, self.stem(x if self.mode == "single" else self._one_input_per_anatomy(x)), batch)
        skips = []
        for level, encode in enumerate(self.encoder, start=1):
            skips.append(x)  # (K * B, width, H / 2^i, W / 2^i), anatomy by anatomy
            x = self._coupled(level, encode(x), batch)
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = up(x, skip)
        binary = self.head(x)
        return fuse_binary_logits(
            binary if self.mode == "single" else binary.view(-1, batch, *x.shape[2:]).movedim(0, 1)
        )

    def _one_input_per_anatomy(self, x: torch.Tensor) -> torch.Tensor:
        """Image and one mask for each anatomy: `(K * B, image_channels + 1, H, W)`."""
        image, masks = x.tensor_split([self.image_channels], dim=1)
        pairs = [torch.cat((image, masks[:, k : k + 1]), dim=1) for k in range(self.anatomies)]
        return torch.cat(pairs).contiguous(memory_format=torch.channels_last)

    def _coupled(self, level: int, x: torch.Tensor, batch: int) -> torch.Tensor:
        return self.couple[level](x.unflatten(0, (-1, batch))).flatten(0, 1)


def _stem(in_channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, width // 2, 3, padding=1),
        nn.BatchNorm2d(width // 2),
        nn.ReLU(inplace=True),
        nn.Conv2d(width // 2, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
