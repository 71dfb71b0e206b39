"""What a classifier of slices does to a segmentation: only classes that it finds are shown (section 2.3)."""

import torch

__all__ = ["close_gates"]

_MARGIN = 1e-3


def close_gates(binary: torch.Tensor, presence: torch.Tensor) -> torch.Tensor:
    """Hide the classes that are absent: their logits z become -|z| - 0.001, below zero at every pixel.

    nnU-Net averages logits over mirrored images and tiles. A closed gate that wrote a large negative number would veto
    all others; here it turns the sign, so that among mirrored images, each with its own decision, the surer majority
    wins. A class that is found in none of them is hidden for certain.

    Args:
        binary: Logits `(S, K, H, W)` of S slices, each class against the rest; above zero means shown.
        presence: Logits `(S, K)` of the classifier; above zero means that the class is in the slice.

    Returns:
        Logits `(S, K, H, W)`.
    """
    return torch.where((presence > 0)[..., None, None], binary, -binary.abs() - _MARGIN)
