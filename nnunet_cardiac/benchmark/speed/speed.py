"""Measure networks beside nnU-Net's own, without a data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn
from tqdm import tqdm

from nnunet_cardiac.benchmark.speed.measurement import Measurement
from nnunet_cardiac.benchmark.speed.memory import can_measure, growth_in_own_process
from nnunet_cardiac.benchmark.speed.options import MeasuredNetwork, SpeedOptions
from nnunet_cardiac.benchmark.speed.workload import Workload
from nnunet_cardiac.errors import UserError

#: Untimed forward passes and training steps after those that are counted.
_WARM_UP = 2


@dataclass
class _Run:
    """One network while it is measured."""

    subject: MeasuredNetwork
    workload: Workload
    flop: tuple[int, int]
    peak_bytes: int | None
    forward_s: list[float] = field(default_factory=list)
    step_s: list[float] = field(default_factory=list)

    def result(self, batch: int) -> Measurement:
        """Return what was measured; counts for one image."""
        forward, step = self.flop
        return Measurement(
            subject=self.subject,
            batch=batch,
            parameters=self.workload.parameters,
            forward_flop=forward / batch,
            step_multiply_adds=step / 2 / batch,
            forward_s=tuple(self.forward_s),
            step_s=tuple(self.step_s),
            peak_bytes=self.peak_bytes,
        )


def measure_speed(
    subjects: Sequence[MeasuredNetwork], options: SpeedOptions, progress: bool = True
) -> list[Measurement]:
    """Measure networks, all in turn in every round, so that what else the machine does meets them alike.

    Args:
        subjects: The networks.
        options: How to measure.
        progress: Whether to show a progress bar.

    Returns:
        One measurement for each, in their order.

    Raises:
        UserError: If a network does not take the input, the device is missing or its memory too small.
    """
    require_device(options)
    with (
        _torch_settings(options),
        tqdm(total=len(subjects) * (1 + _WARM_UP + options.rounds), disable=not progress) as bar,
    ):
        runs = []
        for subject in subjects:
            bar.set_description(f"prepare {subject.label}")
            runs.append(_prepare(subject, options))
            bar.update()
        for i in range(_WARM_UP + options.rounds):
            for run in runs:
                bar.set_description(f"measure {run.subject.label}")
                _time_once(run, keep=i >= _WARM_UP)
                bar.update()
    return [run.result(options.batch) for run in runs]


def require_device(options: SpeedOptions) -> None:
    """Check the device and whether it can autocast to the wanted type.

    Raises:
        UserError: If it is missing or cannot.
    """
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not found[options.device]:
        there = ", ".join(name for name, is_there in found.items() if is_there)
        raise UserError(f"-device {options.device}: torch finds none on this machine; it finds {there}.")
    if options.device == "cpu" and options.precision == "fp16":
        raise UserError("--precision fp16: processors train in float32 or bf16; choose one, or -device cuda.")


def _prepare(subject: MeasuredNetwork, options: SpeedOptions) -> _Run:
    """Build and count a network and measure its memory."""
    with _explained(subject, options):
        before = torch.cuda.memory_allocated() if options.device == "cuda" else 0
        workload = Workload(subject, options)
        flop = workload.count()
        if options.compile:
            workload.compile()
        return _Run(subject, workload, flop, _peak_bytes(subject, options, workload, before))


def _peak_bytes(subject: MeasuredNetwork, options: SpeedOptions, workload: Workload, before: int) -> int | None:
    if not options.memory:
        return None
    if options.device == "cuda":
        workload.train_step()  # cuDNN tries its algorithms, some with much memory, and Adam makes its state
        torch.cuda.reset_peak_memory_stats()
        workload.train_step()
        return torch.cuda.max_memory_allocated() - before
    if options.device == "cpu" and not options.compile and can_measure():  # the compiler's memory would count, too
        return growth_in_own_process(_train_twice, subject, options, warm_up=_load_libraries)
    return None


def _train_twice(subject: MeasuredNetwork, options: SpeedOptions) -> None:
    """Build and train; Adam has its state from the second step on."""
    workload = Workload(subject, options)
    workload.train_step()
    workload.train_step()


def _load_libraries(_: MeasuredNetwork, options: SpeedOptions) -> None:
    """Make a small training step, so that the code of torch's libraries is in memory already."""
    torch.set_num_threads(options.threads)
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 1, 1))
    network(torch.randn(1, 1, 16, 16)).square().mean().backward()
    torch.optim.Adam(network.parameters(), fused=True).step()


def _time_once(run: _Run, keep: bool) -> None:
    forward = _seconds(run.workload, run.workload.forward)
    step = _seconds(run.workload, run.workload.train_step)
    if keep:
        run.forward_s.append(forward)
        run.step_s.append(step)


def _seconds(workload: Workload, function: Callable[[], None]) -> float:
    workload.wait()
    start = time.perf_counter()
    function()
    workload.wait()
    return time.perf_counter() - start


@contextmanager
def _torch_settings(options: SpeedOptions) -> Iterator[None]:
    """Take the wanted threads, and cuDNN's fastest algorithms as nnU-Net does; restore what was there."""
    threads, tries = torch.get_num_threads(), torch.backends.cudnn.benchmark
    torch.set_num_threads(options.threads)
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = tries


@contextmanager
def _explained(subject: MeasuredNetwork, options: SpeedOptions) -> Iterator[None]:
    """Turn what a network says of an input that it does not take into a message for the user."""
    height, width = subject.size
    given = f"a batch of {options.batch} images of {height} x {width} pixels"
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{subject.label} does not take {given}: {error}") from error
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(f"{subject.label}: the GPU has too little memory for {given}; lower --batch.") from error
