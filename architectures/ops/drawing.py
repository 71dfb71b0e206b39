"""A region drawn as a segmentation, so that nnU-Net can validate, export and hand it on."""

import torch

__all__ = ["drawn_logits"]

_LOGIT = 20.0


def drawn_logits(inside: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Logits that say class 1 inside a region and background elsewhere.

    Args:
        inside: Boolean region `(B, *spatial)`.
        num_classes: Output channels; classes above 1 stay empty.

    Returns:
        Logits `(B, num_classes, *spatial)` of ±20, far from the float16 limit of nnU-Net's accumulator.
    """
    region = torch.where(inside, _LOGIT, -_LOGIT)
    others = torch.full_like(region, -_LOGIT).unsqueeze(1).expand(-1, num_classes - 2, *inside.shape[1:])
    return torch.cat((torch.stack((-region, region), dim=1), others), dim=1)
