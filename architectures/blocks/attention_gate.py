"""Attention gate between encoder and decoder.

Fakhfakh, Sarry, Clarysse, HALSR-Net, Computerized Medical Imaging and Graphics 123 (2025) 102546, Eq. 2-5, after Oktay
et al., Attention U-Net, MIDL 2018, https://arxiv.org/abs/1804.03999. The paper's text enlarges the encoder map; at the
level where they meet that map is the finer one, so here the decoder map is enlarged.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv

__all__ = ["AttentionGate"]


class AttentionGate(nn.Module):
    """Weigh the pixels of the encoder map by what the decoder has found, and bring the decoder map to its size.

    With UP bilinear enlargement by two and W 1×1 convolutions,

        F_H = W_H UP(F_h),  F_L = W_L F_l,  F_σ = σ(W_σ ReLU(F_H + F_L)),  F_out = [F_σ ⊙ F_l ; W UP(F_h)].

    A 1×1 convolution and UP commute (the weights of UP sum to one, so biases do not matter), hence both convolutions
    of F_h are computed before it, on a quarter of the pixels.

    Args:
        high_channels: Channels of the decoder map F_h.
        low_channels: Channels C of the encoder map F_l; F_H and F_L have half as many.
        gated: Whether F_l is weighed; without it F_out = [F_l ; W UP(F_h)].

    Shape:
        `(B, high_channels, H/2, W/2)` and `(B, C, H, W)` to the two halves of F_out, each `(B, C, H, W)`; the
        convolution that follows reads them without stacking.
    """

    def __init__(self, high_channels: int, low_channels: int, gated: bool = True) -> None:
        super().__init__()
        self.gated = gated
        self.reduce = PointwiseConv(high_channels, low_channels)
        if gated:
            self.from_high = PointwiseConv(high_channels, low_channels // 2)
            self.from_low = PointwiseConv(low_channels, low_channels // 2)
            self.score = PointwiseConv(low_channels // 2, 1)

    def forward(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gated encoder map `low`, and decoder map `high` at its size."""
        if self.gated:
            low = low * self.score(F.relu(_enlarge(self.from_high(high)) + self.from_low(low))).sigmoid()
        return low, _enlarge(self.reduce(high))


def _enlarge(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
