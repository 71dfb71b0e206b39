"""Cost of localising and segmenting a window against segmenting the whole volume: the 3D DR-UNet's two stages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures import DilatedResidualUNet, GCAMLocaliser
from nnunet_cardiac.benchmark.speed.passes import measure_passes
from nnunet_cardiac.cascade.coarse_to_fine import CropFromCoarse
from nnunet_cardiac.systems.dr_unet import DR_UNET

#: What is compared, in the order of the table.
WAYS = ("whole volume", "two stages")


@dataclass(frozen=True)
class StagesOptions:
    """How to measure.

    Attributes:
        volume: Slices, rows and columns of the volume.
        low: The same of the localiser's grid.
        window: The same of the window.
        filters: Channels of the first level of the segmenting network; the localiser has 8.
        classes: Output channels, background included.
        device: `cpu`, `cuda` or `mps`.
        threads: Processor threads of torch.
        rounds: Timed rounds; in each, both ways take a turn.
        memory: Whether to measure the peak memory.
        seed: Seed of weights and images.
    """

    volume: tuple[int, int, int] = (16, 256, 256)
    low: tuple[int, int, int] = (16, 128, 128)
    window: tuple[int, int, int] = (16, 128, 128)
    filters: int = 32
    classes: int = 4
    device: str = "cpu"
    threads: int = 1
    rounds: int = 3
    memory: bool = True
    seed: int = 0


class WholeVolume(nn.Module):
    """One pass of the network over the whole volume: image `(1, 1, Z, Y, X)` to logits."""

    def __init__(self, options: StagesOptions) -> None:
        super().__init__()
        self.network = DilatedResidualUNet(1, options.classes, filters=options.filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Segment `x`."""
        return self.network(x)


class TwoStages(nn.Module):
    """Localiser on the resampled volume, its map brought back, the network on the window, pasted.

    The weights are random, so the map is noise: it is computed, but the window lies around a heart of half its size in
    the middle of the volume, as it would with trained weights.
    """

    heart: torch.Tensor

    def __init__(self, options: StagesOptions) -> None:
        super().__init__()
        self.localiser = GCAMLocaliser(1, options.classes)
        self.segmenter = CropFromCoarse(
            options.classes,
            options.classes,
            network_class_name=DR_UNET,
            network_kwargs={"filters": options.filters},
            pass_coarse=False,
            window=options.window,
            margin=0,
            multiple=(1, 8, 8),
            centre="centroid",
            clamp=True,
        )
        self.low = options.low
        self.foreground = options.classes - 1
        heart = torch.zeros(options.volume)
        halves = [max(n // 4, 1) for n in options.window]
        middle = [slice(n // 2 - half, n // 2 + half) for n, half in zip(options.volume, halves, strict=True)]
        heart[tuple(middle)] = 1
        self.register_buffer("heart", heart)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Locate and segment `x`."""
        volume = x.shape[2:]
        drawn = self.localiser(F.interpolate(x, self.low, mode="trilinear"))
        found = F.interpolate(drawn[:, 1:2], volume, mode="trilinear")[0, 0]
        coarse = [self.heart * found.isfinite()] + [torch.zeros_like(self.heart)] * (self.foreground - 1)
        return self.segmenter(torch.cat((x, torch.stack(coarse)[None]), dim=1))


def measure_stages(options: StagesOptions, progress: bool = True) -> list[dict[str, Any]]:
    """Measure both ways in prediction; see :func:`nnunet_cardiac.benchmark.speed.passes.measure_passes`."""
    return measure_passes(WAYS, _build, _small, options, progress)


def _build(way: str, options: StagesOptions) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(options.seed)
    network = {"whole volume": WholeVolume, "two stages": TwoStages}[way](options)
    return network.eval().to(options.device), torch.randn(1, 1, *options.volume, device=options.device)


def _small(options: StagesOptions) -> StagesOptions:
    return replace(options, volume=(2, 16, 16), low=(2, 8, 8), window=(2, 8, 8), filters=2)
