"""Networks as their trainers build them, from made-up plans instead of a data set."""

from __future__ import annotations

from typing import Any

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

from nnunet_cardiac.benchmark.speed.options import REFERENCE, MeasuredNetwork, SpeedOptions
from nnunet_cardiac.benchmark.topology import topology_for
from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.slice_crops import crop_configuration, roi_configuration
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.systems.kinds import BoxRegressor, SliceCrop

#: Slices of the made-up stacks; no slice axis reaches a network here.
_SLICES = 24


def make_subject(trainer: str, configuration: str, options: SpeedOptions) -> MeasuredNetwork:
    """Say what input a configuration gets.

    A cropping one gets a training patch: the window, with one coarse channel for each foreground class.
    """
    entry = _entries(trainer, options)[configuration]
    if entry.get("previous_stage") is None:
        return MeasuredNetwork(trainer, configuration, options.channels, options.patch)
    window = (options.window, options.window)
    return MeasuredNetwork(trainer, configuration, options.channels + options.classes - 1, window)


def build_network(subject: MeasuredNetwork, options: SpeedOptions) -> nn.Module:
    """Build a network on the CPU.

    Args:
        subject: Which one. `REFERENCE` is built with deep supervision, as nnU-Net trains it.
        options: Sizes and numbers of channels.

    Raises:
        UserError: If nnU-Net has no network for this size.
    """
    if subject.trainer == REFERENCE:
        plan = stock_architecture(subject.size)
        return get_network_from_plans(
            plan["network_class_name"],
            plan["arch_kwargs"],
            plan["_kw_requires_import"],
            subject.channels,
            options.classes,
            deep_supervision=True,
        )
    manager = PlansManager(_plans(subject.trainer, options))
    return (
        TRAINERS[subject.trainer]
        .load()
        .build_network_architecture(
            manager, manager.get_configuration(subject.configuration), subject.channels, options.classes, False
        )
    )


def stock_architecture(size: tuple[int, int]) -> dict[str, Any]:
    """Return the `architecture` entry that nnU-Net 2.8 plans for 2d with square pixels and this patch.

    Args:
        size: Height and width of the patch in pixels.

    Raises:
        UserError: If nnU-Net would plan another patch, because the sides cannot be halved often enough.
    """
    topology = topology_for((1.0, 1.0), size)
    if topology.patch != tuple(size):
        needed, found, divisors = (" x ".join(map(str, pair)) for pair in (topology.patch, size, topology.divisor))
        raise UserError(
            f"--patch or --window: found {found} pixels, but nnU-Net's 2d network for images of this size needs "
            f"multiples of {divisors}; take {needed}."
        )
    stages = len(topology.strides)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": topology.widths(),
            "conv_op": "torch.nn.modules.conv.Conv2d",
            "kernel_sizes": topology.kernels,
            "strides": topology.strides,
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _plans(trainer: str, options: SpeedOptions) -> dict[str, Any]:
    """What networks are built from, in the form of nnU-Net's plans; what only data need is left out."""
    return {
        "dataset_name": "Dataset000_Benchmark",
        "plans_name": "benchmark",
        "configurations": _entries(trainer, options),
    }


def _entries(trainer: str, options: SpeedOptions) -> dict[str, dict[str, Any]]:
    whole = {
        "data_identifier": "benchmark_2d",
        "batch_size": options.batch,
        "patch_size": list(options.patch),
        "spacing": [1.0, 1.0],
        "architecture": stock_architecture(options.patch),
    }
    facts, stack = TRAINERS[trainer], (_SLICES, *options.patch)
    regressors = {one.name: roi_configuration(one.network, stack) for one in facts.of_kind(BoxRegressor)}
    crops = {one.name: _crop_entry(one, options) for one in facts.of_kind(SliceCrop)}
    return {"2d": whole, **regressors, **crops}


def _crop_entry(crop: SliceCrop, options: SpeedOptions) -> dict[str, Any]:
    try:
        rule = RegionRule((options.window, options.window))
    except ValueError as error:
        raise UserError(f"--window {options.window}: {error}") from error
    return crop_configuration(crop.localiser, rule, (_SLICES, *options.patch), network=crop.network)
