"""Attention gate of HALSR-Net: the decoder decides which pixels of the skip connection pass.

Fakhfakh et al. 2025, equations 2 to 5, after Oktay et al., Attention U-Net, MIDL 2018. The paper upsamples what it
calls the encoder map; at matching levels the decoder map is the coarser one, so that is upsampled here.
"""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["AttentionGate"]


class AttentionGate(nn.Module):
    """`[σ(ψ ReLU(W_H UP h + W_L l)) ⊙ l ; W UP h]` of decoder map h and encoder map l.

    The 1×1 convolutions of h run before the bilinear upsampling: both are linear and the weights of the interpolation
    sum to one, so the result is the same at a quarter of the cost.

    Args:
        channels: C of the encoder map; the decoder map has 2C.
        gated: Whether the factors are applied; without, the plain skip connection (ablation).

    Shape:
        Decoder map `(B, 2C, H/2, W/2)` and encoder map `(B, C, H, W)` to `(B, 2C, H, W)`.
    """

    def __init__(self, channels: int, gated: bool = True) -> None:
        super().__init__()
        inner = channels // 2 if gated else 0
        self.channels = channels
        self.from_decoder = nn.Conv2d(2 * channels, inner + channels, 1)  # F_H above, and Eq. 5's reduction of UP h
        self.from_encoder = nn.Conv2d(channels, inner, 1) if gated else None
        self.score = nn.Conv2d(inner, 1, 1) if gated else None

    def forward(self, decoder: torch.Tensor, encoder: torch.Tensor) -> torch.Tensor:
        """Gate `encoder` `(B, C, H, W)` by `decoder` `(B, 2C, H/2, W/2)` and concatenate both."""
        up = F.interpolate(self.from_decoder(decoder), encoder.shape[2:], mode="bilinear")
        reduced = up[:, -self.channels :]
        if self.score is None:
            return torch.cat((encoder, reduced), dim=1)
        factor = self.score(F.relu(up[:, : -self.channels] + self.from_encoder(encoder))).sigmoid()
        return torch.cat((encoder * factor, reduced), dim=1)
