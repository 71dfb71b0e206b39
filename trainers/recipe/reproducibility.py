"""Training that repeats: off by default, as in nnU-Net, since one seed says nothing about the spread between seeds."""

from __future__ import annotations

import os
import random

import numpy as np
import torch
import torch.utils.deterministic

from nnunet_cardiac.errors import UserError

#: Environment variable that holds the seed; unset means none.
VARIABLE = "NNUNET_CARDIAC_SEED"


def requested_seed() -> int | None:
    """Return the seed that the user asked for, or None.

    Raises:
        UserError: If the variable is no whole number of at least 0.
    """
    value = os.environ.get(VARIABLE, "").strip()
    if not value:
        return None
    if not value.isdigit():
        raise UserError(f"{VARIABLE} is {value!r}, expected a whole number such as 0, or nothing for no seed.")
    return int(value)


def epoch_seed(seed: int, rank: int, epoch: int) -> int:
    """Return the seed of what one process draws in one epoch.

    A resumed training so goes on with the draws that the whole one would have had, and processes that train together
    draw different samples. Neighbouring seeds share none: the numbers are hashed.

    Args:
        seed: That of the training.
        rank: Number of the process.
        epoch: From 0.
    """
    return int(np.random.SeedSequence((seed, rank, epoch)).generate_state(1)[0])


def seed_generators(seed: int) -> None:
    """Seed all generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def make_deterministic(seed: int) -> None:
    """Seed all generators and ask for deterministic kernels; an operation that has none warns."""
    seed_generators(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    # By default torch then fills all new memory, for code that reads what it has not written. None here does, and it
    # takes up to a tenth of a training step on a processor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # set at run time
