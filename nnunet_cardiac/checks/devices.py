"""What torch can compute on here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nnunet_cardiac.checks.finding import Finding, fail, ok

if TYPE_CHECKING:
    import torch


def check_devices() -> list[Finding]:
    """Report the CPU with its threads and bfloat16 speed, CUDA devices and Apple's MPS."""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library is missing or of another system
        return [fail("torch", f"cannot be imported: {error}", "Reinstall torch for this Python and system.")]
    speed = bfloat16_speed()
    findings = _check_torchvision()
    cpu = f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, bfloat16 convolution "
    findings.append(ok("device cpu", cpu + f"{speed:.1f} times as fast as float32 (measured)"))
    accelerators = [_describe_cuda(torch.cuda.get_device_properties(i), i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        accelerators.append(ok("device mps", "available"))
    return findings + (accelerators or [ok("device cuda", "none; train and predict with -device cpu")])


def _check_torchvision() -> list[Finding]:
    """Fail if torchvision cannot be imported; its error names an operator and says nothing of the reason.

    nnU-Net imports it through timm whenever it looks up a trainer that is not its own.
    """
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError as error:
        found = f"not installed ({error})"
    except Exception as error:  # a build for another torch raises ImportError, OSError or RuntimeError
        found = f"built for another torch, often CUDA beside CPU ({error})"
    else:
        return []
    return [
        fail(
            "torchvision",
            f"{found}; without it nnU-Net finds no trainer but its own",
            "Install torch and torchvision together, from the same source.",
        )
    ]


def bfloat16_speed() -> float:
    """Return how many times faster a typical 3x3 convolution is under CPU autocast to bfloat16; takes about 0.1 s."""
    import torch

    layer = torch.nn.Conv2d(32, 32, 3, padding=1)
    x = torch.rand(1, 32, 128, 128)
    with torch.inference_mode():
        plain = _best_seconds(layer, x)
        with torch.autocast("cpu", torch.bfloat16):
            half = _best_seconds(layer, x)
    return plain / half


def _best_seconds(layer: torch.nn.Module, x: torch.Tensor, repeats: int = 16) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        layer(x)
        seconds.append(time.perf_counter() - start)
    return min(seconds)  # the least disturbed run; the first also pays for the set-up


def _describe_cuda(properties: torch.cuda._CudaDeviceProperties, index: int) -> Finding:
    memory = properties.total_memory / 2**30
    return ok(
        f"device cuda:{index}", f"{properties.name}, {memory:.0f} GiB, capability {properties.major}.{properties.minor}"
    )
