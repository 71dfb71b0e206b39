"""Commands one after the other under one progress bar that says how long the rest takes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from nnunet_cardiac.workflow.runner import run_command, shown

_EPOCH_DONE = re.compile(r"Epoch time: ")

#: Share of a training's time that its epochs take; the rest is start and validation.
_EPOCHS_SHARE = 0.875


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        title: What the progress bar says.
        words: The command.
        seconds: Rough duration: the weight of the step in the progress bar.
        epochs: Number of epochs, for a training.
    """

    title: str
    words: tuple[str, ...]
    seconds: float
    epochs: int = 0


class StepRunner:
    """Runs steps; a context manager that holds the progress bar.

    Args:
        steps: Number of steps; None if it is not known before.
        seconds: Sum of their rough durations.
        log: File that takes the output of the commands.
        progress: Whether to show the bar.
    """

    def __init__(self, steps: int | None, seconds: float, log: Path, progress: bool = True) -> None:
        layout = "{desc}{percentage:3.0f}%|{bar}| {elapsed} elapsed, about {remaining} left"
        self._bar = tqdm(total=seconds, bar_format=layout, smoothing=0, mininterval=1.0, disable=not progress)
        self._steps, self._number, self._log = steps, 0, log

    def __enter__(self) -> StepRunner:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bar."""
        self._bar.close()

    def run(self, step: Step, environ: Mapping[str, str]) -> float:
        """Run a step and return its wall time in seconds.

        Raises:
            UserError: If the command fails.
        """
        self._number += 1
        place = self._number if self._steps is None else f"{self._number}/{self._steps}"
        self._bar.set_description(f"[{place}] {step.title}")
        if not self._bar.disable:
            self._bar.write(f"$ {shown(step.words)}")
        started = time.monotonic()
        target = self._bar.n + step.seconds
        run_command(step.words, environ, log=self._log, on_line=self._advance_by_epoch(step))
        self._bar.update(target - self._bar.n)
        return time.monotonic() - started

    def skip(self, step: Step) -> None:
        """Count a step that was done before."""
        self._number += 1
        self._bar.update(step.seconds)

    def _advance_by_epoch(self, step: Step) -> Callable[[str], None]:
        def on_line(line: str) -> None:
            if step.epochs and _EPOCH_DONE.search(line):
                self._bar.update(step.seconds * _EPOCHS_SHARE / step.epochs)

        return on_line
