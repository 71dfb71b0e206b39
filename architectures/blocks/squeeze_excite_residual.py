"""Residual unit with channel attention: the encoder of the SK-U-Net that the classifier-guided network cites.

Wang et al., SK-Unet: an improved U-Net model with selective kernel for the segmentation of LGE cardiac MR images, IEEE
Sensors Journal 2021; Hu et al., Squeeze-and-excitation networks, CVPR 2018.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.conv_norm_relu import ConvNormReLU
from nnunet_cardiac.architectures.blocks.separable_conv import DenseConv
from nnunet_cardiac.architectures.blocks.squeeze_excite import ExciteChannels

__all__ = ["SqueezeExciteResidual"]


class SqueezeExciteResidual(nn.Module):
    """ReLU(x + a ⊙ BN(conv(ReLU(BN(conv x))))) with channel factors a: `(B, C, H, W)` to `(B, C, H, W)`.

    Args:
        channels: Channels C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNormReLU(channels, channels)
        self.second = DenseConv(channels, channels)
        self.norm = nn.BatchNorm2d(channels)
        self.excite = ExciteChannels(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Process `x`."""
        y = self.norm(self.second(self.first(x)))
        return F.relu(torch.addcmul(x, self.excite(y.mean((2, 3), keepdim=True)), y))
