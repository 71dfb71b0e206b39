"""Cost of localising and segmenting a window against segmenting the whole volume: the 3D DR-UNet's two stages."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from nnunet_cardiac.architectures import DilatedResidualUNet, GCAMLocaliser
from nnunet_cardiac.benchmark.memory import can_measure, growth_in_own_process
from nnunet_cardiac.cascade.coarse_to_fine import CropFromCoarse
from nnunet_cardiac.systems import DR_UNET

_WARM_UP = 1

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
    """Measure both ways in prediction, in turn, so that what else the machine does meets them alike.

    Returns:
        One entry for each of `WAYS`: `way`, `seconds` of each round, `median_s`, `peak_bytes` (None if not measured),
        and the ratios of time and memory to the first.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        peaks = [_peak(way, options) for way in WAYS]
        seconds = _time(options, progress)
    finally:
        torch.set_num_threads(threads)
    results = []
    for way, times, peak in zip(WAYS, seconds, peaks, strict=True):
        results.append(
            {
                "way": way,
                "seconds": times,
                "median_s": median(times),
                "peak_bytes": peak,
                "time_ratio": median(times) / median(seconds[0]),
                "memory_ratio": peak / peaks[0] if peak and peaks[0] else None,
            }
        )
    return results


def stages_table(results: list[dict[str, Any]]) -> str:
    """Return the measurements as text."""
    lines = [f"{'forward pass':14}{'median s':>10}{'x':>7}{'peak MiB':>12}{'x':>7}"]
    for result in results:
        peak = "not measured" if result["peak_bytes"] is None else f"{result['peak_bytes'] / 2**20:.0f}"
        memory = "" if result["memory_ratio"] is None else f"{result['memory_ratio']:.2f}"
        lines.append(f"{result['way']:14}{result['median_s']:10.3f}{result['time_ratio']:7.2f}{peak:>12}{memory:>7}")
    return "\n".join(line.rstrip() for line in lines)


@functools.cache
def _build(way: str, options: StagesOptions) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(options.seed)
    network = {"whole volume": WholeVolume, "two stages": TwoStages}[way](options)
    return network.eval().to(options.device), torch.randn(1, 1, *options.volume, device=options.device)


def _time(options: StagesOptions, progress: bool) -> list[list[float]]:
    pairs = [_build(way, options) for way in WAYS]
    seconds: list[list[float]] = [[] for _ in WAYS]
    rounds = tqdm(range(_WARM_UP + options.rounds), desc="measure", disable=not progress)
    for i in rounds:
        for (network, x), kept in zip(pairs, seconds, strict=True):
            taken = _seconds(lambda network=network, x=x: _predict(network, x), options.device)
            if i >= _WARM_UP:
                kept.append(taken)
    return seconds


@torch.inference_mode()
def _predict(network: nn.Module, x: torch.Tensor) -> None:
    network(x)


def _seconds(function: Callable[[], None], device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    function()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()


def _peak(way: str, options: StagesOptions) -> int | None:
    """Growth of the memory by the pass: weights and input are there already."""
    if not options.memory:
        return None
    if options.device == "cuda":
        network, x = _build(way, options)
        _predict(network, x)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        _predict(network, x)
        return torch.cuda.max_memory_allocated() - before
    if options.device == "cpu" and can_measure():
        return growth_in_own_process(_predict_once, way, options, warm_up=_prepare)
    return None


def _predict_once(way: str, options: StagesOptions) -> None:
    torch.set_num_threads(options.threads)
    _predict(*_build(way, options))


def _prepare(way: str, options: StagesOptions) -> None:
    """Build, and make a small pass, so that weights and the code of torch's libraries are in memory already."""
    _build(way, options)
    small = {**asdict(options), "volume": (2, 16, 16), "low": (2, 8, 8), "window": (2, 8, 8), "filters": 2}
    _predict_once(way, StagesOptions(**small))
