"""Residual two-layer perceptron on every pixel, without its hidden layer in memory.

The form common to the three pointwise branches of SwiftFormer (Shaker et al., ICCV 2023,
https://arxiv.org/abs/2303.15446): local representation, convolutional encoder and MLP. Same function as two 1×1
convolutions with a GELU between; differs in how it is computed, see `_ResidualMLP`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.ops.chunking import chunks
from nnunet_cardiac.architectures.ops.layout import to_map, to_tokens
from nnunet_cardiac.architectures.ops.mixed_precision import matmul_dtype, statistics_dtype, without_autocast

__all__ = ["ResidualPointwiseMLP"]


class ResidualPointwiseMLP(nn.Module):
    """`residual + scale * (W2 GELU(W1 x + b1) + b2)` at every pixel.

    Args:
        channels: Channels of input, residual and output.
        hidden_channels: Channels of the hidden layer.
        scale_init: First value of the learned factor per channel (layer scale).

    Shape:
        `x` and `residual` `(B, C, H, W)` to `(B, C, H, W)`.
    """

    def __init__(self, channels: int, hidden_channels: int, scale_init: float) -> None:
        super().__init__()
        self.expand = nn.Linear(channels, hidden_channels)
        self.project = nn.Linear(hidden_channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), float(scale_init)))
        for layer in (self.expand, self.project):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """Add the scaled perceptron of `x` to `residual`, both `(B, C, H, W)`."""
        rows, base = (to_tokens(t).flatten(0, 1).to(matmul_dtype(x)) for t in (x, residual))  # (B*H*W, C)
        with without_autocast(x):
            # The scale goes into the last weights: one pass over the map less, forward and backward.
            weight, bias = self.project.weight * self.scale[:, None], self.project.bias * self.scale
            out = _ResidualMLP.apply(rows, base, self.expand.weight, self.expand.bias, weight, bias)
        return to_map(out.unflatten(0, (x.shape[0], -1)), *x.shape[2:])


class _ResidualMLP(torch.autograd.Function):
    """`base + W2 GELU(W1 x + b1) + b2` for the rows of a matrix.

    The hidden layer has up to four times the channels of the map, and writing it out costs more time than the
    products. It is therefore computed in pieces that stay in the cache, and again in the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        base: torch.Tensor,
        w1: torch.Tensor,
        b1: torch.Tensor,
        w2: torch.Tensor,
        b2: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, w1, b1, w2)
        w1, b1, w2, b2 = (t.to(x.dtype) for t in (w1, b1, w2, b2))
        out = torch.empty_like(base)
        for rows in chunks(x, len(x), len(w1)):
            hidden = F.gelu(torch.addmm(b1, x[rows], w1.t()))
            out[rows] = base[rows] + b2
            out[rows].addmm_(hidden, w2.t())
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, *master = ctx.saved_tensors
        w1, b1, w2 = (t.to(x.dtype) for t in master)
        with without_autocast(x):
            dx = torch.empty_like(x)
            # Sums over the pieces in float32, whatever the type of the products.
            dw1, db1, dw2, db2 = (t.new_zeros(t.shape, dtype=statistics_dtype(t)) for t in (w1, b1, w2, w2[:, 0]))
            workspace = None
            for rows in chunks(x, len(x), len(w1)):
                dy, piece = grad[rows], x[rows]
                if workspace is None:  # the first piece is the longest; new memory for each would cost page faults
                    workspace = x.new_empty(3, len(piece), len(w1))
                hidden, activated, dhidden = workspace[:, : len(piece)]
                torch.addmm(b1, piece, w1.t(), out=hidden)
                torch.ops.aten.gelu.out(hidden, out=activated)
                dw2 += dy.t() @ activated
                db2 += dy.sum(0, dtype=db2.dtype)
                torch.mm(dy, w2, out=dhidden)
                torch.ops.aten.gelu_backward.grad_input(dhidden, hidden, grad_input=dhidden)
                torch.mm(dhidden, w1, out=dx[rows])
                dw1 += dhidden.t() @ piece
                db1 += dhidden.sum(0, dtype=db1.dtype)
        return dx, grad, dw1, db1, dw2, db2
