"""Residual unit with channel attention: the encoder of the SK-U-Net that the classifier-guided network cites.

Wang et al., SK-Unet: an improved U-Net model with selective kernel for the segmentation of LGE cardiac MR images, IEEE
Sensors Journal 2021; Hu et al., Squeeze-and-excitation networks, CVPR 2018.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.conv_norm_relu import ConvNormReLU
from nnunet_cardiac.architectures.blocks.squeeze_excite import ExciteChannels
from nnunet_cardiac.architectures.ops.separable_conv import DenseConv

__all__ = ["SqueezeExciteResidual"]


class SqueezeExciteResidual(nn.Module):
    """ReLU(x + a ⊙ N(conv(ReLU(N(conv x))))) with channel factors a: `(B, C, H, W)` to `(B, C, H, W)`.

    Args:
        channels: Channels C.
        norm: Class of the normalisation, called with the channels.
    """

    def __init__(self, channels: int, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.first = ConvNormReLU(channels, channels, norm=norm)
        self.second = DenseConv(channels, channels)
        self.norm = norm(channels)
        self.excite = ExciteChannels(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add two convolutions of `x`, weighted by channel, to `x`."""
        y = self.norm(self.second(self.first(x)))
        return F.relu(torch.addcmul(x, self.excite(y.mean((2, 3), keepdim=True)), y))
