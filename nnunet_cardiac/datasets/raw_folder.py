"""Fills the folder of one raw data set: volumes, `dataset.json`, tables, folds and manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from nnunet_cardiac.checks.problems import Problems
from nnunet_cardiac.datasets.body_size import left_empty
from nnunet_cardiac.datasets.case_files import CINE_FOLDER, ENDING, write_subject
from nnunet_cardiac.datasets.labels import describe, project_values
from nnunet_cardiac.datasets.manifest import hashes, now, versions
from nnunet_cardiac.datasets.notes import group_notes, notes_of, refuse_leak, shared_images
from nnunet_cardiac.datasets.storage_notes import notes_of_storage, record
from nnunet_cardiac.datasets.subject import Collection, Subject
from nnunet_cardiac.datasets.tables import Written, case_row, patient_row, write_csv
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import write_json
from nnunet_cardiac.patients.repeated import Groups, members, patient_groups
from nnunet_cardiac.patients.splits import check_splits, stratified_splits


@dataclass(frozen=True)
class Request:
    """What to write besides the volumes.

    Attributes:
        source: Folder or table of the source.
        title: Name of the source.
        cite: What to cite.
        folds: Number of folds.
        seed: Seed of the folds.
        splits: Folds of the user; None draws them.
        cine: Write all frames too.
        trust_voxels: Labels take the header of their image, whatever their own says.
        skipped: Patients left out on demand.
        as_stored: Images keep the order and the sense of their axes; by default they become canonical.
    """

    source: Path
    title: str
    cite: str
    folds: int = 5
    seed: int = 12345
    splits: Sequence[Mapping[str, Sequence[str]]] | None = None
    cine: bool = False
    trust_voxels: bool = False
    skipped: tuple[str, ...] = ()
    as_stored: bool = False


@dataclass(frozen=True)
class Summary:
    """What was written.

    Attributes:
        folder: The data set.
        patients: Split -> number of patients.
        cases: Split -> number of cases.
        folds: Number of folds.
        labels: Structure -> value.
        repairs: What was corrected in headers.
        notes: What else the user should know.
    """

    folder: Path
    patients: Mapping[str, int]
    cases: Mapping[str, int]
    folds: int
    labels: Mapping[str, int]
    repairs: tuple[str, ...]
    notes: tuple[str, ...]


def fill(folder: Path, collection: Collection, request: Request, progress: bool) -> Summary:
    """Write everything into a new folder.

    Args:
        folder: Made here.
        collection: The patients.
        request: The rest.
        progress: Show a bar on stderr.

    Raises:
        UserError: With all problems of all patients; the folder is then incomplete.
    """
    _splits(collection.subjects, request, {})  # first: it takes no time and may refuse
    folder.mkdir()
    labels = project_values(collection.values)
    written, files = _write_subjects(folder, collection, request, labels, progress)
    cases = [item for item in written if item.folder != CINE_FOLDER]
    pairs = shared_images(cases)
    refuse_leak(pairs, str(request.source))
    groups = patient_groups(
        [(first.case.name, second.case.name) for first, second in pairs],
        {item.case.name: item.subject.patient for item in cases},
    )
    splits = _splits(collection.subjects, request, groups)
    notes = (
        *collection.notes,
        *left_empty(collection.subjects),
        *group_notes(groups, pairs, request.splits is not None),
        *notes_of(cases),
        *notes_of_storage(cases, request.as_stored),
    )
    repairs = tuple(dict.fromkeys(repair for item in written for repair in item.repairs))
    write_json(folder / "dataset.json", _description(collection, request, labels, cases))
    if splits:
        write_json(folder / "splits_final.json", splits)
    write_csv(folder / "cases.csv", [case_row(item) for item in written])
    write_csv(folder / "patients.csv", _patient_rows(collection.subjects, splits, groups))
    manifest = _manifest(collection, request, labels, len(splits))
    manifest |= {"orientation": record(cases, request.as_stored), "repairs": repairs}
    manifest |= {"image_groups": members(groups), "notes": notes, "sha256": files}
    write_json(folder / "manifest.json", manifest)
    return Summary(
        folder,
        _count(subject.split for subject in collection.subjects),
        _count(item.subject.split for item in cases),
        len(splits),
        labels,
        repairs,
        notes,
    )


def _write_subjects(
    folder: Path, collection: Collection, request: Request, labels: Mapping[str, int], progress: bool
) -> tuple[list[Written], dict[str, dict[str, str]]]:
    """Write images and labels of all patients.

    Returns:
        What was seen of each case, and patient -> source file -> hash.

    Raises:
        UserError: With all problems of all patients.
    """
    source_root = request.source if request.source.is_dir() else request.source.parent
    problems = Problems()
    written: list[Written] = []
    files: dict[str, dict[str, str]] = {}
    for subject in tqdm(collection.subjects, desc=collection.name, unit="patient", disable=not progress):
        try:
            written += write_subject(
                subject,
                folder,
                collection.values,
                labels,
                cine=request.cine,
                trust_voxels=request.trust_voxels,
                as_stored=request.as_stored,
            )
            files[subject.patient] = hashes(subject.files(request.cine), source_root)
        except UserError as error:
            problems.add(f"{subject.patient}: {error}")
    problems.raise_if_any(f"{request.source}: nothing was written")
    return written, files


def _patient_rows(
    subjects: Sequence[Subject], splits: Sequence[Mapping[str, Sequence[str]]], groups: Groups
) -> list[dict[str, object]]:
    folds = {case: number for number, fold in enumerate(splits) for case in fold["val"]}
    return [
        patient_row(s, folds.get(s.cases[0].name) if s.cases else None, groups.get(s.patient, "")) for s in subjects
    ]


def training_cases(subjects: Sequence[Subject]) -> dict[str, str]:
    """Return case -> patient of the training cases."""
    return {case.name: s.patient for s in subjects if s.split == "train" for case in s.cases}


def _splits(subjects: Sequence[Subject], request: Request, groups: Groups) -> list[dict[str, list[str]]]:
    """The user's folds, or folds drawn by patient, those who share an image together.

    The same patients give the same folds, in whatever view.
    """
    training = [s for s in subjects if s.split == "train" and s.cases]
    names = [[case.name for case in s.cases] for s in training]
    if request.splits is not None:
        splits = [{part: list(fold.get(part, ())) for part in ("train", "val")} for fold in request.splits]
    elif not training:
        return []  # images to predict
    else:
        strata = [s.stratum or s.group for s in training]
        patients = [s.patient for s in training]
        splits = stratified_splits(names, strata, request.folds, request.seed, patients, groups)
    check_splits(splits, training_cases(subjects), groups)
    return splits


def _description(
    collection: Collection, request: Request, labels: Mapping[str, int], cases: Sequence[Written]
) -> dict[str, object]:
    return {
        "channel_names": {"0": collection.channel},
        "labels": dict(labels),
        "numTraining": sum(item.subject.split == "train" for item in cases),
        "file_ending": ENDING,
        "name": collection.name,
        "description": f"{request.title}, converted by nnunet_cardiac; see manifest.json.",
        "reference": request.cite,
    }


def _count(splits: Iterable[str]) -> dict[str, int]:
    found = list(splits)
    return {split: found.count(split) for split in dict.fromkeys(found)}


def _manifest(collection: Collection, request: Request, labels: Mapping[str, int], folds: int) -> dict[str, object]:
    source = {name: values for name, values in collection.values.items() if name != "background"}
    dropped = sorted(set(collection.values.get("background", ())) - {0})
    return {
        "source": request.title,
        "cite": request.cite,
        "folder": request.source.name,
        "converted": now(),
        "versions": versions(),
        "labels_in_source": describe(source),
        "values_made_background": dropped,
        "labels": dict(labels),
        "folds": "given" if request.splits is not None else {"number": folds, "seed": request.seed},
        "trusted_voxels": request.trust_voxels,
        "skipped": request.skipped,
    }
