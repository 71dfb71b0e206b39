"""Entries of networks that regress a box on slices, and of those that crop slices from a coarse prediction.

A cropping configuration inherits from nnU-Net's `2d` and shares its preprocessed data. Its `spacing` keeps two entries,
so no slice is resampled, and its `patch_size` gets three, so a whole stack is one sample at inference and the box is
taken over the volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.request import Request
from nnunet_cardiac.systems.kinds import BoxRegressor, Network, SliceCrop

#: Dotted path of the network of every cropping configuration.
CROP_NETWORK = "nnunet_cardiac.cascade.coarse_to_fine.CropFromCoarse"

#: Largest shift of a training window in pixels.
_JITTER_PIXELS = 8

#: What the side of a window is a multiple of.
_MULTIPLE = 16


def box_regressor_entry(kind: BoxRegressor, request: Request) -> dict[str, Any]:
    """Plan a regressor: its slices are so large that whole images of the data set fit."""
    margin = request.trainer.of_kind(SliceCrop)[0].margin if request.options.margin is None else request.options.margin
    patch = request.hearts(margin).whole_slice_patch()
    return roi_configuration(kind.network, patch, bool(request.options.per_slice))


def slice_crop_entry(kind: SliceCrop, request: Request) -> dict[str, Any]:
    """Plan a crop: the window holds 95 percent of the hearts of the data set.

    Raises:
        UserError: If window or margin does not fit.
    """
    options = request.options
    margin = kind.margin if options.margin is None else options.margin
    hearts = request.hearts(margin)
    window = hearts.window() if options.window is None else (options.window, options.window)
    try:
        rule = RegionRule(window, margin=margin, multiple=_MULTIPLE, **options.shown)
    except ValueError as error:
        raise UserError(f"--window or --margin: {error}") from error
    return crop_configuration(
        options.localiser or kind.localiser,
        rule,
        hearts.inference_patch(),
        network=kind.network,
        jitter=_JITTER_PIXELS if options.jitter is None else options.jitter,
        coarse_labels=options.coarse_labels or request.trainer.coarse_labels,
        coarse_trainer=options.localiser_trainer,
    )


def crop_configuration(
    coarse: str,
    rule: RegionRule,
    patch_size: Sequence[int],
    *,
    network: Network | None = None,
    jitter: int | Sequence[int] = 8,
    coarse_labels: str = "predicted",
    coarse_trainer: str | None = None,
    inherits_from: str = "2d",
) -> dict[str, Any]:
    """Make the entry of a cropping configuration.

    Args:
        coarse: Configuration of the first stage.
        rule: How the window is found.
        patch_size: Inference patch (z, y, x), in which a whole case should fit.
        network: Inside the window; None leaves the choice to the trainer.
        jitter: Largest shift of a training window in voxels, a number or one per window axis.
        coarse_labels: `predicted` (first-stage validation results, out of fold) or `simulated` (corrupted reference
            labels where those are missing).
        coarse_trainer: Trainer of the first stage, if it is another one.
        inherits_from: Configuration whose preprocessed data are shared.

    Returns:
        The entry, JSON-ready.
    """
    arch_kwargs = rule.to_plans()
    if network is not None:
        arch_kwargs |= {"network_class_name": network.path, "network_kwargs": dict(network.arguments)}
    entry = {
        "inherits_from": inherits_from,
        "previous_stage": coarse,
        "next_stage": None,
        "patch_size": list(patch_size),
        "architecture": Network(CROP_NETWORK, arch_kwargs).to_plans(),
        "jitter": jitter if isinstance(jitter, int) else list(jitter),
        "coarse_labels": coarse_labels,
    }
    return entry if coarse_trainer is None else {**entry, "coarse_trainer": coarse_trainer}


def roi_configuration(network_path: str, patch_size: Sequence[int], per_slice: bool = False) -> dict[str, Any]:
    """Make the entry of a configuration that regresses the box of the heart: slices in training, stacks at prediction.

    Args:
        network_path: Dotted path of the regressor.
        patch_size: Inference patch (z, y, x); its slices are the training patch, so that every slice is seen whole.
        per_slice: One box per slice instead of one per stack.

    Returns:
        The entry, JSON-ready.
    """
    return {
        "inherits_from": "2d",
        "previous_stage": None,
        "next_stage": None,
        "patch_size": list(patch_size),
        "training_patch_size": list(patch_size[-2:]),
        "architecture": Network(network_path, {"per_slice": per_slice}).to_plans(),
    }
