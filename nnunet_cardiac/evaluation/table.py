"""The table of a segmentation result, one row for each case and structure, and what is read off it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.case_metrics import TOLERANCE_MM, CaseMetrics
from nnunet_cardiac.evaluation.cases import match_method
from nnunet_cardiac.evaluation.conventions import check_anatomy, check_overlap
from nnunet_cardiac.evaluation.copies import warn_of_copies
from nnunet_cardiac.evaluation.ed_es import assign_phases
from nnunet_cardiac.evaluation.jobs import Job, run_jobs
from nnunet_cardiac.evaluation.label_files import label_files
from nnunet_cardiac.evaluation.patients import PatientTable
from nnunet_cardiac.evaluation.references import VOLUMES, cases_of_patients, read_references, single_slices
from nnunet_cardiac.evaluation.regions import ROIReport, roi_report
from nnunet_cardiac.patients.cohort import CaseName, read_names


@dataclass(frozen=True)
class Method:
    """A method under test and its predictions.

    Attributes:
        name: What tables call it.
        folders: Folders of predictions. Cases in several of them are repeated runs (seeds), others are folds.
        translation: Value in these predictions -> value in the reference, if they count differently.
    """

    name: str
    folders: tuple[Path, ...]
    translation: Mapping[int, int] | None = None


@dataclass(frozen=True)
class Evaluation:
    """Tables of an evaluation, all with `method`, `run`, `case`, `patient`, `phase` and `group`.

    Attributes:
        cases: One row for each method, run, case and structure.
        slices: One row for each slice of those.
        images: One row for each method, run, case and slice: pixels with the right label.
        walls: Wall thickness of each segment, reference and prediction.
        plausibility: Counts of each structure, reference and prediction.
        localisation: Method -> errors of the box around all structures of a slice, as HALSR-Net reports them; a method
            without any slice that the reference labels is left out.
        left_out: Method -> cases with a reference that it has not predicted.
        references: One row for each structure in all references of the patients, also in those without a prediction,
            without method and run.
    """

    cases: pd.DataFrame
    slices: pd.DataFrame
    images: pd.DataFrame
    walls: pd.DataFrame
    plausibility: pd.DataFrame
    localisation: Mapping[str, ROIReport]
    left_out: Mapping[str, Sequence[str]]
    references: pd.DataFrame


def evaluate(
    reference: Path,
    methods: Sequence[Method],
    labels: Mapping[str, int],
    *,
    cases: Iterable[str] | None = None,
    patients: PatientTable | None = None,
    names: Mapping[str, CaseName] | None = None,
    tolerance_mm: float = TOLERANCE_MM,
    ignore_label: int | None = None,
    allow_missing: bool = False,
    check_order: bool = True,
    workers: int = 1,
    progress: bool = True,
) -> Evaluation:
    """Compare folders of predicted label maps with the reference.

    Args:
        reference: Folder with reference label maps.
        methods: What to compare with it.
        labels: Structure -> label value in the reference; value 0 is skipped.
        cases: Names to evaluate; by default all of `reference`.
        patients: Groups and phases. Phases that it does not name follow the volume in all references of the patient
            in the folder, whether or not they are evaluated, see
            :func:`nnunet_cardiac.evaluation.ed_es.assign_phases`.
        names: All cases in `reference` -> patient, as :func:`nnunet_cardiac.patients.cohort.read_patients` says; by
            default read from the names.
        tolerance_mm: Of surface Dice.
        ignore_label: Value of voxels without a reference, or None; for what is reported then see
            :func:`nnunet_cardiac.evaluation.case_metrics.case_metrics`.
        allow_missing: Evaluate what a method has predicted and list the rest, instead of refusing.
        check_order: Look for exchanged labels in the label maps.
        workers: Processes.
        progress: Show a progress bar on stderr.

    Returns:
        The tables; columns in docs/evaluate.md.

    Raises:
        UserError: If files are missing, unreadable, hold other labels or lie on different grids, or the label maps
            count the structures in another order than `labels`.
    """
    structures = {name: value for name, value in labels.items() if value != 0}
    if not structures:
        raise UserError("labels: expected at least one structure besides the background, found none.")
    patients = patients or PatientTable()
    jobs, keys, left_out = [], [], {}
    for method in methods:
        pairs, missing = match_method(Path(reference), method.folders, cases, allow_missing=allow_missing)
        left_out[method.name] = missing
        jobs += [Job(pair, structures, method.translation, tolerance_mm, ignore_label) for _, pair in pairs]
        keys += [(method.name, run, pair.case) for run, pair in pairs]
    files = label_files(Path(reference))
    names = names or read_names(files)
    evaluated = {case for _, _, case in keys}
    others = {case: files[case] for case in cases_of_patients(evaluated, names) if case not in evaluated}
    unpredicted = read_references(others, structures, ignore_label)  # first: it takes little time and may refuse
    results = run_jobs(jobs, workers=workers, progress=progress)
    if check_order:
        _check_order(Path(reference), methods, keys, results, structures)
    warn_of_copies(keys, [result.digests for result in results], names)
    tables = {
        name: _long(keys, [getattr(result, name) for result in results])
        for name in ("structures", "slices", "images", "walls", "plausibility")
    }
    references = _references(tables["structures"], keys, results, unpredicted)
    lv = references[references["structure"] == "LV"].set_index("case")["volume_ml_reference"]
    phases = {case: names[case].phase for case in references["case"]}
    phases |= assign_phases(lv.to_dict(), patients.frames, names)
    alone = single_slices(references.set_index("case")["depth"].to_dict(), names)
    for table in (*tables.values(), references):
        _add_patient_columns(table, names, phases, patients.group)
        for column in VOLUMES:
            if column in table:  # phases follow the areas of single slices, but these are no volumes
                table.loc[table["case"].isin(alone), column] = np.nan
    return Evaluation(
        tables["structures"],
        tables["slices"],
        tables["images"],
        tables["walls"],
        tables["plausibility"],
        _localisation(keys, results),
        left_out,
        references,
    )


def evaluate_folder(
    reference: Path,
    prediction: Path,
    labels: Mapping[str, int],
    progress: bool = True,
    *,
    cases: Iterable[str] | None = None,
    frames: Mapping[str, Mapping[str, int]] | None = None,
    ignore_label: int | None = None,
) -> pd.DataFrame:
    """Compare one folder of predicted label maps with the reference.

    Args:
        reference: Folder with reference label maps.
        prediction: Folder with predicted label maps of the same names.
        labels: Structure -> label value, canonical names as from `registry.anatomy_labels`; value 0 is skipped.
        progress: Show a progress bar on stderr.
        cases: Names to evaluate; by default all of `reference`.
        frames: Patient -> phase -> frame number; see :func:`assign_phases`. Phases always come from the reference.
        ignore_label: Value of voxels without a reference, or None.

    Returns:
        `cases` of :func:`evaluate`, one row for each case and structure. Among its columns: `case`, `patient`, `phase`
        (`ED`, `ES` or empty), `structure`, `dice`, distances in mm, `distance_failed` (true if the structure is
        missing on exactly one side, where no distance exists), `volume_ml_reference`, `volume_ml_prediction`.

    Raises:
        UserError: If files are missing, unreadable, hold other labels or lie on different grids.
    """
    patients = PatientTable(frames={patient: dict(named) for patient, named in (frames or {}).items()})
    methods = [Method("prediction", (Path(prediction),))]
    # a network after a few epochs may still confuse structures: that is a result here and no mistake of the user
    evaluation = evaluate(
        reference,
        methods,
        labels,
        cases=cases,
        patients=patients,
        check_order=False,
        ignore_label=ignore_label,
        progress=progress,
    )
    return evaluation.cases


def mean_foreground_dice(table: pd.DataFrame) -> float:
    """Mean over structures of the mean over cases, NaN cases left out (nnU-Net's `foreground_mean`)."""
    return float(table.groupby("structure")["dice"].mean().mean())


def _localisation(keys: Sequence[tuple[str, int, str]], results: Sequence[CaseMetrics]) -> dict[str, ROIReport]:
    boxes: dict[str, list[tuple[Any, Any, Any]]] = {}
    for (method, _, _), result in zip(keys, results, strict=True):
        if not np.isnan(result.boxes[1]).all():
            boxes.setdefault(method, []).append((*result.boxes, result.spacing_mm))
    return {method: roi_report(found) for method, found in boxes.items()}


def _check_order(
    reference: Path,
    methods: Sequence[Method],
    keys: Sequence[tuple[str, int, str]],
    results: Sequence[CaseMetrics],
    structures: Mapping[str, int],
) -> None:
    """Look at all cases of a method together: a single poor prediction must not look like an exchange."""
    size = max(structures.values()) + 1
    nothing = np.zeros((size, size), np.int64)
    check_anatomy(str(reference), sum((result.contacts for result in results), nothing), structures)
    for method in methods:
        own = (result.confusion for key, result in zip(keys, results, strict=True) if key[0] == method.name)
        check_overlap(", ".join(map(str, method.folders)), sum(own, nothing), structures)


def _references(
    compared: pd.DataFrame,
    keys: Sequence[tuple[str, int, str]],
    results: Sequence[CaseMetrics],
    unpredicted: Sequence[Mapping[str, Any]],
) -> pd.DataFrame:
    """All references once: those that are compared with a prediction, and the others."""
    depths = {case: result.depth for (_, _, case), result in zip(keys, results, strict=True)}
    once = compared.drop_duplicates(["case", "structure"])[["case", "structure", "volume_ml_reference"]]
    once = once.assign(depth=once["case"].map(depths))
    return pd.concat([once, pd.DataFrame(unpredicted)], ignore_index=True) if unpredicted else once


def _long(keys: Sequence[tuple[str, int, str]], rows: Sequence[Sequence[Mapping[str, object]]]) -> pd.DataFrame:
    return pd.DataFrame(
        {"method": method, "run": run, "case": case, **row}
        for (method, run, case), part in zip(keys, rows, strict=True)
        for row in part
    )


def _add_patient_columns(
    table: pd.DataFrame, names: Mapping[str, CaseName], phases: Mapping[str, str], groups: Mapping[str, str]
) -> None:
    if table.empty:
        return
    patients = [names[case].patient for case in table["case"]]
    place = table.columns.get_loc("case") + 1
    table.insert(place, "patient", patients)
    table.insert(place + 1, "phase", [phases.get(case, "") for case in table["case"]])
    table.insert(place + 2, "group", [groups.get(patient, "") for patient in patients])
