"""Channel weights from channel means (Hu et al., Squeeze-and-excitation networks, CVPR 2018,
https://arxiv.org/abs/1709.01507).

`timm.layers.SqueezeExcite` computes the same, but importing it imports torchvision, which takes two seconds and fails
where torch and torchvision are builds of different kinds.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv

__all__ = ["ExciteChannels"]


class ExciteChannels(nn.Module):
    """Factors σ(W₂ ReLU(W₁ m + b₁) + b₂) for the channels, from their means m.

    Args:
        channels: Number of channels C.
        reduction: C per hidden unit; there are at least four hidden units.

    Shape:
        `(B, C, 1, 1)` to `(B, C, 1, 1)`.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 4)
        self.reduce = PointwiseConv(channels, hidden)
        self.expand = PointwiseConv(hidden, channels)

    def forward(self, means: torch.Tensor) -> torch.Tensor:
        """Factors between 0 and 1 for the channels whose means are given."""
        return self.expand(F.relu(self.reduce(means))).sigmoid()
