"""Losses of the papers, on logits, with the reductions in float32."""

from __future__ import annotations

import torch
from nnunetv2.utilities.ddp_allgather import AllGatherGrad
from torch import nn


class SigmoidDiceLoss(nn.Module):
    """Mean over channels of 1 - Dice of independent sigmoids, pooled over batch and space.

    Khan et al. 2024 train with "Dice loss" on sigmoid outputs; the authors' code has the squared denominator,
    2 sum(p g) / (sum(p^2) + sum(g^2)), without smoothing. That form has no gradient for a channel whose target is
    empty in the whole batch, so false positives there are not pushed down; `squared=False` with a smoothing of 1 does.

    Args:
        background: Whether channel 0 is one of the sigmoids (E-2A U-Net: yes; specialists, whose channel 0 is a
            constant: no).
        squared: Denominator of squares or of sums.
        smooth: Added to numerator and denominator.
        ddp: Pool over the processes of distributed training as well.

    Shape:
        Logits (B, K+1, *spatial), target label map (B, 1, *spatial); returns a scalar.
    """

    def __init__(self, background: bool, squared: bool = True, smooth: float = 1e-5, ddp: bool = False) -> None:
        super().__init__()
        self.first = 0 if background else 1
        self.squared = squared
        self.smooth = smooth
        self.ddp = ddp

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss."""
        p = logits[:, self.first :].float().sigmoid()
        g = torch.zeros_like(logits, dtype=torch.float32).scatter_(1, target.long(), 1.0)[:, self.first :]
        axes = (0, *range(2, p.ndim))
        overlap = (p * g).sum(axes)
        total = ((p * p if self.squared else p) + g).sum(axes)
        if self.ddp:
            overlap, total = (AllGatherGrad.apply(t).sum(0) for t in (overlap, total))
        dice = (2 * overlap + self.smooth) / (total + self.smooth)
        return 1 - dice.mean()
