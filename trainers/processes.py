"""What the processes of a distributed training have to do alike."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nnunet_cardiac.errors import UserError

Value = TypeVar("Value")


def number_of_processes() -> int:
    """Return how many processes train together; 1 without distributed training."""
    return torch.distributed.get_world_size() if _together() else 1


def check_shares(batch: int, equal: bool, place: str) -> None:
    """Check that a batch can be shared among the processes.

    Args:
        batch: Samples of a step, of all processes together.
        equal: Whether all processes need the same number of them.
        place: Where the plans say the number.

    Raises:
        UserError: If it cannot.
    """
    processes = number_of_processes()
    if batch >= processes and not (equal and batch % processes):
        return
    expected = f"a multiple of {processes}" if equal else f"at least {processes}"
    possible = -(-batch // processes) * processes
    raise UserError(
        f"{place}: found a batch_size of {batch} for {processes} processes, expected {expected}. Write "
        f'"recipe": {{"batch_size": {possible}}} into the configuration, or train with fewer GPUs (-num_gpus).'
    )


def without_wrapper(network: nn.Module) -> nn.Module:
    """Return the network that distributed training wraps; it may be a compiled one."""
    return network.module if isinstance(network, DistributedDataParallel) else network


def agreed(value: Value) -> Value:
    """Return the value of process 0 in all processes.

    A decision about how long to train, taken by each process for itself, lets those that go on wait for those that have
    stopped. All processes have to call this.

    Args:
        value: What this process would decide; can be pickled.
    """
    if not _together():
        return value
    decision = [value]
    torch.distributed.broadcast_object_list(decision, src=0)
    return decision[0]


def gathered(value: Value) -> list[Value]:
    """Return the values of all processes, in their order; all have to call this."""
    if not _together():
        return [value]
    values: list[Value] = [value] * number_of_processes()
    torch.distributed.all_gather_object(values, value)
    return values


def _together() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
