"""Gradient-weighted class activation maps of a network that ends in a 1×1×1 convolution, in closed form.

Vesal, Maier, Ravikumar, Journal of Imaging 6 (2020) 65, Eq. 1: GCAM_c(v) = ReLU(Σ_k x_k(v) ∂S_c/∂x_k(v)), with the
gradient taken for each voxel v, x the input of the last convolution and S_c the score of class c. That convolution is
z_c = ẑ_c + b_c with ẑ_c = Σ_k w_ck x_k, so the chain rule leaves nothing but products of ẑ and probabilities p:

| score S_c | map |
|---|---|
| Σ_v z_c | ReLU(ẑ_c) |
| Σ_v σ(z_c) | ReLU(p (1 − p) ẑ_c), p = σ(z_c) |
| Σ_v softmax(z)_c | ReLU(p_c (ẑ_c − Σ_j p_j ẑ_j)) |
| Σ_v (1 − softmax(z)_0) | ReLU(−p_0 (ẑ_0 − Σ_j p_j ẑ_j)) |

The paper does not say which score it takes. The sum of logits is the default: a probability saturates, so its map is
all but zero where the network is sure, and only the rim of the heart remains.
"""

import torch
import torch.nn.functional as F

from nnunet_cardiac.architectures.ops.mixed_precision import statistics_dtype, without_autocast

__all__ = ["SCORES", "gcam"]

SCORES = ("logit", "sigmoid", "softmax", "heart")


def gcam(
    features: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    score: str = "logit",
    channel: int = 0,
) -> torch.Tensor:
    """Activation map of one class, in at least float32 and without autograd.

    Args:
        features: Input `(B, C, *spatial)` of the last convolution.
        weight: Its weight `(K, C, 1, ...)`.
        bias: Its bias `(K,)`, or None.
        score: What the gradient is of, summed over voxels: `"logit"`, `"sigmoid"` or `"softmax"` of the channel, or
            `"heart"`, one minus the softmax of channel 0.
        channel: Output channel of the class; has no effect on `"heart"`.

    Returns:
        Map `(B, *spatial)`, nowhere negative; all zero where nothing speaks for the class.

    Raises:
        ValueError: If the score or the channel does not exist, or softmax is asked of a single channel.
    """
    if score not in SCORES:
        raise ValueError(f"score is {score!r}, expected one of {', '.join(map(repr, SCORES))}.")
    if score in ("softmax", "heart") and len(weight) < 2:
        raise ValueError(f"score {score!r} needs two or more channels, found one; take 'logit' or 'sigmoid'.")
    if not 0 <= channel < len(weight):
        raise ValueError(f"channel is {channel}, expected one of 0 to {len(weight) - 1}.")
    with without_autocast(features):
        dtype = statistics_dtype(features)
        free = torch.einsum("kc,bc...->bk...", weight.flatten(1).to(dtype), features.to(dtype))
        return _product(free, bias, score, channel).relu()


def _product(free: torch.Tensor, bias: torch.Tensor | None, score: str, channel: int) -> torch.Tensor:
    """Σ_k x_k ∂S/∂x_k `(B, *spatial)` from the logits without bias `(B, K, *spatial)`."""
    if score == "logit":
        return free[:, channel]
    logits = free if bias is None else free + bias.to(free.dtype).view(-1, *[1] * (free.ndim - 2))
    if score == "sigmoid":
        z = logits[:, channel]
        return z.sigmoid() * (-z).sigmoid() * free[:, channel]
    p = F.softmax(logits, dim=1)
    mean = (p * free).sum(1)
    if score == "softmax":
        return p[:, channel] * (free[:, channel] - mean)
    return p[:, 0] * (mean - free[:, 0])
