"""One row from data to label maps: plan, train its stages, predict the patients kept apart.

What is finished with the same settings is used again, so a run that was cut off goes on where it ended, and rows share
their first stages.
"""

from __future__ import annotations

import logging
import shutil
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.benchmark.accuracy.budgeted_training import COST_FILE
from nnunet_cardiac.benchmark.accuracy.data import Data
from nnunet_cardiac.benchmark.accuracy.largest import keep_largest
from nnunet_cardiac.benchmark.accuracy.plan import count_slices, mean_slices, write_plans
from nnunet_cardiac.benchmark.accuracy.result_line import code_version
from nnunet_cardiac.benchmark.accuracy.workspace import Run
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.planning.links import resolved_entry
from nnunet_cardiac.systems.rows import RowStage
from nnunet_cardiac.workflow.folders import dataset_number
from nnunet_cardiac.workflow.steps import Step, StepRunner

logger = logging.getLogger(__name__)

#: What was done with which settings, in the folder that holds the result.
DONE_FILE = "benchmark.json"

_PREPARE_SECONDS, _PREDICT_SECONDS = 20.0, 60.0


@dataclass(frozen=True)
class Outcome:
    """What a run leaves.

    Attributes:
        predictions: Label maps of the last stage.
        stages: For each stage what it was and what its training cost, JSON-ready.
        prediction_seconds: Wall time of the prediction commands of all stages, their start included.
    """

    predictions: Path
    stages: list[dict[str, Any]]
    prediction_seconds: float


def run_row(run: Run, data: Data, environ: Mapping[str, str], progress: bool = True) -> Outcome:
    """Train and predict one row.

    Args:
        run: What and where.
        data: Prepared data.
        environ: Environment of the caller.
        progress: Whether to show a progress bar.

    Raises:
        UserError: If a command fails, or a stage was trained with other settings before.
    """
    run.trained.mkdir(parents=True, exist_ok=True)
    job = _Job(run, data, dict(run.environ(environ)))
    trainings = sum(len(run.folds(stage)) for stage in run.row.stages)
    seconds = trainings * run.budget.expected_minutes * 60 + len(run.row.stages) * _PREDICT_SECONDS + _PREPARE_SECONDS
    with StepRunner(None, seconds, run.log, progress) as runner:
        job.prepare(runner)
        stages = [job.train(stage, runner) for stage in run.row.stages]
        times = [job.predict(number, runner) for number in range(len(run.row.stages))]
    final = run.predictions(run.row.stages[-1])
    if run.row.largest_component:
        ending = read_json(data.raw / "dataset.json")["file_ending"]
        final = keep_largest(final, final.with_name(f"{final.name}__largest"), ending)
    return Outcome(final, stages, round(sum(times), 2))


def prepare_row(run: Run, data: Data, environ: Mapping[str, str], runner: StepRunner) -> None:
    """Plan and preprocess what a row needs and is not there yet.

    Args:
        run: What and where.
        data: Prepared data.
        environ: Environment of the caller.
        runner: Runs the commands.

    Raises:
        UserError: If a command fails.
    """
    _Job(run, data, dict(run.environ(environ))).prepare(runner)


