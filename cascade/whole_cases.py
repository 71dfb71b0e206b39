"""Prediction of a case as a whole, in nnU-Net's predictor and in this package's.

nnU-Net's predictor moves a network over a case and shows it one tile at a time. Where a network finds a region, draws
a box, thresholds a map or gates slices, each tile would have a region, a box, a maximum and gates of its own. So
networks with a method `predict_case` (see `CaseSampling` in `nnunet_cardiac.architectures.contract`) get the case.

`nnunet_cardiac.trainers.stock_predictor` brings this into nnU-Net's own commands.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from torch import nn

from nnunet_cardiac.architectures.contract import CaseSampling
from nnunet_cardiac.cascade.crop import in_last_axes

#: nnU-Net's overlap of tiles, and the width of their weights.
_STEP, _SIGMA = 0.5, 1.0 / 8


@dataclass(frozen=True)
class WholeCase:
    """How a network that predicts whole cases was trained; a `CaseSampling` of `nnunet_cardiac.architectures`.

    Attributes:
        size: Slices, rows and columns of a training sample; rows and columns of one that is a slice.
        mirror_axes: Axes to mirror, counted from the last one (-1: columns).
    """

    size: tuple[int, ...]
    mirror_axes: tuple[int, ...] = ()

    @classmethod
    def of(cls, configuration: Mapping[str, Any], mirror_axes: Sequence[int] | None = None) -> WholeCase:
        """Read a configuration of the plans.

        Args:
            configuration: Its content; `training_patch_size` is the size of a sample where it is not the patch.
            mirror_axes: Axes of the patch to mirror, as nnU-Net counts them; None mirrors nothing.
        """
        patch = configuration["patch_size"]
        sample = configuration.get("training_patch_size", patch)
        size = (*patch[: len(patch) - len(sample)], *sample)
        size = size if len(size) == 3 else (1, *size)
        return cls(size, tuple(axis - len(patch) for axis in mirror_axes or ()))

    def mirrored(
        self, run: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], x: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Mean of the outputs of `run` over mirror images of `x`; the first output has the axes of `x`."""
        axes = [axis for axis in self.mirror_axes if axis >= 2 - x.ndim]  # batch and channels are not mirrored
        flips = [flip for n in range(len(axes) + 1) for flip in itertools.combinations(axes, n)]
        totals: tuple[torch.Tensor, ...] | None = None
        for flip in flips:
            first, *others = run(x.flip(flip) if flip else x)
            outputs = (first.flip(flip) if flip else first, *others)
            totals = outputs if totals is None else tuple(a + b for a, b in zip(totals, outputs, strict=True))
        return tuple(total / len(flips) for total in totals or ())

    def tiled(self, run: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Mean of the outputs of `run` over overlapping tiles, weighted as nnU-Net does.

        Args:
            run: Takes tiles (..., *size) and returns (B, K, *size).
            x: Input (..., *spatial), nowhere smaller than a tile.
            size: Of a tile, one entry for each of the last axes.

        Returns:
            (B, K, *spatial) in float32.
        """
        axes, spatial = len(size), tuple(x.shape[x.ndim - len(size) :])
        if spatial == tuple(size):
            return run(x)
        weight = compute_gaussian(tuple(size), _SIGMA, dtype=torch.float32, device=x.device)
        steps = compute_steps_for_sliding_window(spatial, tuple(size), _STEP)
        totals: list[torch.Tensor] = []  # one, as soon as the first output says the number of classes
        weights = x.new_zeros(spatial, dtype=torch.float32)
        for corner in itertools.product(*steps):
            place = tuple(slice(at, at + n) for at, n in zip(corner, size, strict=True))
            output = run(x[in_last_axes(place)])
            if not totals:
                totals = [output.new_zeros((*output.shape[:-axes], *spatial), dtype=torch.float32)]
            totals[0][in_last_axes(place)] += output * weight
            weights[place] += weight
        return totals[0] / weights


class _PredictsCases(Protocol):
    """A network for which `predicts_cases` is true."""

    def predict_case(self, image: torch.Tensor, sampling: CaseSampling) -> torch.Tensor: ...


def predicts_cases(network: nn.Module) -> bool:
    """Tell whether a network predicts whole cases."""
    return hasattr(bare(network), "predict_case")


def bare(network: nn.Module) -> nn.Module:
    """Return a network without the wrappers of distributed training and compilation."""
    network = getattr(network, "module", network)
    return getattr(network, "_orig_mod", network)


@torch.inference_mode()
def predict_case(network: nn.Module, image: torch.Tensor, case: WholeCase, device: torch.device) -> torch.Tensor:
    """Return the logits of a preprocessed case.

    Args:
        network: One that predicts whole cases, on its device, in evaluation mode.
        image: Case (C, Z, Y, X), coarse labels behind the image.
        case: How the network was trained.
        device: Where the network is.

    Returns:
        Logits (K + 1, Z, Y, X) in float16, as nnU-Net keeps them.

    Raises:
        RuntimeError: If a logit is too large for float16, as nnU-Net does.
    """
    predicting = cast("_PredictsCases", bare(network))
    logits = predicting.predict_case(image.to(device), case).half()
    if torch.isinf(logits).any():
        raise RuntimeError("A logit is too large for float16; the network's output is not usable.")
    return logits
