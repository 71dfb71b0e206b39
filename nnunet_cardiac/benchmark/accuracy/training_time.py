"""How long a training step of each network takes on the data, and how much of it is waiting for samples."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.benchmark.accuracy.data import Data
from nnunet_cardiac.benchmark.accuracy.plan import count_slices, mean_slices
from nnunet_cardiac.benchmark.accuracy.rows import REFERENCE, ROWS, heading
from nnunet_cardiac.benchmark.accuracy.run import prepare_row
from nnunet_cardiac.benchmark.accuracy.workspace import Run
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.planning.links import resolved_entry
from nnunet_cardiac.systems.recipe import PLANS_KEY
from nnunet_cardiac.workflow.steps import Step, StepRunner

_WORKER = "nnunet_cardiac.benchmark.accuracy.timed_steps"

#: Rough seconds, for the progress bar.
_PREPARE_SECONDS, _START_SECONDS, _STEP_SECONDS = 20.0, 15.0, 2.0

_HEAD = ("system", "network", "batch", "step ms", "data ms", "ms a slice", "x nnU-Net 2d", "s an epoch", "x nnU-Net 2d")


@dataclass(frozen=True)
class Timing:
    """How to measure.

    Attributes:
        rounds: Rounds; in each, every network takes a turn, so that what else the machine does meets them alike.
        steps: Steps of a turn; the first of each is not counted.
        profile: Folder that takes a table of operations for each network, or None.
    """

    rounds: int = 3
    steps: int = 4
    profile: Path | None = None


def stage_runs(systems: Sequence[str], runs: Mapping[str, Run]) -> list[tuple[str, str]]:
    """Return (row, configuration) of every network of these rows, each once, nnU-Net 2d first.

    Args:
        systems: Keys of `ROWS`.
        runs: The run of each of them and of nnU-Net 2d.
    """
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for system in dict.fromkeys((REFERENCE, *systems)):
        run = runs[system]
        for stage in ROWS[system].stages:
            found.setdefault((run.trainer, run.plans, stage.configuration), (system, stage.configuration))
    return list(found.values())


def measure_training(
    systems: Sequence[str],
    runs: Mapping[str, Run],
    data: Data,
    timing: Timing,
    environ: Mapping[str, str],
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Prepare the data of all rows and time the training steps of all their networks in one process.

    Args:
        systems: Keys of `ROWS`.
        runs: The run of each of them and of nnU-Net 2d, with the same folder, budget and seed.
        data: Prepared data.
        timing: How to measure.
        environ: Environment of the caller.
        progress: Whether to show a progress bar.

    Returns:
        One entry for each network: `system`, `trainer`, `configuration`, `batch`, `slices` of a step, `steps` of an
        epoch (None where wall time decides), `step_s` and `data_s` of each counted step (a step holds forward and
        backward pass, loss and optimiser; data is the wait for its samples).

    Raises:
        UserError: If a command fails.
    """
    chosen = stage_runs(systems, runs)
    first = runs[REFERENCE]
    first.trained.mkdir(parents=True, exist_ok=True)
    taken = len(chosen) * (_START_SECONDS + timing.rounds * timing.steps * _STEP_SECONDS)
    seconds = len(runs) * _PREPARE_SECONDS + taken
    with StepRunner(None, seconds, first.log, progress) as runner, tempfile.TemporaryDirectory() as folder:
        for run in runs.values():
            prepare_row(run, data, environ, runner)
        subjects = [_subject(runs[system], data, configuration) for system, configuration in chosen]
        job, result = Path(folder) / "job.json", Path(folder) / "result.json"
        profile = None if timing.profile is None else str(timing.profile.absolute())
        own = {"rounds": timing.rounds, "steps": timing.steps, "profile": profile}
        write_json(job, {**own, "device": first.budget.device, "subjects": subjects})
        step = Step("training steps", (sys.executable, "-m", _WORKER, str(job), str(result)), taken, timing.rounds)
        runner.run(step, {**first.environ(environ), "nnUNet_results": str(Path(folder) / "results")})
        times = read_json(result)
    return [{**subject, **own} for subject, own in zip(subjects, times, strict=True)]


def _subject(run: Run, data: Data, configuration: str) -> dict[str, Any]:
    folder = run.preprocessed_root / data.raw.name
    plans = read_json(folder / f"{run.plans}.json")
    own = resolved_entry(plans["configurations"], configuration)
    batch = own["batch_size"]
    return {
        "system": run.system,
        "trainer": run.trainer,
        "plans": run.plans,
        "dataset": data.raw.name,
        "configuration": configuration,
        "fold": run.fold,
        "batch": batch,
        "slices": round(batch * count_slices(own, mean_slices(folder, plans)), 3),
        "steps": own[PLANS_KEY]["iterations"] if run.budget.minutes is None else None,
    }


def training_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the measurements as a Markdown table; ratios by slice and by epoch to the first row."""
    rows = [_HEAD, ("---",) * len(_HEAD)]
    reference = _numbers(results[0])
    for result in results:
        own = _numbers(result)
        rows.append(
            (
                heading(ROWS[result["system"]]),
                result["configuration"],
                str(result["batch"]),
                f"{1e3 * own['step']:.0f}",
                f"{1e3 * own['data']:.0f}",
                f"{1e3 * own['slice']:.0f}",
                f"{own['slice'] / reference['slice']:.2f}",
                *_epoch_cells(own["epoch"], reference["epoch"]),
            )
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    """Medians in seconds: of a step without its data, of the data, both by slice and by epoch."""
    step, wait = statistics.median(result["step_s"]), statistics.median(result["data_s"])
    both = step + wait
    epoch = None if result["steps"] is None else both * result["steps"]
    return {"step": step, "data": wait, "slice": both / result["slices"], "epoch": epoch}


def _epoch_cells(epoch: float | None, reference: float | None) -> tuple[str, str]:
    if epoch is None or reference is None:
        return "–", "–"
    return f"{epoch:.0f}", f"{epoch / reference:.2f}"
