"""bfloat16 training on processors that compute in it.

nnU-Net autocasts on CUDA only. On a processor with bfloat16 instructions (AVX-512 BF16, AMX) the training step is
faster in bfloat16: 1.3 to 1.7 s instead of 2.0 to 2.5 s for the E-2A U-Net (8 x 128 x 128, two cores with AMX).
Prediction stays in float32. So does the training of networks that convolve volumes: oneDNN's weight gradient of a
1 x 1 x 1 convolution in bfloat16 writes beyond its memory for some sizes (torch 2.14 on a processor with AMX: 32
channels of 5 x 96 x 96 voxels), and the process dies.
"""

from __future__ import annotations

import contextlib
import os
import platform

import torch
from torch import nn

from nnunet_cardiac.errors import UserError

#: Environment variable: `auto` (default), `bf16` or `fp32`.
VARIABLE = "NNUNET_CARDIAC_CPU_PRECISION"


def cpu_computes_bf16() -> bool:
    """Tell whether this processor has bfloat16 instructions.

    oneDNN alone is no judge: on any processor with AVX-512 it says yes and emulates bfloat16, four times as slow.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch 2.5 and later
        return any(getattr(torch.cpu, name, bool)() for name in names)
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def convolves_volumes(network: nn.Module) -> bool:
    """Tell whether a network has three-dimensional convolutions."""
    return any(isinstance(module, nn.Conv3d) for module in network.modules())


def cpu_autocast(device: torch.device, volumes: bool = False) -> contextlib.AbstractContextManager:
    """Return the autocast context of a training step.

    Args:
        device: Where the network is. Other devices than the CPU are nnU-Net's business and get a null context.
        volumes: Whether the network convolves volumes; bfloat16 is then for those alone who ask for it.

    Raises:
        UserError: If the environment variable has an unknown value.
    """
    wanted = os.environ.get(VARIABLE, "auto").lower()
    if wanted not in ("auto", "bf16", "fp32"):
        raise UserError(f"{VARIABLE} is {wanted!r}, expected auto, bf16 or fp32.")
    if device.type != "cpu" or wanted == "fp32" or (wanted == "auto" and (volumes or not cpu_computes_bf16())):
        return contextlib.nullcontext()
    return torch.autocast("cpu", dtype=torch.bfloat16)
