"""The arithmetic of efficient additive attention for one or several anatomies, forward and backward.

With unit queries q and keys k (one row per token), scores s = q·w and the pooled query g = ρ Σ s q / ‖s‖, anatomy a
becomes

    x_a + D_a q_a + Σ_b P_ab (g_a ⊙ k_b) + c_a,        D_a = λ W_f,   P_ab = λ W_f W_p^ab.

Three identities keep the passes over the tokens few: g enters the weights (P_ab diag g_a, one small matrix per sample),
so no product g ⊙ k is formed; the norm of the scores is one number per sample, applied after the sum over the tokens;
and the gradient of g follows from those of the small matrices. The gradient is written out because autograd would keep,
and later add up, five maps of twice the channels.

Letters: K anatomies, B samples, N tokens, C channels.
"""

from typing import Any, NamedTuple

import torch

from nnunet_cardiac.architectures.ops.chunking import chunks
from nnunet_cardiac.architectures.ops.mixed_precision import statistics_dtype, without_autocast

__all__ = ["PooledQueryAttention"]

_EPS = 1e-12  # as torch.nn.functional.normalize


class _Weights(NamedTuple):
    """The learned tensors, or sums of their gradients."""

    w_in: torch.Tensor  # (K, 2C, C)
    b_in: torch.Tensor  # (K, 2C)
    w_score: torch.Tensor  # (K, C)
    w_query: torch.Tensor  # (K, C, C)
    w_key: torch.Tensor  # (K, K, C, C)
    bias: torch.Tensor  # (K, C)


class _Pooled(NamedTuple):
    """What a group of samples leaves for the backward pass."""

    unit: torch.Tensor  # (K, B, N, 2, C): unit query and unit key of each token
    inverse_length: torch.Tensor  # (K, B, N, 2, 1): one over their lengths before
    score: torch.Tensor  # (K, B, N, 1)
    inverse_norm: torch.Tensor  # (K, B, 1, 1): one over the norm of the scores over the tokens
    query: torch.Tensor  # (K, B, 1, C): pooled query g


