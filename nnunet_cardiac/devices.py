"""Choice of the device, and the processor cores that are ours."""

from __future__ import annotations

import os


def choose_device(name: str) -> str:
    """Return what nnU-Net is to use: the name itself, or for `auto` a GPU if there is one."""
    if name != "auto":
        return name
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def usable_cores() -> int:
    """Return how many processor cores this process may use.

    Containers and batch systems often lend some cores of a large machine; the affinity knows (on Linux only).
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
