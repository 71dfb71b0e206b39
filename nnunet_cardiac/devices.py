"""Choice of the device."""

from __future__ import annotations


def choose_device(name: str) -> str:
    """Return what nnU-Net is to use: the name itself, or for `auto` a GPU if there is one."""
    if name != "auto":
        return name
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
