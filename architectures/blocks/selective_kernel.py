"""Selective-kernel convolution: two receptive fields, weighed for each image and channel.

Li, Wang, Hu, Yang, Selective kernel networks, CVPR 2019, https://arxiv.org/abs/1903.06586. What `timm.layers` has
splits the input between its branches or repeats it, rounds the width of its attention to multiples of eight and has a
minimum of its own, so its parameters are not those of the specification; and importing it imports torchvision.
"""

import torch
from torch import nn

from nnunet_cardiac.architectures.blocks.conv_norm_relu import ConvNormReLU, PointwiseNormReLU, PooledBatchNorm2d
from nnunet_cardiac.architectures.ops.pointwise_conv import PointwiseConv

__all__ = ["SQUEEZES", "SelectiveKernel"]


class SliceNorm(nn.GroupNorm):
    """Normalisation of each slice by itself over its channels, which needs no other slice and no running statistics."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)


#: Normalisation of the pooled vector v: by the batch with running statistics, or of each slice by itself.
SQUEEZES = {"batch": PooledBatchNorm2d, "slice": SliceNorm}


class SelectiveKernel(nn.Module):
    """3×3 convolutions with dilation 1 and 2 (a field of 5×5), mixed by a softmax over the two in each channel.

    With U₁, U₂ the branches and s the channel means of U₁ + U₂,

        v = ReLU(N(W₁ s)),  (a₁, a₂) = softmax over the branches of W₂ v,  out = a₁ ⊙ U₁ + a₂ ⊙ U₂.

    Args:
        channels: Channels C.
        reduction: C per entry of v.
        least: Fewest entries of v.
        norm: Class of the normalisation of the branches, called with the channels.
        squeeze: N above. `"batch"` is the paper's; with few samples a step, as of one stack, its statistics in training
            are far from the running ones at prediction. `"slice"` has the same in both.

    Shape:
        `(B, C, H, W)` to `(B, C, H, W)`.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        least: int = 32,
        norm: type[nn.Module] = nn.BatchNorm2d,
        squeeze: str = "batch",
    ) -> None:
        super().__init__()
        hidden = max(channels // reduction, least)
        self.near = ConvNormReLU(channels, channels, norm=norm)
        self.far = ConvNormReLU(channels, channels, dilation=2, norm=norm)
        self.squeeze = PointwiseNormReLU(channels, hidden, SQUEEZES[squeeze])
        self.select = PointwiseConv(hidden, 2 * channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the near and the far convolution of `x` by weights of each channel."""
        near, far = self.near(x), self.far(x)
        # Sums, divided afterwards: the gradient of a mean would be written out as a map.
        means = (near.sum((2, 3), keepdim=True) + far.sum((2, 3), keepdim=True)) / near[0, 0].numel()
        a_near, a_far = self.select(self.squeeze(means)).unflatten(1, (2, -1)).softmax(dim=1).unbind(1)
        return torch.addcmul(a_near * near, a_far, far)
