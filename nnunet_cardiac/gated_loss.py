"""Loss of the classifier-guided network (section 2.4), on real slices alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.binary_logits import fuse_binary_logits
from nnunet_cardiac.architectures.blocks.stack_packing import pack
from nnunet_cardiac.architectures.classifier_guided import StageOutputs

GATE_SOURCES = ("pred", "gt", "pred_or_gt")


class ClassifierGuidedLoss(nn.Module):
    """Loss₁ + Loss₂ of both stages and the classifier.

        Loss₁ = CE(seg, y),   Loss₂ = Σ_i G_i BCE(ref_i, y_i) + λ Σ_i BCE(p_i, c_i)

    c_i says whether anatomy i is in a slice and p_i what the classifier thinks of it. The gate G_i is 1 where p_i > ½
    and 0 elsewhere, for each slice and anatomy, and has no gradient. Cross-entropies are means over the pixels of a
    slice; the gated sum is then averaged over all slices, not over open gates, so that a closed gate takes weight away.

    Args:
        weight: λ.
        gate_source: `pred`: the classifier opens the gates, as in the paper; `gt`: the reference does; `pred_or_gt`:
            either, so that what the classifier misses is learned nevertheless.

    Attributes:
        gates_open: Whether all gates are open, whatever the classifier says; for the first epochs.

    Raises:
        ValueError: If the source is unknown or the weight negative.

    Shape:
        `StageOutputs`, or the logits (B, K+1, Z, H, W) of evaluation, whose cross-entropy is taken; target label map
        (B, 1, Z, H, W). Returns a scalar.
    """

    def __init__(self, weight: float = 0.1, gate_source: str = "pred") -> None:
        super().__init__()
        if gate_source not in GATE_SOURCES or weight < 0:
            raise ValueError(
                f"Found gate_source {gate_source!r} and weight {weight}, expected one of {', '.join(GATE_SOURCES)} and "
                "a number of 0 or more."
            )
        self.weight = weight
        self.gate_source = gate_source
        self.gates_open = False

    def forward(self, output: StageOutputs | torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss."""
        if isinstance(output, torch.Tensor):
            return F.cross_entropy(output.float(), target[:, 0].long())
        labels = pack(target, output.real)[:, 0].long()  # (S, H, W)
        loss = F.cross_entropy(output.seg.float(), labels)
        truth = one_hot(labels, output.seg.shape[1])
        present = truth.flatten(2).amax(2)  # (S, K)
        loss = loss + self.weight * presence_loss(output.presence, present)
        if output.ref is not None:
            entropy = F.binary_cross_entropy_with_logits(output.ref.float(), truth, reduction="none").mean((2, 3))
            loss = loss + (self._gates(output.presence, present) * entropy).sum(1).mean()
        return loss

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
    """

    def __init__(self, inner: nn.Module, weight: float = 0.1) -> None:
        super().__init__()
        self.inner = inner
        self.weight = weight

    def forward(self, output: StageOutputs | torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss; see `ClassifierGuidedLoss` for the arguments."""
        if isinstance(output, torch.Tensor):
            return self.inner(output, target)
        labels = pack(target, output.real)  # (S, 1, H, W)
        present = one_hot(labels[:, 0].long(), output.seg.shape[1]).flatten(2).amax(2)
        loss = self.inner(output.seg, labels) + self.weight * presence_loss(output.presence, present)
        return loss if output.ref is None else loss + self.inner(fuse_binary_logits(output.ref), labels)


def presence_loss(presence: torch.Tensor | None, present: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of the classifier, summed over classes, mean over slices; 0 without a classifier.

    Args:
        presence: Logits `(S, K)`, or None.
        present: 1 where the class is in the slice, `(S, K)`.
    """
    if presence is None:
        return present.new_zeros(())
    return F.binary_cross_entropy_with_logits(presence.float(), present, reduction="none").sum(1).mean()


def one_hot(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Foreground masks `(S, num_classes - 1, H, W)` in float32 of label maps `(S, H, W)`."""
    return F.one_hot(labels, num_classes).movedim(-1, 1)[:, 1:].float()
