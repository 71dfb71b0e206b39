"""Where the runs of a comparison lie, and the environment of their commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunet_cardiac.benchmark.accuracy.budgets import BUDGETS, Budget
from nnunet_cardiac.benchmark.accuracy.plan import plans_name
from nnunet_cardiac.benchmark.accuracy.rows import ROWS, Row
from nnunet_cardiac.devices import thread_variables
from nnunet_cardiac.systems.rows import RowStage
from nnunet_cardiac.workflow.environment import EXTERNAL_TRAINERS, external_trainer_folders

#: Folder in which nnU-Net finds the trainers of the benchmark.
_TRAINERS = Path(__file__).resolve().parent / "nnunet_ext"


@dataclass(frozen=True)
class Run:
    """One row with one budget, recipe, fold and seed.

    Attributes:
        base: Folder that takes everything.
        system: Key of `ROWS`.
        budget_name: Key of `BUDGETS`.
        recipe: Key of `RECIPES`.
        coarse_labels: `simulated` or `predicted`.
        fold: Fold that is trained.
        seed: Number of the repetition.
        threads: Processor threads.
    """

    base: Path
    system: str
    budget_name: str
    recipe: str
    coarse_labels: str
    fold: int
    seed: int
    threads: int

    @property
    def row(self) -> Row:
        """The row."""
        return ROWS[self.system]

    @property
    def budget(self) -> Budget:
        """The budget."""
        return BUDGETS[self.budget_name]

    @property
    def trainer(self) -> str:
        """Value of `-tr` of every stage."""
        return f"{self.row.trainer}_Budget"

    @property
    def plans(self) -> str:
        """Name of the plans."""
        return plans_name(self.row, self.recipe)

    @property
    def raw_root(self) -> Path:
        """The raw data, the same for all budgets."""
        return self.base / "nnUNet_raw"

    @property
    def preprocessed_root(self) -> Path:
        """Preprocessed data; a budget has a grid of its own."""
        return self.base / self.budget_name / "nnUNet_preprocessed"

    @property
    def trained(self) -> Path:
        """Results and predictions.

        Folds lie apart where coarse labels are simulated: nnU-Net keeps the predictions of all folds for the next stage
        in one folder, and what a fold is trained with must not depend on which others were trained before.
        """
        seed = f"seed{self.seed}"
        name = seed if self.coarse_labels == "predicted" else f"{seed}_fold{self.fold}"
        return self.base / self.budget_name / name

    @property
    def log(self) -> Path:
        """Output of all commands."""
        return self.trained / "log.txt"

    def model(self, dataset: str, stage: RowStage) -> Path:
        """Folder into which nnU-Net trains a stage."""
        return self.trained / "nnUNet_results" / dataset / f"{self.trainer}__{self.plans}__{stage.configuration}"

    def predictions(self, stage: RowStage) -> Path:
        """Folder of a stage's label maps of the patients kept apart."""
        name = f"{self.trainer}__{self.plans}__{stage.configuration}__fold{self.fold}"
        return self.trained / "predictions" / name

    def folds(self, stage: RowStage) -> list[int]:
        """Folds in which a stage is trained: all where the next one needs predictions out of fold."""
        followed = stage is not self.row.stages[-1]
        return list(range(5)) if followed and self.coarse_labels == "predicted" else [self.fold]

    def environ(self, base: Mapping[str, str]) -> dict[str, str]:
        """Environment of every command."""
        own = {
            "nnUNet_raw": str(self.raw_root),
            "nnUNet_preprocessed": str(self.preprocessed_root),
            "nnUNet_results": str(self.trained / "nnUNet_results"),
            "nnUNet_compile": "t" if self.budget.compile else "f",
            "NNUNET_CARDIAC_SEED": str(self.seed) if self.budget.repeatable else "",
        }
        if self.budget.device == "cpu":  # as nnU-Net computes there
            own["NNUNET_CARDIAC_CPU_PRECISION"] = "fp32"
        trainers = {EXTERNAL_TRAINERS: os.pathsep.join([str(_TRAINERS), *external_trainer_folders(base)])}
        return {**base, **thread_variables(base, self.threads, self.budget.device), **own, **trainers}
