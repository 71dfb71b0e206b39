"""Timed training steps of several trainers in one process, in turn. A process of its own: nnU-Net reads its folders
from the environment when it is imported.

python -m nnunet_cardiac.benchmark.accuracy.timed_steps JOB.json RESULT.json
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_cardiac.files import read_json, write_json


class TimedTrainer:
    """A trainer that is ready for its first step, and the times of the steps that count."""

    def __init__(self, described: Mapping[str, Any], device: torch.device) -> None:
        self.trainer: nnUNetTrainer = get_trainer_from_args(
            described["dataset"],
            described["configuration"],
            described["fold"],
            described["trainer"],
            described["plans"],
            device=device,
        )
        self.trainer.initialize()
        self.trainer.network.train()
        self._loaders = self.trainer.get_dataloaders()
        self.samples = self._loaders[0]
        self.name = f"{described['trainer']}__{described['plans']}__{described['configuration']}"
        self.step_s: list[float] = []
        self.data_s: list[float] = []

    def turn(self, steps: int) -> None:
        """Take steps; the first finds the caches cold and is not counted."""
        for number in range(steps):
            start = perf_counter()
            batch = next(self.samples)
            loaded = perf_counter()
            self.trainer.train_step(batch)  # hands the loss to the processor, so the device is done
            if number:
                self.data_s.append(loaded - start)
                self.step_s.append(perf_counter() - loaded)

    def close(self) -> None:
        """End the processes that make samples, where there are any."""
        for loader in self._loaders:
            if isinstance(loader, NonDetMultiThreadedAugmenter):
                loader._finish()

    def profiled(self) -> str:
        """Return the operations of one step as a table, the slowest first."""
        batch = next(self.samples)
        with torch.profiler.profile() as profile:
            self.trainer.train_step(batch)
        key = "self_cuda_time_total" if self.trainer.device.type == "cuda" else "self_cpu_time_total"
        return profile.key_averages().table(sort_by=key, row_limit=40, max_name_column_width=80)


def main(job: Path, result: Path) -> None:
    """Take all turns of a job and write the times of its trainers, in order."""
    described = read_json(job)
    trainers = [TimedTrainer(one, torch.device(described["device"])) for one in described["subjects"]]
    for _ in range(described["rounds"]):
        start = perf_counter()
        for trainer in trainers:
            trainer.turn(described["steps"])
        print(f"Epoch time: {perf_counter() - start:.1f} s", flush=True)  # what nnU-Net prints: moves the bar on
    if described["profile"] is not None:
        folder = Path(described["profile"])
        folder.mkdir(parents=True, exist_ok=True)
        for trainer in trainers:
            (folder / f"{trainer.name}.txt").write_text(trainer.profiled(), encoding="utf-8")
    for trainer in trainers:
        trainer.close()
    write_json(result, [{"step_s": trainer.step_s, "data_s": trainer.data_s} for trainer in trainers])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
