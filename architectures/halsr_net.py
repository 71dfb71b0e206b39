"""HALSR-Net, segmentation of the left ventricle with hybrid attention and latent reconstruction.

Fakhfakh, Sarry, Clarysse, HALSR-Net, Computerized Medical Imaging and Graphics 123 (2025) 102546. No code was
published, and the printed widths (64 to 1024) do not give the printed size (10.7 M parameters) with ordinary
convolutions. Two readings do: `nominal` keeps the widths and makes the convolutions depthwise separable, `half` keeps
ordinary convolutions and halves the widths. Our own: places and rates of the dropout, widths inside the attention
modules, and the mean of the two probability maps where the paper adds them (their sum exceeds one).
"""

import math
from collections.abc import Sequence
from typing import TypedDict, cast

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.attention_gate import AttentionGate
from nnunet_cardiac.architectures.blocks.conv_norm_relu import ConvNormReLU
from nnunet_cardiac.architectures.blocks.hybrid_attention_pooling import HybridAttentionPooling
from nnunet_cardiac.architectures.blocks.latent_reconstruction import LatentReconstruction
from nnunet_cardiac.architectures.contract import SegmentationNetwork
from nnunet_cardiac.architectures.ops.mixed_precision import statistics_dtype, without_autocast
from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv
from nnunet_cardiac.architectures.ops.structure_layers import of_structures

__all__ = ["HALSRNet"]


class _Preset(TypedDict):
    features: tuple[int, ...]
    separable: bool
    hapm_fusion: str


_PRESETS: dict[str, _Preset] = {
    "nominal": {"features": (64, 128, 256, 512, 1024), "separable": True, "hapm_fusion": "concat"},
    "half": {"features": (32, 64, 128, 256, 512), "separable": False, "hapm_fusion": "reduced"},
}
_PLACES = ("all", "bottleneck", "none")
_FUSIONS = ("prob_mean", "logit_sum", "none")