class PooledQueryAttention(torch.autograd.Function):
    """Differentiable core shared by self- and cross-attention.

    Matrix products run in the type of `x`; lengths, scores and sums over tokens in at least float32.

    Args of `apply`:
        x: Tokens `(K, B, N, C)`.
        w_in: Query above key projections `(K, 2C, C)`.
        b_in: Their biases `(K, 2C)`.
        w_score: Score vectors `(K, C)`.
        w_query: D above, `(K, C, C)`: anatomy, out, in.
        w_key: P above, `(K, K, C, C)`: output anatomy, key anatomy, out, in.
        bias: c above, `(K, C)`.
        factor: ρ above.
        residual: Whether to add `x`.

    Returns:
        Tokens `(K, B, N, C)`.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *args: Any) -> torch.Tensor:
        weights, (ctx.factor, ctx.residual) = _Weights(*args[:6]), args[6:]
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        saved: list[torch.Tensor] = []
        for samples in _groups(x):
            pooled = _pool(x[:, samples], weights, ctx.factor)
            _combine(out[:, samples], pooled, weights)
            if ctx.residual:
                out[:, samples] += x[:, samples]
            saved += pooled
        ctx.save_for_backward(x, *weights, *saved)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, *tensors = ctx.saved_tensors
        weights, saved = _Weights(*tensors[:6]), tensors[6:]
        sums = _Weights(*(w.new_zeros(w.shape, dtype=statistics_dtype(w)) for w in weights))
        dx = torch.empty_like(x, memory_format=torch.contiguous_format)
        with without_autocast(x):
            for i, samples in enumerate(_groups(x)):
                pooled = _Pooled(*saved[5 * i : 5 * i + 5])
                dunit, dquery = _combine_backward(grad[:, samples], pooled, weights, sums)
                _pool_backward(dunit, dquery, pooled, weights, sums, ctx.factor)
                dx[:, samples] = _project_backward(dunit, x[:, samples], weights, sums)
                if ctx.residual:
                    dx[:, samples] += grad[:, samples]
        return dx, *sums, None, None


def _groups(x: torch.Tensor) -> list[slice]:
    anatomies, samples, tokens, channels = x.shape
    return list(chunks(x, samples, 2 * anatomies * tokens * channels))


def _pool(x: torch.Tensor, weights: _Weights, factor: float) -> _Pooled:
    """Project `(K, B, N, C)` to unit queries and keys, score the queries and sum them."""
    dtype = statistics_dtype(x)
    projected = torch.baddbmm(weights.b_in[:, None].to(x), x.flatten(1, 2), weights.w_in.mT.to(x))
    unit = projected.view(*x.shape[:3], 2, -1)
    length = torch.linalg.vector_norm(unit, dim=-1, keepdim=True, dtype=dtype)
    inverse_length = length.clamp_min_(_EPS).reciprocal_()
    unit *= inverse_length.to(unit)
    query = unit[..., 0, :].to(dtype)
    score = torch.bmm(query.flatten(1, 2), weights.w_score[..., None].to(dtype)).view(*x.shape[:3], 1)
    inverse_norm = torch.linalg.vector_norm(score, dim=2, keepdim=True).clamp_min(_EPS).reciprocal()
    return _Pooled(unit, inverse_length, score, inverse_norm, score.mT @ query * (factor * inverse_norm))


def _per_sample(w_key: torch.Tensor, query: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """P diag g: `(C, C)` and the pooled query `(B, 1, C)` to `(B, C, C)` in the type of `like`."""
    return (w_key * query).to(like)


def _own_weights(a: int, pooled: _Pooled, weights: _Weights) -> torch.Tensor:
    """What anatomy `a` applies to its own query and key side by side, `(B, C, 2C)`."""
    from_key = _per_sample(weights.w_key[a, a], pooled.query[a], pooled.unit)
    return torch.cat((weights.w_query[a].to(from_key).expand_as(from_key), from_key), dim=-1)


def _combine(out: torch.Tensor, pooled: _Pooled, weights: _Weights) -> None:
    """Write the attention of each anatomy into `out` `(K, B, N, C)`."""
    for a, own in enumerate(pooled.unit):
        bias = weights.bias[a].to(own)
        out[a] = torch.baddbmm(bias, own.flatten(-2), _own_weights(a, pooled, weights).mT)
        for b, other in enumerate(pooled.unit):
            if b != a:
                out[a].baddbmm_(other[..., 1, :], _per_sample(weights.w_key[a, b], pooled.query[a], own).mT)


def _combine_backward(
    grad: torch.Tensor, pooled: _Pooled, weights: _Weights, sums: _Weights
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of the unit vectors `(K, B, N, 2, C)` and, by way of the output alone, of g `(K, B, 1, C)`."""
    dunit = torch.empty_like(pooled.unit)
    dquery = torch.zeros_like(pooled.query)
    channels = grad.shape[-1]
    for a, dy in enumerate(grad):
        torch.bmm(dy, _own_weights(a, pooled, weights), out=dunit[a].flatten(-2))
        dw = torch.bmm(dy.mT, pooled.unit[a].flatten(-2)).to(dquery)  # (B, C, 2C)
        sums.w_query[a] += dw[..., :channels].sum(0)
        sums.bias[a] += dy.sum((0, 1), dtype=dquery.dtype)
        for b, other in enumerate(pooled.unit):
            dkey = dw[..., channels:] if a == b else torch.bmm(dy.mT, other[..., 1, :]).to(dquery)
            sums.w_key[a, b] += (dkey * pooled.query[a]).sum(0)
            dquery[a] += (dkey * weights.w_key[a, b]).sum(1, keepdim=True)
    for a, dy in enumerate(grad):
        for b in range(len(grad)):
            if a != b:
                dunit[b, ..., 1, :].baddbmm_(dy, _per_sample(weights.w_key[a, b], pooled.query[a], dy))
    return dunit, dquery


def _pool_backward(
    dunit: torch.Tensor, dquery: torch.Tensor, pooled: _Pooled, weights: _Weights, sums: _Weights, factor: float
) -> None:
    """Carry the gradient of g to the queries, then that of the unit vectors to the vectors before; in place."""
    query = pooled.unit[..., 0, :].to(dquery)
    shrink = (pooled.query * dquery).sum(-1, keepdim=True) * pooled.inverse_norm.square()
    dscore = query @ dquery.mT * (factor * pooled.inverse_norm) - pooled.score * shrink
    sums.w_score.add_((dscore.mT @ query).sum((1, 2)))
    # ∂g/∂q_i is a rank-two matrix: the share of token i in g, and its score's dependence on q_i along w.
    coefficients = torch.cat((pooled.score * (factor * pooled.inverse_norm), dscore), dim=-1)
    directions = torch.cat((dquery, weights.w_score[:, None, None].expand_as(dquery)), dim=-2)
    dunit[..., 0, :].flatten(0, 1).baddbmm_(coefficients.flatten(0, 1).to(dunit), directions.flatten(0, 1).to(dunit))
    along = (dunit * pooled.unit).sum(-1, keepdim=True, dtype=dquery.dtype).to(dunit)
    dunit.addcmul_(pooled.unit, along, value=-1).mul_(pooled.inverse_length.to(dunit))


def _project_backward(dunit: torch.Tensor, x: torch.Tensor, weights: _Weights, sums: _Weights) -> torch.Tensor:
    """Gradient of the tokens `(K, B, N, C)` from that of their queries and keys before normalisation."""
    dprojected = dunit.flatten(3).flatten(1, 2)  # (K, B*N, 2C)
    sums.w_in.add_(torch.bmm(dprojected.mT, x.flatten(1, 2)))
    sums.b_in.add_(dprojected.sum(1, dtype=sums.b_in.dtype))
    return torch.bmm(dprojected, weights.w_in.to(x)).view_as(x)
