"""K binary segmentations as one multi-class segmentation, exactly."""

import torch

__all__ = ["fuse_binary_logits"]


def fuse_binary_logits(binary: torch.Tensor) -> torch.Tensor:
    """Put a background logit of zero before K binary logits z.

    The softmax of the result is the joint law of K independent yes/no decisions with probabilities σ(z), given that
    at most one is yes: p_c = e^{z_c} / (1 + Σ_k e^{z_k}). Its argmax is background if no σ(z_c) exceeds one half, else
    the class of the largest; for K = 1 it is the sigmoid. Averages and interpolations of logits, as in mirroring and
    resampling, keep the form, because they keep the zero.

    Args:
        binary: Logits `(B, K, ...)`.

    Returns:
        Logits `(B, K + 1, ...)`, channel 0 background, a new contiguous tensor.
    """
    return torch.cat((torch.zeros_like(binary[:, :1]), binary), dim=1).contiguous()
