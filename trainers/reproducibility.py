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


def make_deterministic(seed: int) -> None:
    """Seed all generators and ask for deterministic kernels; an operation that has none warns."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    # By default torch then fills all new memory, for code that reads what it has not written. None here does, and it
    # takes up to a tenth of a training step on a processor.
    torch.utils.deterministic.fill_uninitialized_memory = False
