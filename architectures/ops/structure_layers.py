"""Layers whose shape depends on the number of structures, marked so that pretrained weights fit other structures.

nnU-Net's `-pretrained_weights` copies every parameter but those with `.seg_layers.` in their name, the output layers of
its own networks; a parameter of another shape ends the training. So the layers here have these words in their names in
a state dict, and there alone: attributes keep their names, and state dicts without the words load as well.
"""

from typing import Any, TypeVar

import torch
from torch import nn

__all__ = ["of_structures"]

_MARK = "seg_layers."

Layer = TypeVar("Layer", bound=nn.Module)


def of_structures(layer: Layer) -> Layer:
    """Mark a layer, or a module with everything in it, as one that depends on the number of structures.

    Args:
        layer: Part of a network, under whatever name: `head.weight` becomes `head.seg_layers.weight`.

    Returns:
        The same layer.
    """
    # The public names of both hooks are younger than the oldest torch that is supported. Functions, not methods, so
    # that copies of a network have hooks of their own and networks can be pickled.
    layer._register_state_dict_hook(_mark)
    layer._register_load_state_dict_pre_hook(_unmark)
    return layer


def _mark(_: nn.Module, state: dict[str, torch.Tensor], prefix: str, *__: Any) -> None:
    for key in [key for key in state if key.startswith(prefix)]:
        state[f"{prefix}{_MARK}{key[len(prefix) :]}"] = state.pop(key)


def _unmark(state: dict[str, torch.Tensor], prefix: str, *_: Any) -> None:
    marked = f"{prefix}{_MARK}"
    for key in [key for key in state if key.startswith(marked)]:
        state[f"{prefix}{key[len(marked) :]}"] = state.pop(key)
