"""Activation checkpointing that leaves the statistics of batch normalisation as they are without it."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

__all__ = ["run_block"]


def run_block(block: nn.Module, *inputs: torch.Tensor, recompute: bool) -> torch.Tensor:
    """Run a block, and keep its inner activations for the backward pass or compute them again there.

    Args:
        block: Called with `inputs`.
        inputs: Tensors.
        recompute: Whether to save memory at the price of a second forward pass. Has no effect without gradients.
    """
    if not (recompute and torch.is_grad_enabled()):
        return block(*inputs)
    from torch.utils.checkpoint import checkpoint  # imports torch's compiler, which prediction can do without

    if torch.compiler.is_compiling():  # it cannot trace a context, and updates running averages once by itself
        return checkpoint(block, *inputs, use_reentrant=False)
    return checkpoint(
        block, *inputs, use_reentrant=False, context_fn=lambda: (contextlib.nullcontext(), _frozen_statistics(block))
    )


@contextlib.contextmanager
def _frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Keep running averages and their count as they are: the second pass over a batch must not count a second time."""
    norms = [layer for layer in block.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
    kept = [count.clone() for count in counts]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for count, before in zip(counts, kept, strict=True):
            count.copy_(before)
