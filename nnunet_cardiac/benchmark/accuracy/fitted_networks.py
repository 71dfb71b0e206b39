"""Networks of a budget: nnU-Net's own for another patch and width, switches of ours, pooling of the slice axis."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_cardiac.benchmark.topology import topology_for
from nnunet_cardiac.planning.slice_crops import CROP_NETWORK
from nnunet_cardiac.planning.volume_sizes import divisor_for
from nnunet_cardiac.systems.kinds import Network

#: Entries of `arch_kwargs` with a number for each stage of the encoder, or of the decoder.
_PER_STAGE = ("n_conv_per_stage", "n_blocks_per_stage")
_PER_STAGE_DECODER = "n_conv_per_stage_decoder"


def fitted(entry: Mapping[str, Any], patch: int | None, width: float) -> dict[str, Any]:
    """Return a planned configuration of nnU-Net's with another patch and narrower networks.

    The topology is what nnU-Net's planner derives for this patch and spacing; sides stay multiples of what it asks for.

    Args:
        entry: With `spacing`, `patch_size` and `architecture` of a plain or residual U-Net.
        patch: Longest side in-plane in pixels; None keeps nnU-Net's.
        width: Factor on the widths.
    """
    new = copy.deepcopy(dict(entry))
    wanted = list(entry["patch_size"])
    if patch is not None:
        wanted[-2:] = [min(side, patch) for side in wanted[-2:]]
    if wanted == list(entry["patch_size"]) and width == 1:
        return new
    topology = topology_for(entry["spacing"], wanted)
    stages, kwargs = len(topology.strides), new["architecture"]["arch_kwargs"]
    kwargs |= {
        "n_stages": stages,
        "features_per_stage": topology.widths(width),
        "strides": topology.strides,
        "kernel_sizes": topology.kernels,
    }
    for name in _PER_STAGE:
        if name in kwargs:
            kwargs[name] = _of_length(kwargs[name], stages)
    kwargs[_PER_STAGE_DECODER] = _of_length(kwargs[_PER_STAGE_DECODER], stages - 1)
    new["patch_size"] = list(topology.patch)
    return new


def switched(entry: Mapping[str, Any], network: Network) -> dict[str, Any]:
    """Return a configuration whose network, or the one inside its window, has other switches.

    Args:
        entry: Of the plans; it may leave the network to the trainer.
        network: Which network, with the arguments that differ.
    """
    new = copy.deepcopy(dict(entry))
    own = new["architecture"]
    kwargs = own["arch_kwargs"]
    if own["network_class_name"] == CROP_NETWORK:
        inner = {**kwargs.get("network_kwargs", {}), **network.arguments}
        kwargs |= {"network_class_name": network.path, "network_kwargs": inner}
    else:
        kept = kwargs if own["network_class_name"] == network.path else {}
        new["architecture"] = Network(network.path, {**kept, **network.arguments}).to_plans()
    return new


def with_pooled_slices(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of volumes whose patch and window suit a network that pools the slice axis, too."""
    new = copy.deepcopy(dict(entry))
    divisor = divisor_for(keep_z=False)
    for name in ("patch_size", "training_patch_size"):
        if name in new:
            new[name] = [_rounded_up(new[name][0], divisor[0]), *new[name][1:]]
    kwargs = new["architecture"]["arch_kwargs"]
    if "window" in kwargs:
        kwargs["window"] = [_rounded_up(kwargs["window"][0], divisor[0]), *kwargs["window"][1:]]
        kwargs["multiple"] = list(divisor)
        new["patch_size"][0] = max(new["patch_size"][0], kwargs["window"][0])
    return new


def _of_length(values: Sequence[int], length: int) -> list[int]:
    """The first values, the last repeated where more are needed, as in the planner's own tables."""
    return [*values[:length], *[values[-1]] * (length - len(values))]


def _rounded_up(n: int, divisor: int) -> int:
    return math.ceil(n / divisor) * divisor
