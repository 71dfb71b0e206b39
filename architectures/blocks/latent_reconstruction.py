"""Reconstruction of a segmentation from the latent map.

Fakhfakh, Sarry, Clarysse, HALSR-Net, Computerized Medical Imaging and Graphics 123 (2025) 102546, section 3.2.3.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.squeeze_excite import ExciteChannels
from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv
from nnunet_cardiac.architectures.ops.structure_layers import of_structures

__all__ = ["LatentReconstruction"]


class LatentReconstruction(nn.Module):
    """Attention map, squeeze-and-excitation, 1×1 convolution to classes, bilinear enlargement.

    The paper enlarges before the convolution; the two commute, and this order has a fraction of the cost.

    Args:
        channels: Channels C of the latent map.
        num_classes: Output channels, background included.

    Shape:
        `(B, C, h, w)` to logits `(B, num_classes, H, W)`.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.attention = PointwiseConv(channels, 1)
        self.excite = ExciteChannels(channels)
        self.classify = of_structures(PointwiseConv(channels, num_classes))

    def forward(self, latent: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Logits of `size` (rows, columns) from the latent map `(B, C, h, w)`."""
        x = latent * self.attention(latent).sigmoid()
        x = x * self.excite(x.mean((2, 3), keepdim=True))
        return F.interpolate(self.classify(x), tuple(size), mode="bilinear", align_corners=False)
