"""Hybrid attention pooling module (HAPM) of HALSR-Net.

Fakhfakh et al., HALSR-Net, Computerized Medical Imaging and Graphics 123, 2025, section 3: atrous pyramid, pooled
pyramid, channel attention and spatial attention in parallel, then a fusion that the paper does not spell out.
"""

import torch
from timm.layers import SEModule
from torch import nn

from nnunet_cardiac.architectures.blocks.conv_bn_relu import ConvBNReLU
from nnunet_cardiac.architectures.blocks.spatial_attention import SpatialAttention
from nnunet_cardiac.architectures.blocks.spatial_pyramids import AtrousPyramid, PooledPyramid

__all__ = ["HybridAttentionPooling", "squeeze_excite"]

_REDUCTION, _LEAST_CHANNELS = 16, 4
_FUSIONS = ("concat", "reduced")


def squeeze_excite(channels: int) -> SEModule:
    """`x ⊙ σ(W₂ ReLU(W₁ mean x))` with a sixteenth of the channels between, four at least."""
    return SEModule(channels, rd_channels=max(channels // _REDUCTION, _LEAST_CHANNELS))


class HybridAttentionPooling(nn.Module):
    """HAPM: four views of a map, fused to its own number of channels.

    Args:
        channels: C, a multiple of 16.
        separable: Whether the dilated convolutions are depthwise separable.
        fusion: `"concat"` fuses the two pyramids (C/4 channels each) and the two attended maps (C each);
            `"reduced"` brings the attended maps to C/4 first.
        residual: Whether to add the input; the paper is silent.

    Raises:
        ValueError: If `fusion` is unknown or 16 does not divide `channels`; in training if the batch holds one sample,
            whose image mean cannot be normalised over the batch.

    Shape:
        `(B, C, H, W)` to `(B, C, H, W)`.
    """

    def __init__(self, channels: int, separable: bool = True, fusion: str = "concat", residual: bool = False) -> None:
        super().__init__()
        if fusion not in _FUSIONS:
            raise ValueError(f"fusion is {fusion!r}, expected one of {', '.join(map(repr, _FUSIONS))}.")
        if channels % 16:
            raise ValueError(f"channels is {channels}, expected a multiple of 16.")
        reduced = channels // 4
        self.residual = residual
        self.atrous = AtrousPyramid(channels, reduced, separable)
        self.pooled = PooledPyramid(channels, reduced)
        self.channel_attention = squeeze_excite(channels)
        self.spatial_attention = SpatialAttention()
        self.reduce_channel, self.reduce_spatial = (
            ConvBNReLU(channels, reduced, 1) if fusion == "reduced" else nn.Identity() for _ in range(2)
        )
        self.fuse = ConvBNReLU(2 * reduced + 2 * (reduced if fusion == "reduced" else channels), channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool and attend over `x` `(B, C, H, W)`."""
        if self.training and len(x) == 1:
            raise ValueError(
                "HybridAttentionPooling: found a training batch of one sample, expected two or more; raise batch_size."
            )
        by_channel = self.reduce_channel(self.channel_attention(x))
        by_pixel = self.reduce_spatial(x * self.spatial_attention(x))
        fused = self.fuse(torch.cat((self.atrous(x), self.pooled(x), by_channel, by_pixel), dim=1))
        return x + fused if self.residual else fused
