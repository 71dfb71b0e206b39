"""Normalisation by the statistics of one stack, in training and at prediction alike.

Batch normalisation on batches of one stack learns from the statistics of that stack and predicts with those of all.
Slices of one patient are alike and patients differ, so the two are far apart: networks trained that way on the phantom
segmented unseen stacks well with the statistics of the stack at hand and failed with running ones.
"""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["StackNorm2d"]


class StackNorm2d(nn.Module):
    """Zero mean and unit variance of each channel over all slices and pixels of a stack, then scale and shift.

    What `nn.BatchNorm2d` does in training with a batch of one stack. A single value, which has no variance, becomes the
    shift.

    Args:
        channels: Channels C.
        eps: Added to the variance.

    Shape:
        The slices of one stack `(S, C, H, W)` to the same.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`."""
        if x.numel() == x.shape[1]:
            return torch.zeros_like(x) + self.bias[:, None, None].to(x.dtype)
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
