"""The steps of the quickstart: stock nnU-Net commands and some of ours, each of which a user can repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunet_cardiac.devices import WORKERS_VARIABLE, thread_variables, usable_cores
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import SYSTEMS
from nnunet_cardiac.systems.shown import Shown
from nnunet_cardiac.workflow.steps import Step

DATASET_ID = 900
DATASET_NAME = "CinePhantom"
DATASET = f"Dataset{DATASET_ID}_{DATASET_NAME}"
PLANS = "nnUNetPlansSmall"

_MOST_PROCESSES = 4


@dataclass(frozen=True)
class QuickstartOptions:
    """What the quickstart makes; the defaults fit two processor cores and six minutes.

    Attributes:
        folder: New folder that takes everything.
        device: `cpu`, `cuda` or `mps`.
        patients: Patients for training and validation, two frames each.
        test_patients: Unseen patients.
        matrix: Pixels along each side of a slice.
        epochs: Epochs of each stage.
        seed: Of phantom and training.
        system_name: Key of `SYSTEMS`.
        threads: Processor threads; None takes the usable cores.
    """

    folder: Path
    device: str
    patients: int = 15
    test_patients: int = 5
    matrix: int = 96
    epochs: int = 8
    seed: int = 1
    system_name: str = "crocnet"
    threads: int | None = None

    @property
    def system(self) -> Shown:
        """What is trained and shown.

        Raises:
            UserError: If the system is not for the quickstart.
        """
        shown = SYSTEMS[self.system_name].shown
        if shown is None:
            raise UserError(f"--system {self.system_name}: its file does not say what the quickstart should show.")
        return shown

    @property
    def trainer(self) -> str:
        """Trainer of all stages; nnU-Net links the stages by its name."""
        return f"{self.system.trainer}_{self.epochs}epochs"

    @property
    def raw(self) -> Path:
        """Raw data set."""
        return self.folder / "nnUNet_raw" / DATASET

    def predictions(self, stage: str) -> Path:
        """Folder of a stage's predictions for the unseen patients."""
        return self.folder / f"predictions_{stage}"

    def fold(self, stage: str) -> Path:
        """Folder into which nnU-Net trains a stage."""
        return self.folder / "nnUNet_results" / DATASET / f"{self.trainer}__{PLANS}__{stage}" / "fold_0"

    @property
    def evaluation(self) -> Path:
        """Folder of the evaluation of all shown stages."""
        return self.folder / "evaluation"

    @property
    def page(self) -> Path:
        """The result page."""
        return self.folder / "result.html"

    @property
    def commands(self) -> Path:
        """Script of the commands that were run."""
        return self.folder / "commands.sh"

    @property
    def own_data(self) -> Path:
        """Script of the commands for data of one's own."""
        return self.folder / "own_data.sh"

    def variables(self) -> dict[str, str]:
        """nnU-Net's folders, which a user has to set, too."""
        folders = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
        return {name: str(self.folder / name) for name in folders}

    def settings(self) -> dict[str, str]:
        """Further environment variables of the run."""
        return {"nnUNet_compile": "f", "NNUNET_CARDIAC_SEED": str(self.seed)}

    def environ(self, base: Mapping[str, str]) -> dict[str, str]:
        """Environment of every step."""
        few = {WORKERS_VARIABLE: str(_MOST_PROCESSES), **base}
        threads = thread_variables(few, self.threads, self.device)
        return {**base, **self.variables(), **threads, **self.settings()}

    @property
    def processes(self) -> str:
        """Processes that prepare the data."""
        return str(min(2, usable_cores(self.threads)))


def quickstart_steps(options: QuickstartOptions) -> list[Step]:
    """Return the steps in order."""
    number = str(DATASET_ID)
    phantom = ["nnunet_cardiac", "phantom", "-o", str(options.folder / "nnUNet_raw"), "-d", number]
    phantom += ["--name", DATASET_NAME, "--patients", str(options.patients)]
    phantom += ["--test-patients", str(options.test_patients), "--matrix", str(options.matrix)]
    phantom += ["--seed", str(options.seed)]
    prepare = ["nnUNetv2_plan_and_preprocess", "-d", number, "-c", options.system.base]
    prepare += ["-npfp", options.processes, "-np", options.processes]
    # One fold is trained, so the coarse labels of its training cases are simulated.
    plan = ["nnunet_cardiac", "plan", "-d", number, "-tr", options.system.trainer, "--coarse", "simulated", "--small"]
    plan += options.system.plan_options
    own = ["nnUNetv2_preprocess", "-d", number, "-plans_name", PLANS, "-np", options.processes, "-c"]
    return [
        Step("phantom", tuple(phantom), 25),
        Step("plan and preprocess", (*prepare, "--verify_dataset_integrity"), 25),
        Step("add the crop", tuple(plan), 5),
        *(Step(f"preprocess {name}", (*own, name), 12) for name in options.system.preprocessed),
        *(_training(options, stage, seconds) for stage, seconds in options.system.trained.items()),
        *(_prediction(options, *stages) for stages in options.system.predicted_from.items()),
        _evaluation(options),
        _report(options),
    ]


def _training(options: QuickstartOptions, stage: str, seconds: float) -> Step:
    words = ["nnUNetv2_train", str(DATASET_ID), stage, "0", "-tr", options.trainer, "-p", PLANS]
    words += ["-device", options.device]
    return Step(f"train {stage}", tuple(words), seconds, options.epochs)


def _prediction(options: QuickstartOptions, stage: str, previous: str | None) -> Step:
    words = ["nnUNetv2_predict", "-i", str(options.raw / "imagesTs"), "-o", str(options.predictions(stage))]
    words += ["-d", str(DATASET_ID), "-c", stage, "-tr", options.trainer, "-p", PLANS, "-f", "0"]
    words += ["-device", options.device]
    # Without worker processes: for a handful of cases their start costs more than they save.
    words += ["-npp", "0", "-nps", "0", "--disable_tta"]
    if previous is not None:
        words += ["-prev_stage_predictions", str(options.predictions(previous))]
    return Step(f"predict {stage}", tuple(words), 18)


def _evaluation(options: QuickstartOptions) -> Step:
    words = ["nnunet_cardiac", "evaluate", "-gt", str(options.raw / "labelsTs"), "-p"]
    words += [f"{name}={options.predictions(stage)}" for stage, name in options.system.names.items()]
    # After a few epochs a network may still confuse structures: that is a result here and no mistake of the user.
    words += ["-o", str(options.evaluation), "--no-order-check"]
    return Step("evaluate", tuple(words), 25)


def _report(options: QuickstartOptions) -> Step:
    system, epochs = options.system, "1 short epoch" if options.epochs == 1 else f"{options.epochs} short epochs"
    note = (
        f"{system.name}, its stages trained for {epochs} each on {options.patients} synthetic patients, segments "
        f"{options.test_patients} unseen ones. The trainings are far too short to judge the method "
        "by: the page shows that installation, all stages and evaluation work on this machine."
    )
    words = ["nnunet_cardiac", "report", "-i", str(options.evaluation), "-o", str(options.page)]
    words += ["--title", "nnunet_cardiac quickstart", "--note", note, "--training"]
    words += [f"{system.names.get(stage, stage)}={options.fold(stage)}" for stage in system.trained]
    words += ["--text", f"What was run={options.commands}", f"On your own data={options.own_data}"]
    words += ["--picture", str(options.folder / "segmentations.png")]
    return Step("report", tuple(words), 20)
