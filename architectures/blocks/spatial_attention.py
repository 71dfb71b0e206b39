"""A factor for each pixel from mean and maximum over the channels (Woo et al., CBAM, ECCV 2018)."""

import torch
from torch import nn

__all__ = ["SpatialAttention"]


class SpatialAttention(nn.Module):
    """`σ(conv 7×7 [mean_c x ; max_c x])`; timm's block of this name has a normalisation more and no bias.

    Shape:
        `(B, C, H, W)` to factors `(B, 1, H, W)` between 0 and 1.
    """

    def __init__(self, kernel_size: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Weigh the pixels of `x` `(B, C, H, W)`."""
        return self.conv(torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1)).sigmoid()
