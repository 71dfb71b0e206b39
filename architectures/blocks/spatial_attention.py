"""Pixel weights from mean and maximum over the channels (Woo et al., CBAM, ECCV 2018,
https://arxiv.org/abs/1807.06521)."""

import torch
from torch import nn

__all__ = ["ExcitePixels"]


class ExcitePixels(nn.Module):
    """Factors σ(conv 7×7 [mean over c; max over c]) for the pixels: `(B, C, H, W)` to `(B, 1, H, W)`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Factors between 0 and 1 for the pixels of `x`."""
        # max hands its gradient to one channel, amax would share it among equals in three passes over the map
        return self.conv(torch.cat((x.mean(1, keepdim=True), x.max(1, keepdim=True).values), dim=1)).sigmoid()
