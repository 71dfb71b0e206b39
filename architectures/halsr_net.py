"""HALSR-Net: U-shaped network with hybrid attention pooling, attention gates and latent-space reconstruction.

Fakhfakh, Sarry and Clarysse, HALSR-Net: improving CNN segmentation of cardiac left ventricle MRI with hybrid attention
and latent space reconstruction, Computerized Medical Imaging and Graphics 123, 2025. No code was published. The paper
gives filters of 64 to 1024 and 10.7 M parameters; plain double convolutions of these widths have four times as many.
Preset `nominal` reads the blocks as depthwise separable, preset `half` keeps plain convolutions at half the width; both
have 10.7 to 10.8 M.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.attention_gate import AttentionGate
from nnunet_cardiac.architectures.blocks.conv_bn_relu import double_conv_bn_relu
from nnunet_cardiac.architectures.blocks.hybrid_attention_pooling import HybridAttentionPooling
from nnunet_cardiac.architectures.blocks.latent_reconstruction import LatentReconstruction
from nnunet_cardiac.architectures.contract import SegmentationNetwork

__all__ = ["HALSRNet"]

_PRESETS = {
    "nominal": {"features": (64, 128, 256, 512, 1024), "separable": True, "hapm_fusion": "concat"},
    "half": {"features": (32, 64, 128, 256, 512), "separable": False, "hapm_fusion": "reduced"},
}
_HAPM_PLACES = ("all", "bottleneck", "none")
_FUSIONS = ("prob_mean", "logit_sum", "none")


class HALSRNet(SegmentationNetwork):
    """Segment from decoder and latent space at once; 10.82 M parameters for one channel and three classes.

    Args:
        input_channels: Channels of the image.
        num_classes: Output channels, background included.
        deep_supervision: Whether `forward` returns a list of resolutions, see `SegmentationNetwork`.
        preset: `"nominal"` (widths as printed, separable) or `"half"` (10.71 M).
        features: Channels of each level, a multiple of 16 and then doubled; `None` takes the preset's.
        separable: Whether 3×3 convolutions are depthwise separable; `None` takes the preset's.
        hapm_fusion: See `HybridAttentionPooling`; `None` takes the preset's.
        hapm_at: `"all"` (bottleneck and decoder levels), `"bottleneck"` or `"none"`.
        hapm_residual: Whether the modules add their input.
        recon_fusion: How the reconstruction joins: `"prob_mean"` mean of both probability maps, `"logit_sum"`, or
            `"none"` for no reconstruction.
        gates: Whether attention gates act on the skip connections.
        dropout: Probability of dropping a channel after the last but one encoder level and after the latent map.
        strides: Strides of a plans file, for deep supervision alone.

    Raises:
        ValueError: If an argument is outside its range.

    Shape:
        `(B, input_channels, H, W)` to `(B, num_classes, H, W)` in float32, H and W multiples of 16: log-probabilities
        with `"prob_mean"`, logits otherwise; the softmax of either is the distribution over classes.
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
        for name, value, known in (
            ("preset", preset, tuple(_PRESETS)),
            ("hapm_at", hapm_at, _HAPM_PLACES),
            ("recon_fusion", recon_fusion, _FUSIONS),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, known))}.")
        if hapm_at == "none" and (hapm_residual or hapm_fusion is not None):
            raise ValueError("hapm_at is 'none', but hapm_residual or hapm_fusion asks for something of the modules.")
        features = tuple(features or _PRESETS[preset]["features"])
        if len(features) < 2 or features[0] < 16 or features[0] % 16 or not _doubles(features):
            raise ValueError(f"features is {features}, expected two or more: a multiple of 16, then doubled each time.")
        if len(dropout) != 2 or not all(0 <= p < 1 for p in dropout):
            raise ValueError(f"dropout is {tuple(dropout)}, expected two probabilities below 1.")
        super().__init__(input_channels, num_classes, deep_supervision, levels=len(features), strides=strides)
        separable = _PRESETS[preset]["separable"] if separable is None else separable
        fusion = hapm_fusion or _PRESETS[preset]["hapm_fusion"]

        def hapm(channels: int, wanted: bool) -> nn.Module:
            return HybridAttentionPooling(channels, separable, fusion, hapm_residual) if wanted else nn.Identity()

        self.recon_fusion = recon_fusion
        self.encoder = nn.ModuleList(
            double_conv_bn_relu(before, after, separable, plain_first=level == 0)
            for level, (before, after) in enumerate(zip((input_channels, *features), features, strict=False))
        )
        self.dropout = nn.ModuleList(nn.Dropout2d(p) for p in (*[0.0] * (len(features) - 2), *dropout))
        self.bottleneck = hapm(features[-1], hapm_at != "none")
        self.gates = nn.ModuleList(AttentionGate(n, gates) for n in features[:-1])
        self.decode = nn.ModuleList(
            nn.Sequential(double_conv_bn_relu(2 * n, n, separable), hapm(n, hapm_at == "all")) for n in features[:-1]
        )
        self.head = nn.Conv2d(features[0], num_classes, 1)
        self.reconstruction = None if recon_fusion == "none" else LatentReconstruction(features[-1], num_classes)

    def segment(self, x: torch.Tensor) -> torch.Tensor:
        """Logits or log-probabilities `(B, num_classes, H, W)` of `x` `(B, input_channels, H, W)`."""
        maps = []
        for level, (encode, dropout) in enumerate(zip(self.encoder, self.dropout, strict=True)):
            x = dropout(encode(F.max_pool2d(x, 2) if level else x))
            maps.append(x)  # (B, features[i], H / 2^i, W / 2^i)
        *skips, latent = maps
        x = self.bottleneck(latent)
        for level in reversed(range(len(skips))):
            x = self.decode[level](self.gates[level](x, skips[level]))
        decoded = self.head(x).float()
        if self.reconstruction is None:
            return decoded
        return self._join(decoded, self.reconstruction(latent, decoded.shape[2:]).float())

    def _join(self, decoded: torch.Tensor, reconstructed: torch.Tensor) -> torch.Tensor:
        if self.recon_fusion == "logit_sum":
            return decoded + reconstructed
        # The paper adds two probability maps; their mean has the same argmax and sums to one.
        return torch.logaddexp(F.log_softmax(decoded, 1), F.log_softmax(reconstructed, 1)) - math.log(2)

    def _pyramid(self, logits: torch.Tensor) -> list[torch.Tensor]:
        if self.recon_fusion != "prob_mean":
            return super()._pyramid(logits)
        # The mean of log-probabilities would not sum to one.
        return [p.clamp_min(torch.finfo(p.dtype).tiny).log() for p in super()._pyramid(logits.exp())]


def _doubles(features: Sequence[int]) -> bool:
    return all(after == 2 * before for before, after in pairwise(features))
