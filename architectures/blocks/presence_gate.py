"""What a classifier of slices does to a segmentation: only classes that it finds are shown (section 2.3)."""

import torch
from torch import nn

__all__ = ["PresenceGate"]

_MARGIN = 1e-3


class PresenceGate(nn.Module):
    """Hide the classes that are absent: their logits z become -|z| - 0.001, below zero at every pixel.

    nnU-Net averages the logits of folds. A closed gate that wrote a large negative number would veto all others; here
    it turns the sign, so that among folds, each with a decision of its own, the surer majority wins. A class that no
    fold finds is hidden for certain. Mirror images and tiles of one network are averaged before the gate, see
    `ClassifierGuidedNet.predict_case`.

    Shape:
        Logits `(S, K, H, W)` of S slices, each class against the rest, above zero meaning shown; boolean `(S, K)`,
        which classes are in a slice. Returns logits `(S, K, H, W)`.
    """

    def forward(self, binary: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Gate `binary` by `present`."""
        return torch.where(present[..., None, None], binary, -binary.abs() - _MARGIN)
