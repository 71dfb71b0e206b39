"""One loss for every network, so that times differ by the networks alone."""

from __future__ import annotations

import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import nn


class BenchmarkLoss(nn.Module):
    """nnU-Net's Dice and cross-entropy on logits, the mean square on any other output, such as corners of a box.

    With deep supervision each resolution weighs half of the one above and the lowest nothing, as in nnU-Net.

    Args:
        target: Label map (B, 1, H, W).
        classes: Channels that tell logits from other outputs.

    Shape:
        Logits (B, `classes`, H, W), a list of them from the highest resolution down, or any other tensor; returns a
        scalar.
    """

    def __init__(self, target: torch.Tensor, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.loss = DC_and_CE_loss(
            {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False},
            {},
            dice_class=MemoryEfficientSoftDiceLoss,
        )
        # nnU-Net's loader makes the targets of lower resolutions, outside the training step: kept from the first call.
        self._targets = {tuple(target.shape[2:]): target}

    def forward(self, outputs: torch.Tensor | list[torch.Tensor] | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Compute the loss."""
        if isinstance(outputs, list | tuple):
            weights = [0.5**level for level in range(len(outputs))]
            if len(outputs) > 1:
                weights[-1] = 0.0
            total = sum(weights)
            loss = DeepSupervisionWrapper(self.loss, [weight / total for weight in weights])
            return loss(outputs, [self._target(output) for output in outputs])
        if outputs.ndim == 4 and outputs.shape[1] == self.classes:
            return self.loss(outputs, self._target(outputs))
        return outputs.float().square().mean()

    def _target(self, output: torch.Tensor) -> torch.Tensor:
        size = tuple(output.shape[2:])
        if size not in self._targets:
            largest = next(iter(self._targets.values()))
            self._targets[size] = nn.functional.interpolate(largest, size, mode="nearest-exact")
        return self._targets[size]
