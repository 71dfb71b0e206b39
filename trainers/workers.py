"""Threads and augmentation workers of a training: no more than are ours."""

from __future__ import annotations

import os

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_cardiac.devices import AUGMENTATION_VARIABLE, augmentation_workers, usable_cores
from nnunet_cardiac.trainers.processes import number_of_processes
from nnunet_cardiac.workflow.other_jobs import busy_cores


def limit_threads(trainer: nnUNetTrainer) -> None:
    """Compute with the threads that are ours, and say so if another job wants the same cores.

    nnU-Net takes the cores of the whole machine for a training on the CPU. Where a job owns some of them, or is told to
    take fewer, that is many times slower.
    """
    if trainer.device.type != "cpu":
        return
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    warning = None if trainer.local_rank else busy_cores(torch.get_num_threads())
    if warning is not None and not getattr(trainer, "said_busy", False):  # a mixin and its trainer both come by
        trainer.print_to_log_file(f"WARNING: {warning}")
        trainer.said_busy = True


def limit_workers(trainer: nnUNetTrainer, repeatable: bool) -> None:
    """Let nnU-Net start as many augmentation workers as there are cores for them.

    Args:
        trainer: Whose loaders are built next.
        repeatable: Whether samples have to come in a fixed order: nnU-Net's workers have none, so there are none.
    """
    number = 0 if repeatable else augmentation_workers(os.environ, trainer.device.type, number_of_processes())
    os.environ[AUGMENTATION_VARIABLE] = str(number)
