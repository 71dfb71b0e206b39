"""The networks to be measured: those that the trainers build, and nnU-Net's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_cardiac.cascade.coarse_to_fine import CropFromCoarse
from nnunet_cardiac.cascade.configurations import architecture, crop_configuration, roi_configuration
from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.registry import TRAINERS
from nnunet_cardiac.systems import ROI_REGRESSOR, SYSTEMS
from nnunet_cardiac.trainers.variants import BASES

NNUNET = "nnU-Net 2d"


@dataclass(frozen=True)
class Subject:
    """A network and the input it is measured with.

    Attributes:
        name: For the table.
        build: Makes the network.
        channels: Input channels.
        size: Height and width of the input.
    """

    name: str
    build: Callable[[], nn.Module]
    channels: int
    size: tuple[int, int]


def nnunet_subject(channels: int, classes: int, size: tuple[int, int]) -> Subject:
    """nnU-Net's 2D network as its default planner lays it out for a patch, with deep supervision.

    Raises:
        UserError: If nnU-Net would plan a larger patch.
    """
    planned = tuple(int(n) for n in get_pool_and_conv_props((1.0, 1.0), size, 4, 999999)[3])
    if planned != tuple(size):
        raise UserError(
            f"--patch {size[0]} {size[1]}: nnU-Net's network needs sides that it can halve; the next are "
            f"--patch {planned[0]} {planned[1]}."
        )
    return Subject(NNUNET, lambda: _plain_conv_unet(channels, classes, size), channels, size)


def subjects_of(
    trainer: str,
    configurations: Sequence[str] | None,
    channels: int,
    classes: int,
    size: tuple[int, int],
    window: tuple[int, int],
) -> list[Subject]:
    """Networks of a trainer.

    Args:
        trainer: Name in the registry.
        configurations: Which of its configurations; None means all.
        channels: Channels of the image.
        classes: Output classes, background included.
        size: Height and width of a whole slice.
        window: Height and width of the window of cropping configurations, whose inner network is measured.

    Raises:
        UserError: If the trainer or a configuration is unknown.
    """
    if trainer not in TRAINERS:
        raise UserError(f"unknown trainer {trainer!r}; known are {', '.join(TRAINERS)}.")
    known = list(TRAINERS[trainer].configurations)
    unknown = sorted(set(configurations or ()) - set(known))
    if unknown:
        raise UserError(f"{trainer} has no configuration {', '.join(unknown)}; it has {', '.join(known)}.")
    return [_subject(trainer, name, channels, classes, size, window) for name in configurations or known]


def _subject(
    trainer: str, name: str, channels: int, classes: int, size: tuple[int, int], window: tuple[int, int]
) -> Subject:
    system = SYSTEMS[trainer]
    crops = name in system.crops
    coarse = classes - 1 if crops else 0
    if crops:
        path, kwargs = system.crops[name] or (None, None)
        rule = RegionRule(window, 0)
        entry = crop_configuration("2d", rule, [24, *size], network_class_name=path, network_kwargs=kwargs)
    elif name == "2d_roi":
        entry = roi_configuration(ROI_REGRESSOR, [24, *size])
    else:
        entry = {"patch_size": list(size), "architecture": architecture("nnunet", {})}

    def build() -> nn.Module:
        manager = ConfigurationManager(entry)
        network = BASES[trainer].build_network_architecture(
            PlansManager({}), manager, channels + coarse, classes, enable_deep_supervision=False
        )
        return network.inner if isinstance(network, CropFromCoarse) else network

    seen = channels + (coarse if BASES[trainer].pass_coarse else 0)
    return Subject(f"{system_name(trainer)} {name}", build, seen, window if crops else size)


def system_name(trainer: str) -> str:
    """Short name of a trainer's system."""
    return TRAINERS[trainer].system


def _plain_conv_unet(channels: int, classes: int, size: tuple[int, int]) -> nn.Module:
    _, strides, kernels, _, _ = get_pool_and_conv_props((1.0, 1.0), size, 4, 999999)
    stages = len(strides)
    kwargs = {
        "n_stages": stages,
        "features_per_stage": [min(32 * 2**i, 512) for i in range(stages)],
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "kernel_sizes": kernels,
        "strides": strides,
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    requires_import = ("conv_op", "norm_op", "dropout_op", "nonlin")
    path = "dynamic_network_architectures.architectures.unet.PlainConvUNet"
    return get_network_from_plans(path, kwargs, requires_import, channels, classes, deep_supervision=True)


def parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def check_sizes(subjects: Sequence[Subject]) -> None:
    """Check that every network takes its input, before anything is timed.

    Raises:
        UserError: With the network's own message.
    """
    for subject in subjects:
        try:
            with torch.inference_mode():
                subject.build().eval()(torch.zeros(1, subject.channels, *subject.size))
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{subject.name}: {error} Choose another --patch or --window.") from error
