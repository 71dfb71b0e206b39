"""Mixed precision for the two hand-written autograd functions.

Autocast changes the type of single operations; inside a fused function the choice is made once: matrix products in
the autocast type, statistics over channels or tokens in at least float32.
"""

import torch

__all__ = ["matmul_dtype", "statistics_dtype", "without_autocast"]


def matmul_dtype(x: torch.Tensor) -> torch.dtype:
    """The type matrix products of `x` run in here: autocast's where it is active, else that of `x`."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def statistics_dtype(x: torch.Tensor) -> torch.dtype:
    """The type for norms and sums over many tokens: float32, or float64 for float64 input."""
    return torch.promote_types(x.dtype, torch.float32)


def without_autocast(x: torch.Tensor) -> torch.autocast:
    """A context in which the operations on tensors of the device of `x` keep the types they are given."""
    return torch.autocast(x.device.type, enabled=False)
