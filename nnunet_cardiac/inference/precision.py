"""Number format of a prediction."""

from __future__ import annotations

import contextlib

import torch

from nnunet_cardiac.cpu_precision import cpu_autocast

#: `auto`: float16 on CUDA as nnU-Net has it, bfloat16 on processors that compute in it, else float32.
PRECISIONS = ("auto", "fp32", "bf16")


def prediction_autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Return the context in which networks are evaluated.

    Args:
        device: Where the networks are.
        precision: One of :data:`PRECISIONS`.

    Raises:
        ValueError: If the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}.")
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    if precision == "auto" and device.type == "cuda":
        return torch.autocast("cuda")
    return cpu_autocast(device) if precision == "auto" else contextlib.nullcontext()
