"""Targets of losses that leave out the pixels without a reference (nnU-Net's ignore label)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nnunet_cardiac.label_values import ignored_mask


def one_hot_target(
    target: torch.Tensor, num_classes: int, ignore_label: int | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Turn a label map into one mask for each class.

    Args:
        target: Label map `(B, 1, *spatial)` of any number type.
        num_classes: K + 1, background included.
        ignore_label: Value of the pixels without a reference, or None if there are none.

    Returns:
        Masks `(B, K + 1, *spatial)` in float32, 0 in every class where there is no reference; and where there is one,
        `(B, 1, *spatial)` in float32, or None without an ignore label.
    """
    annotated = None
    if ignore_label is not None:
        ignored = ignored_mask(target, ignore_label)
        target, annotated = target.masked_fill(ignored, 0), (~ignored).float()
    shape = (len(target), num_classes, *target.shape[2:])
    masks = torch.zeros(shape, device=target.device).scatter_(1, target.long(), 1.0)
    return (masks if annotated is None else masks * annotated), annotated


def annotated_mean(values: torch.Tensor, annotated: torch.Tensor | None) -> torch.Tensor:
    """Mean over all channels of the pixels that have a reference; 0 if none has one.

    Args:
        values: `(B, C, *spatial)`.
        annotated: Second result of `one_hot_target`.
    """
    if annotated is None:
        return values.mean()
    return (values * annotated).sum() / (values.shape[1] * annotated.sum()).clamp(min=1)


def annotated_cross_entropy(logits: torch.Tensor, target: torch.Tensor, ignore_label: int | None) -> torch.Tensor:
    """Softmax cross-entropy in float32, the mean over the pixels that have a reference; 0 if none has one.

    Args:
        logits: `(B, K + 1, *spatial)`.
        target: Label map `(B, 1, *spatial)`.
        ignore_label: Value of the pixels without a reference, or None if there are none.
    """
    labels = target[:, 0].long()
    if ignore_label is None:
        return F.cross_entropy(logits.float(), labels)
    total = F.cross_entropy(logits.float(), labels, ignore_index=ignore_label, reduction="sum")
    return total / (labels != ignore_label).sum().clamp(min=1)
