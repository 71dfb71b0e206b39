"""How much of a batch a fused function processes at once."""

from collections.abc import Iterator

import torch

__all__ = ["chunks"]

# 2 MiB of float32: what one operation writes is still in the cache when the next reads it. Half or twice as much made
# no clear difference when measured.
_ELEMENTS_PER_CHUNK = 1 << 19


def chunks(x: torch.Tensor, length: int, elements_per_item: int) -> Iterator[slice]:
    """Cut `range(length)` into slices whose intermediate results fit the cache of a CPU.

    Accelerators get everything in one slice (a kernel launch costs more than the traffic), and so do tracers, which
    would unroll the loop.

    Args:
        x: Tensor that tells the device.
        length: Number of independent items (samples, or rows of a matrix).
        elements_per_item: Numbers in the largest intermediate result of one item.
    """
    whole = x.device.type != "cpu" or torch.compiler.is_compiling()
    step = length if whole else max(1, _ELEMENTS_PER_CHUNK // elements_per_item)
    for start in range(0, length, max(step, 1)):
        yield slice(start, min(start + step, length))
