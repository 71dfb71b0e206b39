"""A network for a few slices in a row, on more of them than it was trained with."""

from __future__ import annotations

from collections.abc import Callable

import torch


def slid(network: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, slices: int) -> torch.Tensor:
    """Run a network on every run of so many slices and average its outputs.

    A network that was trained on five slices in a row has never seen anything farther along z: taps of its kernels that
    reach beyond are as they were drawn. nnU-Net's sliding window does the same for patches.

    Args:
        network: Takes (B, C, slices, Y, X) and returns (B, K, slices, Y, X).
        x: Input (B, C, Z, Y, X).
        slices: In a run; an input with no more is passed on as it is.

    Returns:
        Mean over the runs that hold a slice, (B, K, Z, Y, X).
    """
    depth = x.shape[2]
    if depth <= slices:
        return network(x)
    first = network(x[:, :, :slices])
    total = first.new_zeros((*first.shape[:2], depth, *first.shape[3:]))
    runs = torch.zeros(depth, 1, 1, device=total.device)
    for start in range(depth - slices + 1):
        total[:, :, start : start + slices] += first if start == 0 else network(x[:, :, start : start + slices])
        runs[start : start + slices] += 1
    return total / runs
