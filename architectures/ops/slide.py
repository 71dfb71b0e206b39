"""A network for a few slices in a row, on more of them than it was trained with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

__all__ = ["slid"]

Output = TypeVar("Output", torch.Tensor, tuple[torch.Tensor, ...])


def slid(network: Callable[[torch.Tensor], Output], x: torch.Tensor, slices: int, axis: int = 2) -> Output:
    """Run a network on every run of so many slices and average its outputs.

    A network that was trained on five slices in a row has never seen anything farther along z: taps of its kernels that
    reach beyond are as they were drawn. nnU-Net's sliding window does the same for patches.

    Args:
        network: Takes a run of slices and returns a tensor, or a tuple of them, with as many entries along `axis`.
        x: Input with Z slices along `axis`, such as (B, C, Z, Y, X).
        slices: In a run; an input with no more is passed on as it is.
        axis: Which axis the slices are, in the input and in every output.

    Returns:
        Means over the runs that hold a slice, with Z entries along `axis`.
    """
    depth = x.shape[axis]
    if depth <= slices:
        return network(x)
    totals: list[torch.Tensor] = []
    for start in range(depth - slices + 1):
        output = network(x.narrow(axis, start, slices))
        parts = output if isinstance(output, tuple) else (output,)
        if not totals:
            totals = [_longer(part, depth, axis) for part in parts]
        for total, part in zip(totals, parts, strict=True):
            total.narrow(axis, start, slices).add_(part)
    held_by = [min(z + 1, depth - z, slices, depth - slices + 1) for z in range(depth)]
    runs = torch.tensor(held_by, dtype=torch.float32, device=totals[0].device)
    means = tuple(total / runs.view(-1, *[1] * (total.ndim - axis - 1)).to(total.dtype) for total in totals)
    return means if isinstance(output, tuple) else means[0]


def _longer(like: torch.Tensor, entries: int, axis: int) -> torch.Tensor:
    """Zeros of the shape of `like`, but for so many entries along `axis`."""
    return like.new_zeros((*like.shape[:axis], entries, *like.shape[axis + 1 :]))