class HALSRNet(SegmentationNetwork):
    """U-Net with attention gates, hybrid attention pooling (HAPM) and a second segmentation from the latent map.

    10.82 M parameters (`nominal`) or 10.71 M (`half`) for one channel and three classes.

    Args:
        input_channels: Channels of the image.
        num_classes: Output channels, background included.
        deep_supervision: Whether `forward` returns a list of resolutions, see `SegmentationNetwork`. Lower resolutions
            of probabilities are averages of probabilities.
        preset: `"nominal"` or `"half"`, see above: values of the next three arguments where those are `None`.
        features: Channels of each level, top to bottom; multiples of 16.
        separable: Whether the 3×3 convolutions are depthwise separable, but for the very first.
        hapm_fusion: `"concat"` or `"reduced"`, see `HybridAttentionPooling`.
        hapm_at: Where the HAPM stand: `"all"` bottleneck and decoder levels, `"bottleneck"`, `"none"`.
        hapm_residual: Whether each HAPM adds its input to its result.
        recon_fusion: How the segmentation from the latent map joins that of the decoder: `"prob_mean"` mean of the
            probabilities, `"logit_sum"` sum of the logits, `"none"` there is no such segmentation.
        gates: Whether the encoder maps are gated on their way to the decoder.
        dropout: Probability of dropping a channel of the last level but one and of the last level.
        strides: Strides of a plans file, for deep supervision alone.

    Raises:
        ValueError: If an argument is outside its range, or says how a HAPM is built where there is none.

    Shape:
        `(B, input_channels, H, W)` to logits `(B, num_classes, H, W)`; H and W multiples of `divisor` (16). With
        `"prob_mean"` the logits are log-probabilities in at least float32. In training the lowest level must hold more
        than one value per channel: a batch of one needs an image larger than 16×16.
    """

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        deep_supervision: bool = False,
        *,
        preset: str = "nominal",
        features: Sequence[int] | None = None,
        separable: bool | None = None,
        hapm_fusion: str | None = None,
        hapm_at: str = "all",
        hapm_residual: bool = False,
        recon_fusion: str = "prob_mean",
        gates: bool = True,
        dropout: Sequence[float] = (0.3, 0.5),
        strides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        for name, value, choices in (
            ("preset", preset, _PRESETS),
            ("hapm_at", hapm_at, _PLACES),
            ("recon_fusion", recon_fusion, _FUSIONS),
        ):
            if value not in choices:
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, choices))}.")
        if hapm_at == "none" and (hapm_fusion is not None or hapm_residual):
            raise ValueError("hapm_at is 'none', so hapm_fusion and hapm_residual have no effect; leave them out.")
        default = _PRESETS[preset]
        features = tuple(default["features"] if features is None else features)
        split = default["separable"] if separable is None else separable
        fusion = default["hapm_fusion"] if hapm_fusion is None else hapm_fusion
        if len(features) < 2 or any(width < 16 or width % 16 for width in features):
            raise ValueError(f"features is {features}, expected two or more multiples of 16.")
        if len(dropout) != 2 or not all(0 <= p < 1 for p in dropout):
            raise ValueError(f"dropout is {tuple(dropout)}, expected two probabilities below 1.")
        super().__init__(input_channels, num_classes, deep_supervision, levels=len(features), strides=strides)
        self.recon_fusion = recon_fusion

        def hapm(width: int, wanted: bool) -> nn.Module:
            return HybridAttentionPooling(width, fusion, split, hapm_residual) if wanted else nn.Identity()

        pairs = list(zip(features[1:], features[:-1], strict=True))  # channels below and at each decoder level
        self.encoder = nn.ModuleList([_double_conv(input_channels, features[0], False, split)])
        self.encoder.extend(_double_conv(low, high, split, split) for high, low in pairs)
        self.dropout = nn.ModuleList(nn.Dropout2d(p) for p in (*[0.0] * (len(features) - 2), *dropout))
        self.bottleneck = hapm(features[-1], hapm_at != "none")
        self.gates = nn.ModuleList(AttentionGate(high, low, gates) for high, low in pairs)
        self.merge = nn.ModuleList(_double_conv(2 * low, low, split, split) for _, low in pairs)
        self.hapm = nn.ModuleList(hapm(low, hapm_at == "all") for _, low in pairs)
        self.head = of_structures(PointwiseConv(features[0], num_classes))
        self.reconstruction = LatentReconstruction(features[-1], num_classes) if recon_fusion != "none" else None

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits `(B, num_classes, H, W)` of `x` `(B, input_channels, H, W)`."""
        size, maps = x.shape[2:], []
        for level, (encode, drop) in enumerate(zip(self.encoder, self.dropout, strict=True)):
            x = drop(encode(F.max_pool2d(x, 2) if level else x))
            maps.append(x)  # (B, features[i], H / 2^i, W / 2^i)
        latent = maps.pop()
        x = self.bottleneck(latent)
        for level in reversed(range(len(maps))):
            first, second = cast("nn.Sequential", self.merge[level])  # torch's list has no type of its entries
            x = self.hapm[level](second(first(*self.gates[level](x, maps[level]))))
        logits = self.head(x)
        return logits if self.reconstruction is None else self._fused(logits, self.reconstruction(latent, size))

    def _fused(self, decoded: torch.Tensor, reconstructed: torch.Tensor) -> torch.Tensor:
        if self.recon_fusion == "logit_sum":
            return decoded + reconstructed
        with without_autocast(decoded):
            dtype = statistics_dtype(decoded)
            logs = (z.log_softmax(dim=1, dtype=dtype) for z in (decoded, reconstructed))
            return torch.logaddexp(*logs) - math.log(2)

    def _check(self, x: torch.Tensor) -> None:
        super()._check(x)
        self._refuse_one_value(x)

    def _downsample(self, logits: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
        """Average logits, or the probabilities whose logarithms the output is."""
        return (
            _log_average(logits, *stride) if self.recon_fusion == "prob_mean" else super()._downsample(logits, stride)
        )


def _double_conv(in_channels: int, out_channels: int, *separable: bool) -> nn.Sequential:
    first, second = separable
    return nn.Sequential(
        ConvNormReLU(in_channels, out_channels, first), ConvNormReLU(out_channels, out_channels, second)
    )


def _log_average(logs: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Logarithm of the average of exp(logs) in cells of rows × columns; what does not fill a cell is left out."""
    height, width = (side // step for side, step in zip(logs.shape[2:], (rows, columns), strict=True))
    cells = logs[:, :, : height * rows, : width * columns].unflatten(3, (width, columns)).unflatten(2, (height, rows))
    return cells.logsumexp((3, 5)) - math.log(rows * columns)
