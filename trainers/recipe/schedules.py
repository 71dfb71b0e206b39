"""Learning-rate schedules in the form that nnU-Net's trainer steps: once per epoch, with the epoch's number."""

from __future__ import annotations

from collections.abc import Sequence

from torch.optim import Optimizer


class MilestoneSchedule:
    """Multiply the learning rate by `gamma` after each milestone.

    A function of the epoch alone, so a resumed training continues with the right rate.

    Args:
        optimizer: Whose parameter groups are set.
        initial_lr: Rate of epoch 0.
        milestones: The rate changes at the start of these epochs (counted from 0); empty keeps it constant.
        gamma: The factor.
    """

    def __init__(self, optimizer: Optimizer, initial_lr: float, milestones: Sequence[int], gamma: float) -> None:
        self.optimizer = optimizer
        self.initial_lr = initial_lr
        self.milestones = tuple(milestones)
        self.gamma = gamma

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch."""
        return self.initial_lr * self.gamma ** sum(epoch >= m for m in self.milestones)

    def step(self, current_step: int) -> None:
        """Set the learning rate of epoch `current_step`."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(current_step)
