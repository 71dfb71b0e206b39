"""Time, arithmetic and memory of networks in one run, interleaved so that a busy machine slows all of them alike."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from nnunet_cardiac.benchmark.subjects import Subject, parameters

#: Rounds before those that count.
_WARM_UP = 2

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class SpeedOptions:
    """How to measure.

    Attributes:
        batch: Samples of a step.
        classes: Output classes, background included.
        device: Torch device.
        precision: `float32`, or autocast to `bf16` or `fp16`.
        rounds: Repetitions of which the median is reported.
        compiled: Whether to run `torch.compile` first.
    """

    batch: int
    classes: int
    device: str
    precision: str = "float32"
    rounds: int = 5
    compiled: bool = False

    def autocast(self) -> contextlib.AbstractContextManager:
        """Precision of forward passes."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device, dtype=_DTYPES[self.precision])


@dataclass(frozen=True)
class Speed:
    """What was measured of one network.

    Attributes:
        name: Of the subject.
        parameters: Trainable ones.
        gflop: Floating point operations of a forward pass of one sample, in billions; a multiply-add counts two.
        forward_s: Median seconds of a forward pass of the batch.
        step_s: Median seconds of a training step of the batch: forward, loss, backward, Adam.
        step_per_megapixel_s: Of a training step, by million pixels of its batch.
        peak_memory_bytes: Of a training step, on CUDA only.
    """

    name: str
    parameters: int
    gflop: float
    forward_s: float
    step_s: float
    step_per_megapixel_s: float
    peak_memory_bytes: int | None

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def measure(subjects: Sequence[Subject], options: SpeedOptions) -> list[Speed]:
    """Measure networks side by side.

    Args:
        subjects: The networks.
        options: How.

    Returns:
        One row a network, in their order.
    """
    runs = [_Run(subject, options) for subject in subjects]
    memory = [run.peak_memory() for run in runs]
    rounds = _WARM_UP + options.rounds
    with tqdm(total=rounds * len(runs), desc="timing", mininterval=1.0) as bar:
        for number in range(rounds):
            for run in runs:
                run.round(counts=number >= _WARM_UP)
                bar.update()
    return [run.result(peak) for run, peak in zip(runs, memory, strict=True)]


class _Run:
    """One network with its optimiser, input and times."""

    def __init__(self, subject: Subject, options: SpeedOptions) -> None:
        self.subject, self.options = subject, options
        network = subject.build().to(options.device)
        self.parameters = parameters(network)
        self.gflop = _gflop(network, subject, options.device)
        self.network = torch.compile(network) if options.compiled else network
        self.optimizer = torch.optim.Adam(network.parameters(), 1e-4)
        shape = (options.batch, subject.channels, *subject.size)
        self.image = torch.randn(shape, device=options.device)
        self.target = torch.randint(0, options.classes, (options.batch, *subject.size), device=options.device)
        self.forward_s: list[float] = []
        self.step_s: list[float] = []

    def round(self, counts: bool) -> None:
        forward, step = self._timed(self._forward), self._timed(self._step)
        if counts:
            self.forward_s.append(forward)
            self.step_s.append(step)

    def result(self, peak: int | None) -> Speed:
        step = statistics.median(self.step_s)
        pixels = self.target.numel() / 1e6
        return Speed(
            self.subject.name, self.parameters, self.gflop, statistics.median(self.forward_s), step, step / pixels, peak
        )

    def peak_memory(self) -> int | None:
        if torch.device(self.options.device).type != "cuda":
            return None
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        self._step()
        own = sum(p.numel() * p.element_size() for p in self.network.parameters())
        return torch.cuda.max_memory_allocated() - before + own

    def _timed(self, work: object) -> float:
        start = time.perf_counter()
        work()
        if torch.device(self.options.device).type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def _forward(self) -> None:
        self.network.eval()
        with torch.inference_mode(), self.options.autocast():
            self.network(self.image)

    def _step(self) -> None:
        self.network.train()
        self.optimizer.zero_grad()
        with self.options.autocast():
            output = self.network(self.image)
        training_loss(output, self.target).backward()
        self.optimizer.step()


def training_loss(output: torch.Tensor | list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
    """The same loss for all: cross-entropy minus Dice, each lower resolution at half the weight, as in nnU-Net.

    An output that is no map, such as the corners of a box, is trained on its mean square.

    Args:
        output: Logits (B, K+1, H, W), a list of them, or (B, N).
        target: Labels (B, H, W).
    """
    if isinstance(output, torch.Tensor):
        return output.float().square().mean() if output.ndim == 2 else _dice_and_cross_entropy(output, target)
    total = torch.zeros((), device=target.device)
    for level, logits in enumerate(output[:-1]):  # nnU-Net gives the lowest no weight
        smaller = F.interpolate(target[:, None].float(), logits.shape[2:])[:, 0].long()
        total = total + 0.5**level * _dice_and_cross_entropy(logits, smaller)
    return total


def _dice_and_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    logits = logits.float()
    p, g = logits.softmax(1), F.one_hot(target, logits.shape[1]).movedim(-1, 1)
    dice = (2 * (p * g).sum((0, 2, 3)) + 1) / ((p + g).sum((0, 2, 3)) + 1)
    return F.cross_entropy(logits, target) - dice.mean()


def _gflop(network: nn.Module, subject: Subject, device: str) -> float:
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():  # its hooks fail in inference mode
        network(torch.zeros(1, subject.channels, *subject.size, device=device))
    return counter.get_total_flops() / 1e9
