"""Cost of a stack: all slices in one pass of the classifier-guided network, and nnU-Net's networks for the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import nn

from nnunet_cardiac.architectures import ClassifierGuidedNet
from nnunet_cardiac.benchmark.speed.arithmetic import count_flop
from nnunet_cardiac.benchmark.speed.networks_from_plans import stock_architecture
from nnunet_cardiac.benchmark.speed.passes import measure_passes
from nnunet_cardiac.benchmark.topology import topology_for

SLICE_BY_SLICE, VOLUME = "nnU-Net 2d, slice by slice", "nnU-Net 3d_fullres"
SINGLE, FULL = "one stage, single slices", "classifier-guided"

#: What is compared, in the order of the table.
WAYS = (SLICE_BY_SLICE, VOLUME, SINGLE, FULL)

#: Spacing (z, y, x) in mm by which nnU-Net lays its 3D network out: that of ACDC.
_SPACING = (10.0, 1.5, 1.5)


@dataclass(frozen=True)
class StacksOptions:
    """How to measure.

    Attributes:
        slices: Slices of the stack.
        size: Height and width in pixels.
        classes: Output channels, background included.
        device: `cpu`, `cuda` or `mps`.
        threads: Processor threads of torch.
        rounds: Timed rounds; in each, every way takes a turn.
        memory: Whether to measure the peak memory.
        seed: Seed of weights and images.
    """

    slices: int = 10
    size: tuple[int, int] = (256, 224)
    classes: int = 4
    device: str = "cpu"
    threads: int = 1
    rounds: int = 3
    memory: bool = True
    seed: int = 0


class SliceBySlice(nn.Module):
    """A 2D network on the slices of a stack `(1, 1, Z, H, W)`, one after the other as nnU-Net predicts them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Segment `x`."""
        return torch.stack([self.network(x[:, :, z]) for z in range(x.shape[2])], dim=2)


def measure_stacks(options: StacksOptions, progress: bool = True) -> list[dict[str, Any]]:
    """Measure all ways in prediction.

    Returns:
        As :func:`nnunet_cardiac.benchmark.speed.passes.measure_passes`, with `gflop` of a pass (10⁹ operations;
        a multiplication with its addition counts two).

    Raises:
        UserError: If nnU-Net has no network for slices of this size.
    """
    results = measure_passes(WAYS, build_way, _small, options, progress)
    return [{**result, "gflop": _gflop(result["way"], options)} for result in results]


def build_way(way: str, options: StacksOptions) -> tuple[nn.Module, torch.Tensor]:
    """Return a network in evaluation on its device and a stack of noise."""
    torch.manual_seed(options.seed)
    network = _network(way, options).eval().to(options.device)
    return network, torch.randn(1, 1, options.slices, *options.size, device=options.device)


def volume_architecture(slices: int, size: tuple[int, int]) -> dict[str, Any]:
    """Return the `architecture` entry that nnU-Net 2.8 plans for `3d_fullres` with ACDC's spacing and this patch.

    Args:
        slices: Slices of the patch; nnU-Net may round them up, which costs nothing here.
        size: Height and width of the patch in pixels.
    """
    topology = topology_for(_SPACING, (slices, *size))
    flat = stock_architecture(size)
    stages = len(topology.strides)
    arguments = {
        **flat["arch_kwargs"],
        "n_stages": stages,
        "features_per_stage": topology.widths(),
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": topology.kernels,
        "strides": topology.strides,
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    }
    return {**flat, "arch_kwargs": arguments}


def _network(way: str, options: StacksOptions) -> nn.Module:
    if way == FULL:
        return ClassifierGuidedNet(1, options.classes)
    if way == SINGLE:
        return ClassifierGuidedNet(1, options.classes, ref=False, fusion=False, classifier=None)
    volume = way == VOLUME
    plan = volume_architecture(options.slices, options.size) if volume else stock_architecture(options.size)
    network = get_network_from_plans(
        plan["network_class_name"],
        plan["arch_kwargs"],
        plan["_kw_requires_import"],
        1,
        options.classes,
        deep_supervision=False,
    )
    return network if volume else SliceBySlice(network)


def _gflop(way: str, options: StacksOptions) -> float:
    network, x = build_way(way, replace(options, device="cpu"))
    return count_flop(lambda: network(x)) / 1e9


def _small(options: StacksOptions) -> StacksOptions:
    return replace(options, slices=2, size=(64, 64))
