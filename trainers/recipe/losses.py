"""Losses of the papers, on logits, with the reductions in float32.

Each leaves the pixels of nnU-Net's ignore label out of every sum, so that they have no gradient, and is 0 where no
pixel has a reference.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from nnunetv2.utilities.ddp_allgather import AllGatherGrad
from torch import nn

from nnunet_cardiac.architectures.blocks.box_corners import corners_of_mask
from nnunet_cardiac.label_values import structure_mask
from nnunet_cardiac.trainers.recipe.annotated import annotated_mean, one_hot_target


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
        ignore_label: Value of the pixels without a reference, or None if there are none.

    Shape:
        Logits (B, K+1, *spatial), target label map (B, 1, *spatial); returns a scalar.
    """

    def __init__(
        self,
        background: bool,
        squared: bool = True,
        smooth: float = 1e-5,
        ddp: bool = False,
        ignore_label: int | None = None,
    ) -> None:
        super().__init__()
        self.first = 0 if background else 1
        self.squared = squared
        self.smooth = smooth
        self.ddp = ddp
        self.ignore_label = ignore_label

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss."""
        g, annotated = one_hot_target(target, logits.shape[1], self.ignore_label)
        p, g = logits[:, self.first :].float().sigmoid(), g[:, self.first :]
        size = p * p if self.squared else p
        return dice_loss(p * g, size + g, annotated, self.smooth, self.ddp)


class CrossEntropyDiceLoss(nn.Module):
    """Binary cross-entropy and Dice, half of each, on probabilities that sum to one (HALSR-Net, section 3).

    The cross-entropy is the mean over one-hot channels and pixels, background included; the Dice loss the mean over
    foreground classes of 1 - (2 sum(p g) + e) / (sum(p) + sum(g) + e), pooled over batch and space.

    Args:
        smooth: e above.
        ddp: Pool the Dice sums over the processes of distributed training as well.
        factor: Of both terms.
        ignore_label: Value of the pixels without a reference, or None if there are none.

    Shape:
        Logits or log-probabilities (B, K+1, *spatial), target label map (B, 1, *spatial); returns a scalar.
    """

    #: Largest log-probability that enters log(1 - p): float32 rounds anything closer to 0 up to p = 1.
    _HIGHEST = -1e-7

    def __init__(
        self, smooth: float = 1e-5, ddp: bool = False, factor: float = 0.5, ignore_label: int | None = None
    ) -> None:
        super().__init__()
        self.smooth = smooth
        self.ddp = ddp
        self.factor = factor
        self.ignore_label = ignore_label

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss."""
        log_p = F.log_softmax(logits.float(), dim=1)
        g, annotated = one_hot_target(target, log_p.shape[1], self.ignore_label)
        log_not_p = torch.log(-torch.expm1(log_p.clamp(max=self._HIGHEST)))
        cross_entropy = -annotated_mean(g * log_p + (1 - g) * log_not_p, annotated)
        p, g = log_p.exp()[:, 1:], g[:, 1:]
        return self.factor * (cross_entropy + dice_loss(p * g, p + g, annotated, self.smooth, self.ddp))


class VolumeDiceLoss(nn.Module):
    """Losses of the 3D DR-UNet (Vesal et al. 2020, section 3.1), corrected.

    A single structure: 1 - Dice + binary cross-entropy, the mean over voxels. Several: the mean over classes of
    1 - Dice of the softmax. Dice is (2 sum(p g) + e) / (sum(p) + sum(g) + e), pooled over batch and space. The printed
    forms lack the factor 2, so that perfect overlap would give 0.5, and half of the cross-entropy.

    Args:
        background: Whether the mean over classes holds the background, as in the paper.
        smooth: e above.
        ddp: Pool the Dice sums over the processes of distributed training as well.
        ignore_label: Value of the voxels without a reference, or None if there are none.

    Shape:
        Logits (B, K+1, *spatial), target label map (B, 1, *spatial); returns a scalar, 0 for perfect overlap.
    """

    def __init__(
        self, background: bool = True, smooth: float = 1e-5, ddp: bool = False, ignore_label: int | None = None
    ) -> None:
        super().__init__()
        self.first = 0 if background else 1
        self.smooth = smooth
        self.ddp = ddp
        self.ignore_label = ignore_label
        # With two classes that sum to one, the mean over both channels is the binary cross-entropy of one.
        self.binary = CrossEntropyDiceLoss(smooth, ddp, factor=1.0, ignore_label=ignore_label)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss."""
        if logits.shape[1] == 2:
            return self.binary(logits, target)
        g, annotated = one_hot_target(target, logits.shape[1], self.ignore_label)
        p, g = logits.float().softmax(dim=1)[:, self.first :], g[:, self.first :]
        return dice_loss(p * g, p + g, annotated, self.smooth, self.ddp)


class SummedLoss(nn.Module):
    """Any loss for a network that returns several logits in training: the sum of their losses, with equal weights.

    Both networks of the end-to-end 3D DR-UNet are trained so (Vesal et al. 2020); the weights are ours.

    Args:
        inner: Loss of logits (B, K+1, *spatial) and a label map (B, 1, *spatial).
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, logits: torch.Tensor | list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        """Compute the loss of logits, or of a list of them that have the size of the target."""
        if isinstance(logits, torch.Tensor):
            return self.inner(logits, target)
        return sum(self.inner(one, target) for one in logits)


def dice_loss(
    overlap: torch.Tensor, total: torch.Tensor, annotated: torch.Tensor | None, smooth: float, ddp: bool
) -> torch.Tensor:
    """Mean over channels of 1 - (2 sum(overlap) + e) / (sum(total) + e), pooled over batch and space.

    Args:
        overlap: Product of probabilities and one-hot target, (B, K, *spatial).
        total: Their sum, or another denominator, of the same shape.
        annotated: Where there is a reference, (B, 1, *spatial), or None for everywhere.
        smooth: e above.
        ddp: Pool over the processes of distributed training as well.
    """
    if annotated is not None:
        overlap, total = overlap * annotated, total * annotated
    axes = (0, *range(2, total.ndim))
    overlap, total = overlap.sum(axes), total.sum(axes)
    if ddp:
        overlap, total = (AllGatherGrad.apply(t).sum(0) for t in (overlap, total))
    return 1 - ((2 * overlap + smooth) / (total + smooth)).mean()


class CornerLoss(nn.Module):
    """Mean squared error of the corners of the region of interest (HALSR-Net, Eq. 1).

    Slices without a target have no corners and are left out.

    Args:
        ignore_label: Value of the slices whose box is not known, or None if there are none.

    Shape:
        Corners (B, 4) as fractions of the padded square, or the drawn box as logits (B, K+1, H, W), which validation
        sees; target mask (B, 1, H, W), 1 inside the true box. Returns a scalar, 0 if no slice has a target.
    """

    def __init__(self, ignore_label: int | None = None) -> None:
        super().__init__()
        self.ignore_label = ignore_label

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss."""
        corners, present = corners_of_mask(structure_mask(target[:, 0], self.ignore_label))
        predicted = output if output.ndim == 2 else corners_of_mask(output.argmax(1) > 0)[0]
        squared = (predicted.float() - corners.to(predicted.device)).square().mean(1)
        return (squared * present).sum() / present.sum().clamp(min=1)
