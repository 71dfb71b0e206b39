"""Feature maps as token sequences and back, without copies.

The networks keep their maps in the channels-last memory format: on a CPU the 3×3 convolutions run faster in it, and a
map is then already the row-major token matrix that the pointwise layers and the attention multiply.
"""

import torch

__all__ = ["to_map", "to_tokens"]


def to_tokens(x: torch.Tensor) -> torch.Tensor:
    """Turn maps `(..., C, H, W)` into tokens `(..., H*W, C)`; a view if the maps are channels-last."""
    return x.movedim(-3, -1).flatten(-3, -2)


def to_map(tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Turn tokens `(..., H*W, C)` into maps `(..., C, H, W)`: the inverse of `to_tokens`, always a view."""
    return tokens.unflatten(-2, (height, width)).movedim(-1, -3)