@dataclass(frozen=True)
class _Job:
    run: Run
    data: Data
    environ: Mapping[str, str]

    @property
    def dataset(self) -> str:
        return self.data.raw.name

    @property
    def number(self) -> str:
        return dataset_number(self.data.raw)

    @property
    def preprocessed(self) -> Path:
        return self.run.preprocessed_root / self.dataset

    @property
    def plans(self) -> dict[str, Any]:
        return read_json(self.preprocessed / f"{self.run.plans}.json")

    @property
    def processes(self) -> str:
        return str(min(2, self.run.threads))

    # ------------------------------------------------------------------------------------------------------ prepare

    def prepare(self, runner: StepRunner) -> None:
        """Plan and preprocess what the row needs and is not there yet."""
        run, row = self.run, self.run.row
        run.preprocessed_root.mkdir(parents=True, exist_ok=True)
        steps = _PREPARE_SECONDS / 4

        def call(title: str, *words: str) -> None:
            runner.run(Step(title, words, steps), self.environ)

        if not (self.preprocessed / "dataset_fingerprint.json").is_file():
            call("fingerprint", "nnUNetv2_extract_fingerprint", "-d", self.number, "-np", self.processes)
        for planner, plans in dict.fromkeys((("ExperimentPlanner", "nnUNetPlans"), (row.planner, row.plans))):
            if not (self.preprocessed / f"{plans}.json").is_file():
                call("plan", "nnUNetv2_plan_experiment", "-d", self.number, "-pl", planner, *self._spacing())
        write_json(self.preprocessed / "splits_final.json", read_json(self.data.raw / "splits_final.json"))
        for base in row.base:
            self._preprocess("nnUNetPlans", base, call)
        write_plans(self.preprocessed, row, run.recipe, run.budget, run.coarse_labels)
        for stage in row.stages:
            self._preprocess(run.plans, stage.configuration, call)

    def _spacing(self) -> list[str]:
        """Option of nnU-Net's planner: the budget's pixels, the slice distance of the data."""
        if self.run.budget.pixel_mm is None:
            return []
        spacings = read_json(self.preprocessed / "dataset_fingerprint.json")["spacings"]
        median = [statistics.median(axis) for axis in zip(*spacings, strict=True)]
        slices = median.index(max(median))
        wanted = [side if axis == slices else self.run.budget.pixel_mm for axis, side in enumerate(median)]
        return ["-overwrite_target_spacing", *map(str, wanted)]

    def _preprocess(self, plans: str, configuration: str, call: Any) -> None:
        plans_file = self.preprocessed / f"{plans}.json"
        own = resolved_entry(read_json(plans_file)["configurations"], configuration)
        folder = self.preprocessed / own["data_identifier"]
        if {file.stem for file in folder.glob("*.pkl")} >= set(self.data.training):
            return
        words = ["nnUNetv2_preprocess", "-d", self.number, "-plans_name", plans, "-c", configuration]
        words += ["-np", self.processes]
        call(f"preprocess {configuration}", *words)

    # -------------------------------------------------------------------------------------------------------- train

    def train(self, stage: RowStage, runner: StepRunner) -> dict[str, Any]:
        """Train the folds that a stage needs and say what they cost."""
        done = [self._train_fold(stage, fold, runner) for fold in self.run.folds(stage)]
        own = resolved_entry(self.plans["configurations"], stage.configuration)
        slices = count_slices(own, mean_slices(self.preprocessed, self.plans))
        cost = done[0]["cost"]
        return {
            "configuration": stage.configuration,
            "networks": len(done),
            "slices": round(statistics.fmean(fold["cost"]["samples"] for fold in done) * slices),
            "slices_per_sample": round(slices, 3),
            "batch": own["batch_size"],
            "patch": own["patch_size"],
            "spacing": [round(side, 4) for side in own["spacing"]],
            **{name: cost[name] for name in ("steps", "step_ms", "parameters", "gflop_slice", "peak_gib")},
            "training_seconds": round(sum(fold["cost"]["seconds"] for fold in done), 1),
            "commands_seconds": round(sum(fold["seconds"] for fold in done), 1),
            "code": sorted({fold["code"] for fold in done}),
        }

    def _train_fold(self, stage: RowStage, fold: int, runner: StepRunner) -> dict[str, Any]:
        folder = self.run.model(self.dataset, stage) / f"fold_{fold}"
        settings = self._settings(stage, fold)
        budget = self.run.budget
        title = f"train {stage.configuration}, fold {fold}"
        words = ["nnUNetv2_train", self.number, stage.configuration, str(fold), "-tr", self.run.trainer]
        words += ["-p", self.run.plans, "-device", budget.device]
        step = Step(title, tuple(words), budget.expected_minutes * 60 * stage.samples, budget.epochs)
        if (done := _read_done(folder)) is not None:
            _require_same(folder, done["settings"], settings)
            logger.info("%s: trained before with the same settings, used again", folder)
            runner.skip(step)
            return done
        shutil.rmtree(folder, ignore_errors=True)  # cut off: a budget is trained in one go
        seconds = runner.run(step, self.environ)
        done = {
            "settings": settings,
            "seconds": round(seconds, 1),
            "cost": read_json(folder / COST_FILE),
            "code": code_version(),
        }
        write_json(folder / DONE_FILE, done)
        return done

    def _settings(self, stage: RowStage, fold: int) -> dict[str, Any]:
        """Everything that the weights of a fold depend on, besides the code."""
        stages = self.run.row.stages
        before = [
            resolved_entry(self.plans["configurations"], s.configuration) for s in stages[: stages.index(stage) + 1]
        ]
        return {
            "trainer": self.run.trainer,
            "configurations": [{k: v for k, v in entry.items() if k != "next_stage"} for entry in before],
            "fold": fold,
            "seed": self.run.seed,
            "data": self.data.fingerprint,
        }

    # ------------------------------------------------------------------------------------------------------ predict

    def predict(self, number: int, runner: StepRunner) -> float:
        """Predict the patients kept apart with one stage and return the seconds that it took."""
        run, stages = self.run, self.run.row.stages
        stage, folder = stages[number], run.predictions(stages[number])
        workers = "0" if run.budget.device == "cpu" else str(min(3, run.threads))
        words = ["nnUNetv2_predict", "-i", str(self.data.raw / "imagesTs"), "-o", str(folder), "-d", self.number]
        words += ["-c", stage.configuration, "-tr", run.trainer, "-p", run.plans, "-f", str(run.fold)]
        words += ["-device", run.budget.device, "-npp", workers, "-nps", workers]
        words += [] if run.budget.mirroring else ["--disable_tta"]
        if number:
            words += ["-prev_stage_predictions", str(run.predictions(stages[number - 1]))]
        step = Step(f"predict {stage.configuration}", tuple(words), _PREDICT_SECONDS)
        settings = self._settings(stage, run.fold)
        if (done := _read_done(folder)) is not None and done["settings"] == settings:
            runner.skip(step)
            return done["seconds"]
        shutil.rmtree(folder, ignore_errors=True)
        seconds = runner.run(step, self.environ)
        write_json(folder / DONE_FILE, {"settings": settings, "seconds": round(seconds, 2)})
        return seconds


def _read_done(folder: Path) -> dict[str, Any] | None:
    path = folder / DONE_FILE
    return read_json(path) if path.is_file() else None


def _require_same(folder: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    differing = [name for name in expected if found.get(name) != expected[name]]
    if differing:
        raise UserError(
            f"{folder}: trained before with other settings ({', '.join(differing)} differ), for example by another "
            "version of this package. Remove the folder, or give another one with -o."
        )
