"""Several ways to one result, compared by their forward passes: time and peak memory, in turn."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Protocol

import torch
from torch import nn
from tqdm import tqdm

from nnunet_cardiac.benchmark.speed.memory import can_measure, growth_in_own_process

_WARM_UP = 1


class PassOptions(Protocol):
    """What the options of every comparison hold: read-only and hashable, as frozen data classes are.

    Attributes:
        device: `cpu`, `cuda` or `mps`.
        threads: Processor threads of torch.
        rounds: Timed rounds; in each, every way takes a turn.
        memory: Whether to measure the peak memory.
    """

    @property
    def device(self) -> str: ...

    @property
    def threads(self) -> int: ...

    @property
    def rounds(self) -> int: ...

    @property
    def memory(self) -> bool: ...

    def __hash__(self) -> int: ...


#: Makes the network, in evaluation and on its device, and the input of a way; can be pickled.
Build = Callable[[str, Any], tuple[nn.Module, torch.Tensor]]


def measure_passes(
    ways: Sequence[str],
    build: Build,
    shrink: Callable[[Any], Any],
    options: PassOptions,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Measure all ways in prediction, in turn, so that what else the machine does meets them alike.

    Args:
        ways: What is compared; the first is what the others are measured against.
        build: Makes network and input of a way.
        shrink: Makes options of a small pass, which loads torch's code before memory is measured; can be pickled.
        options: How to measure.
        progress: Whether to show a progress bar.

    Returns:
        One entry for each way: `way`, `seconds` of each round, `median_s`, `peak_bytes` (None if not measured), and the
        ratios of time and memory to the first.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        peaks = [_peak(way, build, shrink, options) for way in ways]
        seconds = _time(ways, build, options, progress)
    finally:
        torch.set_num_threads(threads)
    results = []
    for way, times, peak in zip(ways, seconds, peaks, strict=True):
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


def passes_table(results: list[dict[str, Any]]) -> str:
    """Return the measurements as text."""
    width = max(14, *(len(result["way"]) for result in results))
    lines = [f"{'forward pass':{width}}{'median s':>10}{'x':>7}{'peak MiB':>14}{'x':>7}"]
    for result in results:
        peak = "not measured" if result["peak_bytes"] is None else f"{result['peak_bytes'] / 2**20:.0f}"
        memory = "" if result["memory_ratio"] is None else f"{result['memory_ratio']:.2f}"
        lines.append(
            f"{result['way']:{width}}{result['median_s']:10.3f}{result['time_ratio']:7.2f}{peak:>14}{memory:>7}"
        )
    return "\n".join(line.rstrip() for line in lines)


def _time(ways: Sequence[str], build: Build, options: PassOptions, progress: bool) -> list[list[float]]:
    pairs = [build(way, options) for way in ways]
    seconds: list[list[float]] = [[] for _ in ways]
    rounds = tqdm(range(_WARM_UP + options.rounds), desc="measure", disable=not progress)
    for i in rounds:
        for (network, x), kept in zip(pairs, seconds, strict=True):
            taken = _seconds(functools.partial(_predict, network, x), options.device)
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


def _peak(way: str, build: Build, shrink: Callable[[Any], Any], options: PassOptions) -> int | None:
    """Growth of the memory by the pass: weights and input are there already."""
    if not options.memory:
        return None
    if options.device == "cuda":
        network, x = build(way, options)
        _predict(network, x)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        _predict(network, x)
        return torch.cuda.max_memory_allocated() - before
    if options.device == "cpu" and can_measure():
        return growth_in_own_process(_predict_once, way, build, shrink, options, warm_up=_prepare)
    return None


@functools.cache
def _built(way: str, build: Build, options: Any) -> tuple[nn.Module, torch.Tensor]:
    return build(way, options)


def _predict_once(way: str, build: Build, shrink: Callable[[Any], Any], options: PassOptions) -> None:
    torch.set_num_threads(options.threads)
    _predict(*_built(way, build, options))


def _prepare(way: str, build: Build, shrink: Callable[[Any], Any], options: PassOptions) -> None:
    """Load the code of torch's libraries by a small pass, and make what the measured pass works on."""
    _predict_once(way, build, shrink, shrink(options))
    _built(way, build, options)
