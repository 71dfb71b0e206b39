"""Latent-space reconstruction of HALSR-Net: a second, coarse segmentation straight from the latent map.

Fakhfakh et al. 2025, section 3: attention map, squeeze-and-excite, upsampling, 1×1 convolution.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.hybrid_attention_pooling import squeeze_excite

__all__ = ["LatentReconstruction"]


class LatentReconstruction(nn.Module):
    """Attend over pixels, then channels, of the latent map and read classes off it.

    The 1×1 convolution precedes the bilinear upsampling: identical, at 1/256 of the cost.

    Args:
        channels: C of the latent map.
        num_classes: Classes, background included.

    Shape:
        `(B, C, H/16, W/16)` to logits `(B, num_classes, H, W)`.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.attention = nn.Conv2d(channels, 1, 1)
        self.excite = squeeze_excite(channels)
        self.head = nn.Conv2d(channels, num_classes, 1)

    def forward(self, latent: torch.Tensor, size: torch.Size) -> torch.Tensor:
        """Logits of `size` (H, W) from `latent` `(B, C, H/16, W/16)`."""
        attended = self.excite(latent * self.attention(latent).sigmoid())
        return F.interpolate(self.head(attended), size, mode="bilinear")
