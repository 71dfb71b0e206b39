"""Transformer over all slices of a stack, the bottleneck of the classifier-guided network (section 2.2).

Two transformers in a row: the first attends between the slices at each position, the second between the positions of
each slice. There is no position encoding, so any number of slices will do and their order has no effect. The paper
leaves open what a token is; here it is the feature vector of a position of a slice, as in AFTer-UNet (Yan et al., WACV
2022), which the paper follows. Heads, layers and widths are ours.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.ops.layout import to_map, to_tokens

__all__ = ["SliceFusionTransformer", "TransformerBlock"]


class TransformerBlock(nn.Module):
    """t ← t + MHSA(LN t), t ← t + MLP(LN t): `(N, L, D)` to `(N, L, D)`, N sequences of L tokens.

    Args:
        width: Features D of a token.
        heads: Attention heads; divide D.
        mlp_ratio: Hidden units of the MLP per feature.
    """

    # The numbers are those of nn.TransformerEncoderLayer(norm_first=True), and a test compares the two. That layer does
    # not replace this one, because it names, orders and starts its weights otherwise: `-pretrained_weights` compares
    # names, the optimizer of a training to continue counts parameters, and Xavier's start is 1.2 times as wide. Its
    # inference kernel is also unknown to torch's counter of operations, on which `benchmark` relies.
    def __init__(self, width: int, heads: int = 8, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_ratio * width), nn.GELU(), nn.Linear(mlp_ratio * width, width))

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        """Let the tokens of each sequence attend to each other, then transform each of them."""
        t = t + self.project(self._attend(self.query_key_value(self.attention_norm(t))))
        return t + self.mlp(self.mlp_norm(t))

    def _attend(self, qkv: torch.Tensor) -> torch.Tensor:
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (N, heads, L, D / heads)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class SliceFusionTransformer(nn.Module):
    """Attention between the slices of a stack at each position, then between the positions of each slice.

    Slices that only fill a stack up have to be left out beforehand.

    Args:
        width: Channels D of the maps; a multiple of the heads.
        layers: Blocks of each of the two transformers.
        heads: Attention heads.
        mlp_ratio: Hidden units of the MLPs per channel.
        position: None, or `"sincos"`: sines and cosines of the place in the stack, 0 at its first and 1 at its last
            slice, are added to the tokens. The order of the slices then matters.

    Raises:
        ValueError: If an argument is outside its range.

    Shape:
        The slices `(S, D, h, w)` of one stack to the same.
    """

    def __init__(
        self, width: int, layers: int = 2, heads: int = 8, mlp_ratio: int = 4, position: str | None = None
    ) -> None:
        super().__init__()
        if min(width, layers, heads, mlp_ratio) < 1 or width % heads:
            raise ValueError(
                f"Found width {width}, layers {layers}, heads {heads} and mlp_ratio {mlp_ratio}, expected positive "
                f"numbers and a width that is a multiple of the heads."
            )
        if position not in (None, "sincos"):
            raise ValueError(f"position is {position!r}, expected None or 'sincos'.")
        self.position = position
        self.inter = nn.Sequential(*(TransformerBlock(width, heads, mlp_ratio) for _ in range(layers)))
        self.intra = nn.Sequential(*(TransformerBlock(width, heads, mlp_ratio) for _ in range(layers)))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Fuse the slices."""
        tokens = to_tokens(maps)  # (S, h * w, D)
        if self.position is not None:
            tokens = tokens + _place_in_stack(tokens)
        fused = self.inter(tokens.transpose(0, 1)).transpose(0, 1)
        return to_map(self.intra(fused), *maps.shape[2:])


def _place_in_stack(stack: torch.Tensor) -> torch.Tensor:
    """Sines and cosines `(Z, 1, D)` of the places of the slices of `(Z, P, D)`."""
    slices, _, width = stack.shape
    place = torch.linspace(0, 1, slices, device=stack.device)[:, None] if slices > 1 else stack.new_zeros(1, 1)
    octaves = torch.arange(-(-width // 2), device=stack.device) % 8  # half a turn over the stack up to 64 turns
    angles = math.pi * place * 2.0**octaves
    return torch.cat((angles.sin(), angles.cos()), dim=1)[:, None, :width].to(stack.dtype)
