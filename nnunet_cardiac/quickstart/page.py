"""The result page of the quickstart."""

from __future__ import annotations

import platform
import resource
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import SimpleITK as sitk

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.evaluation.table import evaluate_folder, mean_foreground_dice
from nnunet_cardiac.files import read_json
from nnunet_cardiac.patients.cohort import CaseName, read_names
from nnunet_cardiac.quickstart.steps import QuickstartOptions
from nnunet_cardiac.report.content import CommandRun, OverlayCase, ResultPage, Stage
from nnunet_cardiac.report.curves import read_training_log
from nnunet_cardiac.report.page import write_result_page
from nnunet_cardiac.workflow.environment import EXTERNAL_TRAINERS, trainer_folder

#: Column of the phantom's table -> index as `evaluation.table.indices` names it.
_EXACT = {
    "lv_edv_ml": "LV EDV",
    "lv_esv_ml": "LV ESV",
    "lv_ef_percent": "LV EF",
    "lv_mass_g": "LV mass",
    "rv_edv_ml": "RV EDV",
    "rv_esv_ml": "RV ESV",
    "rv_ef_percent": "RV EF",
}

_NOTES = (
    "Patients, heart and lung are computed; the trainings are far too short to judge the method by. What this page "
    "shows is that installation, all stages and evaluation work on this machine.",
    "Exact volumes come from the shape of the phantom, reference volumes from its label map on thick slices; they "
    "differ as they do in patients.",
    "On your own data, in nnU-Net's raw format and with the labels named LV, MYO and RV in `dataset.json`, the same "
    "commands run with the papers' recipe and without a limit of epochs:",
)


def write_page(options: QuickstartOptions, runs: Sequence[CommandRun], seconds: float) -> Path:
    """Evaluate the stages on the unseen patients and write `result.html`.

    Args:
        options: Of the finished run.
        runs: Commands with their durations.
        seconds: Wall time of the whole run.

    Returns:
        Path of the page.
    """
    labels = anatomy_labels(read_json(options.raw / "dataset.json")["labels"])
    patients = pd.read_csv(options.raw / "patients.csv", dtype={"patient": str}).set_index("patient")
    stages = [_evaluate(options, stage, labels, patients) for stage in options.system.names]
    dice = {stage.name: mean_foreground_dice(stage.table) for stage in stages}
    page = options.folder / "result.html"
    content = ResultPage(
        title="nnunet_cardiac quickstart",
        summary=[
            f"{options.system.name}, its stages trained for {options.epochs} short epochs each on {options.patients} "
            f"synthetic patients, segments {options.test_patients} unseen ones: mean foreground Dice "
            + " and ".join(f"{value:.3f} ({name})" for name, value in dice.items())
            + "."
        ],
        stages=stages,
        wall_time_s=seconds,
        device=_device(options.device),
        peak_memory_bytes=_peak_memory_bytes(),
        versions=_versions(),
        overlays=_overlays(options, labels, patients),
        exact_indices=_exact_indices(patients),
        curves={
            options.system.names.get(stage, stage): read_training_log(options.fold(stage))
            for stage in options.system.trained
        },
        commands=[*_exports(options), *runs],
        notes=_NOTES,
        own_data_commands=_own_data_commands(options),
    )
    write_result_page(page, content)
    return page


def _evaluate(options: QuickstartOptions, stage: str, labels: Mapping[str, int], patients: pd.DataFrame) -> Stage:
    frames = {name: {"ED": int(row.ed_frame), "ES": int(row.es_frame)} for name, row in patients.iterrows()}
    table = evaluate_folder(options.raw / "labelsTs", options.predictions(stage), labels, progress=False, frames=frames)
    return Stage(options.system.names[stage], table)


def _overlays(options: QuickstartOptions, labels: Mapping[str, int], patients: pd.DataFrame) -> list[OverlayCase]:
    cases = sorted(path.name.removesuffix(".nii.gz") for path in (options.raw / "labelsTs").glob("*.nii.gz"))
    return [_overlay(options, name, labels, patients) for name in read_names(cases).values()]


def _overlay(
    options: QuickstartOptions, name: CaseName, labels: Mapping[str, int], patients: pd.DataFrame
) -> OverlayCase:
    case, row = name.case, patients.loc[name.patient]
    image = sitk.ReadImage(options.raw / "imagesTs" / f"{case}_0000.nii.gz")
    return OverlayCase(
        case=case,
        patient=name.patient,
        phase="ED" if name.frame == row.ed_frame else "ES",
        image=sitk.GetArrayFromImage(image),
        reference=_array(options.raw / "labelsTs" / f"{case}.nii.gz"),
        predictions={
            name: _array(options.predictions(stage) / f"{case}.nii.gz") for stage, name in options.system.names.items()
        },
        spacing_mm=tuple(image.GetSpacing()[::-1]),
        labels=labels,
        group=str(row.group),
    )


def _array(path: Path) -> npt.NDArray[np.integer]:
    """Read a label map (Z, Y, X)."""
    return sitk.GetArrayFromImage(sitk.ReadImage(path))


def _exact_indices(patients: pd.DataFrame) -> dict[str, dict[str, float]]:
    unseen = patients[patients["split"] == "test"]
    return {name: {index: float(row[column]) for column, index in _EXACT.items()} for name, row in unseen.iterrows()}


def _exports(options: QuickstartOptions) -> list[CommandRun]:
    """The lines a user types before the commands; they take no time."""
    values = {**options.variables(), EXTERNAL_TRAINERS: str(trainer_folder())}
    return [CommandRun(f"export {name}={shlex.quote(value)}", 0.0) for name, value in values.items()]


def _own_data_commands(options: QuickstartOptions) -> list[str]:
    system = options.system
    trainer, final, coarse = system.trainer, system.final, system.predicted_from[system.final]
    return [
        'eval "$(nnunet_cardiac env --base FOLDER)"',
        "nnunet_cardiac doctor -d ID",
        f"nnUNetv2_plan_and_preprocess -d ID -c {system.base} --verify_dataset_integrity",
        f"nnunet_cardiac plan -d ID -tr {trainer}",
        *(f"nnUNetv2_preprocess -d ID -c {name}" for name in system.preprocessed),
        f"nnunet_cardiac train -d ID -c {final} -tr {trainer} -f 0 1 2 3 4 --all-stages",
        f"nnUNetv2_predict -i IMAGES -o COARSE -d ID -c {coarse} -tr {trainer}",
        f"nnUNetv2_predict -i IMAGES -o RESULT -d ID -c {final} -tr {trainer} -prev_stage_predictions COARSE",
    ]


def _device(device: str) -> str:
    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, {device}"


def _peak_memory_bytes() -> int:
    """Largest process among the steps; the system counts in KiB, macOS in bytes."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak if sys.platform == "darwin" else peak * 1024


def _versions() -> dict[str, str]:
    names = ("nnunet_cardiac", "nnunetv2", "torch")
    return {"Python": platform.python_version(), **{name: version(name) for name in names}}
