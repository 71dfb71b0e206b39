"""Floating-point operations of a function, counted while it runs.

torch's counter knows no in-place products, counts the weight gradient of a grouped convolution `groups` times and, in
some versions, knows no attention on a processor. All of it matters for the networks of this package and is mended here.
Counted are convolutions and matrix products, a multiplication and an addition as two operations. Normalisation,
activation, attention weights by element and resampling are not: they cost time by the memory they move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def count_flop(function: Callable[[], object]) -> int:
    """Run a function and return its floating-point operations."""
    with FlopCounterMode(display=False, custom_mapping=_FORMULAS) as counter:
        function()
    return int(counter.get_total_flops())


def _product(_base: Sequence[int], a: Sequence[int], b: Sequence[int], *_: Any, **__: Any) -> int:
    """`base += a @ b` with a (..., M, K) and b (..., K, N)."""
    return 2 * prod(a) * b[-1]


def _convolution_gradients(
    gradient: Sequence[int],
    x: Sequence[int],
    weight: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    wanted: Sequence[bool],
    **_: Any,
) -> int:
    """Gradients of input and weight: each meets the same pairs of numbers as the forward pass."""
    places = prod((x if transposed else gradient)[2:])
    return 2 * x[0] * places * prod(weight) * (wanted[0] + wanted[1])


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Attention of queries (..., L, D) to keys (..., S, D) and values (..., S, E): the scores and their products."""
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _attention_gradients(
    _gradient: Sequence[int], query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any
) -> int:
    """The scores again, and the gradients of query, key, value and scores."""
    return 2 * prod(query[:-1]) * key[-2] * (3 * query[-1] + 2 * value[-1])


_FORMULAS = {
    torch.ops.aten.addmm_: _product,
    torch.ops.aten.baddbmm_: _product,
    torch.ops.aten.convolution_backward: _convolution_gradients,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_gradients,
}
