"""The network of the toy system: three convolutions."""

import torch
from torch import nn


class ToyNet(nn.Module):
    """Slices (B, C, H, W) in, logits (B, K, H, W) out."""

    def __init__(self, input_channels: int, num_classes: int, deep_supervision: bool = False, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(input_channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, num_classes, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to logits."""
        return self.layers(x)
