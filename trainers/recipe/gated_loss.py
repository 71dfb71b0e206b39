"""Loss of the classifier-guided network (section 2.4), on real slices alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.classifier_guided import StageOutputs
from nnunet_cardiac.architectures.ops.binary_logits import fuse_binary_logits
from nnunet_cardiac.architectures.ops.stack_packing import pack
from nnunet_cardiac.systems.recipe import CHOICES
from nnunet_cardiac.trainers.recipe.annotated import annotated_cross_entropy, annotated_mean, one_hot_target

GATE_SOURCES = CHOICES["gate_source"]


class ClassifierGuidedLoss(nn.Module):
    """Loss₁ + Loss₂ of both stages and the classifier.

        Loss₁ = CE(seg, y),   Loss₂ = Σ_i G_i BCE(ref_i, y_i) + λ Σ_i BCE(p_i, c_i)

    c_i says whether anatomy i is in a slice and p_i what the classifier thinks of it. The gate G_i is 1 where p_i > ½
    and 0 elsewhere, for each slice and anatomy, and has no gradient. Cross-entropies are means over the pixels of all
    slices, also of those whose gate is closed, so that a closed gate takes weight away.

    Pixels without a reference (ours; the paper has none) are left out of all means. For c_i see `presence_target`.

    Args:
        weight: λ.
        gate_source: `pred`: the classifier opens the gates, as in the paper; `gt`: the reference does; `pred_or_gt`:
            either, so that what the classifier misses is learned nevertheless.
        ignore_label: Value of the pixels without a reference, or None if there are none.

    Attributes:
        gates_open: Whether all gates are open, whatever the classifier says; for the first epochs.

    Raises:
        ValueError: If the source is unknown or the weight negative.

    Shape:
        `StageOutputs`, or the logits (B, K+1, Z, H, W) of evaluation, whose cross-entropy is taken; target label map
        (B, 1, Z, H, W). Returns a scalar.
    """

    def __init__(self, weight: float = 0.1, gate_source: str = "pred", ignore_label: int | None = None) -> None:
        super().__init__()
        if gate_source not in GATE_SOURCES or weight < 0:
            raise ValueError(
                f"Found gate_source {gate_source!r} and weight {weight}, expected one of {', '.join(GATE_SOURCES)} and "
                "a number of 0 or more."
            )
        self.weight = weight
        self.gate_source = gate_source
        self.ignore_label = ignore_label
        self.gates_open = False

    def forward(self, output: StageOutputs | torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss."""
        if isinstance(output, torch.Tensor):
            return annotated_cross_entropy(output, target, self.ignore_label)
        labels = pack(target, output.real)  # (S, 1, H, W)
        loss = annotated_cross_entropy(output.seg, labels, self.ignore_label)
        present, known = presence_target(labels, output.seg.shape[1], self.ignore_label)
        loss = loss + self.weight * presence_loss(output.presence, present, known)
        if output.ref is not None:
            loss = loss + self._gated(output.ref, labels, self._gates(output.presence, present))
        return loss

    def _gated(self, ref: torch.Tensor, labels: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy `(S, K, H, W)` behind gates `(S, K)`, summed over classes, mean over pixels."""
        truth, annotated = one_hot_target(labels, ref.shape[1] + 1, self.ignore_label)
        entropy = F.binary_cross_entropy_with_logits(ref.float(), truth[:, 1:], reduction="none")
        return ref.shape[1] * annotated_mean(gates[:, :, None, None] * entropy, annotated)

    def _gates(self, presence: torch.Tensor | None, present: torch.Tensor) -> torch.Tensor:
        """Gates `(S, K)`, 1 open and 0 closed."""
        if presence is None or self.gates_open:
            return torch.ones_like(present)
        found = (presence.detach() > 0).to(present.dtype)
        return {"pred": found, "gt": present, "pred_or_gt": torch.maximum(found, present)}[self.gate_source]


class StagesLoss(nn.Module):
    """Any loss of a segmentation for both stages, without gates, and the classifier's as in `ClassifierGuidedLoss`.

    Args:
        inner: Loss of logits (S, K+1, H, W) and label maps (S, 1, H, W).
        weight: Weight of the classifier's loss.
        ignore_label: Value of the pixels without a reference, or None if there are none; `inner` has its own.
    """

    def __init__(self, inner: nn.Module, weight: float = 0.1, ignore_label: int | None = None) -> None:
        super().__init__()
        self.inner = inner
        self.weight = weight
        self.ignore_label = ignore_label

    def forward(self, output: StageOutputs | torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss; see `ClassifierGuidedLoss` for the arguments."""
        if isinstance(output, torch.Tensor):
            return self.inner(output, target)
        labels = pack(target, output.real)  # (S, 1, H, W)
        present, known = presence_target(labels, output.seg.shape[1], self.ignore_label)
        loss = self.inner(output.seg, labels) + self.weight * presence_loss(output.presence, present, known)
        return loss if output.ref is None else loss + self.inner(fuse_binary_logits(output.ref), labels)


def presence_target(
    labels: torch.Tensor, num_classes: int, ignore_label: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which classes a slice holds, and of which this is known.

    A class with an annotated pixel is in the slice. One without is not, unless the slice has pixels without a
    reference: they may hold it.

    Args:
        labels: Label maps `(S, 1, H, W)`.
        num_classes: K + 1, background included.
        ignore_label: Value of the pixels without a reference, or None if there are none.

    Returns:
        1 where the class is in the slice and 1 where this is known, `(S, K)` each, else 0.
    """
    masks, annotated = one_hot_target(labels, num_classes, ignore_label)
    present = masks[:, 1:].flatten(2).amax(2)
    if annotated is None:
        return present, torch.ones_like(present)
    return present, torch.maximum(present, annotated.flatten(1).amin(1, keepdim=True))


def presence_loss(presence: torch.Tensor | None, present: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of the classifier, summed over classes, mean over the slices in which a class is known.

    Args:
        presence: Logits `(S, K)`, or None: then the loss is 0.
        present: 1 where the class is in the slice, `(S, K)`.
        known: 1 where that is known, `(S, K)`.
    """
    if presence is None:
        return present.new_zeros(())
    entropy = F.binary_cross_entropy_with_logits(presence.float(), present, reduction="none")
    return ((entropy * known).sum(0) / known.sum(0).clamp(min=1)).sum()
