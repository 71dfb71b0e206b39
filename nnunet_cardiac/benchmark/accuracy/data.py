"""The data set of the comparison: patients kept apart, folds by patient and disease, and what identifies them."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tqdm import tqdm

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.patients import read_patient_table
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.label_values import refuse_regions
from nnunet_cardiac.patients.cohort import Cohort, read_patients
from nnunet_cardiac.patients.repeated import Groups, patient_groups, shown_groups
from nnunet_cardiac.patients.splits import check_splits, separated, stratified_splits
from nnunet_cardiac.patients.tables import find_tables
from nnunet_cardiac.planning.repeated import Channel, find_pairs, image_channels

#: Every fifth patient in the order of the names is kept apart where the data set keeps none apart itself.
KEPT_APART = 5

FOLDS, SPLIT_SEED = 5, 0

#: What identifies prepared data, in their folder.
FACTS_FILE = "benchmark_data.json"

#: Disease of the hundred patients of ACDC's training set, which are numbered by it, twenty at a time.
_ACDC_GROUPS = ("DCM", "HCM", "MINF", "NOR", "RV")
_ACDC_PATIENT = re.compile(r"patient(\d{3})")


@dataclass(frozen=True)
class Data:
    """A prepared data set.

    Attributes:
        raw: Folder in nnU-Net's raw format with `imagesTs` and `labelsTs`.
        training: Training cases.
        test: Cases kept apart.
        groups: Patient -> disease group, as far as known.
        fingerprint: Short hash of labels, folds and patients kept apart: rows that differ in it cannot be compared.
    """

    raw: Path
    training: tuple[str, ...]
    test: tuple[str, ...]
    groups: Mapping[str, str]
    fingerprint: str

    @cached_property
    def cohort(self) -> Cohort:
        """Whose all cases are."""
        return read_patients((*self.training, *self.test), find_tables(self.raw))

    @property
    def test_patients(self) -> list[str]:
        """Patients kept apart, in order of their names; tables number them from 1."""
        return sorted({self.cohort.patient(case) for case in self.test})


def prepare_data(source: Path | None, raw_root: Path, progress: bool = True) -> Data:
    """Copy a data set into the benchmark's folder, keep patients apart and draw folds; what is there is used again.

    Args:
        source: Data set in nnU-Net's raw format: `dataset.json`, `imagesTr`, `labelsTr`; with `imagesTs` and `labelsTs`
            those are the patients kept apart, else every fifth patient is. None if it was prepared before.
        raw_root: The benchmark's `nnUNet_raw`.
        progress: Whether to show a progress bar.

    Raises:
        UserError: If there is no data set, it is incomplete, or another one was prepared before.
    """
    prepared = sorted(raw_root.glob(f"Dataset*/{FACTS_FILE}"))
    if source is None:
        if len(prepared) != 1:
            raise UserError(
                f"{raw_root}: {len(prepared) or 'no'} prepared data sets. Name the one to copy with --data FOLDER "
                "(nnU-Net's raw format: dataset.json, imagesTr, labelsTr)."
            )
        return _read(prepared[0].parent)
    chosen = _choose(source, progress)
    if prepared:
        found = _read(prepared[0].parent)
        if (found.training, found.test) != (chosen.training, chosen.test):
            raise UserError(
                f"{found.raw}: holds {len(found.training)} training cases and {len(found.test)} kept apart, but --data "
                f"{source} has {len(chosen.training)} and {len(chosen.test)}, or others. Give another -o."
            )
        return found
    target = raw_root / _dataset_name(source)
    _copy(source, chosen, target, progress)
    return _read(target)


def disease_groups(patients: Iterable[str], table: Path | None) -> dict[str, str]:
    """Disease group of each patient, from a table, or by number for the training set of ACDC; unknown ones are absent.

    Args:
        patients: Names.
        table: CSV with columns `patient` and `group`; None if there is none.
    """
    if table is not None:
        known = read_patient_table(table).group
        return {patient: known[patient] for patient in patients if patient in known}
    groups = {}
    for patient in patients:
        match = _ACDC_PATIENT.fullmatch(patient)
        if match and 1 <= int(match[1]) <= 100:
            groups[patient] = _ACDC_GROUPS[(int(match[1]) - 1) // 20]
    return groups


def keep_apart(
    cases: Sequence[str], tables: Iterable[Path] = (), shared: Groups | None = None
) -> tuple[list[str], list[str]]:
    """Split cases into those for training and those of every fifth patient.

    Args:
        cases: Names.
        tables: `cases.csv` and `patients.csv`, if there are any.
        shared: Patient -> group of those who share an image; a group is kept apart as a whole.
    """
    cohort, shared = read_patients(cases, tables), shared or {}
    chosen = sorted(cohort.patients)[KEPT_APART - 1 :: KEPT_APART]
    units = {shared.get(patient, patient) for patient in chosen}
    apart = {patient for patient in cohort.patients if shared.get(patient, patient) in units}
    parts: tuple[list[str], list[str]] = ([], [])
    for case in cohort.cases:
        parts[cohort.patient(case) in apart].append(case)
    return parts


@dataclass(frozen=True)
class _Chosen:
    """What of a source becomes what: case -> folder part (`Tr`, `Ts`) that it lies in."""

    ending: str
    training: tuple[str, ...]
    test: tuple[str, ...]
    part: Mapping[str, str]
    shared: Groups


def _choose(source: Path, progress: bool) -> _Chosen:
    description = source / "dataset.json"
    if not description.is_file():
        raise UserError(f"{source}: no dataset.json; expected a data set in nnU-Net's raw format.")
    content = read_json(description)
    refuse_regions(content.get("labels", {}), str(description))
    ending = content["file_ending"]
    cases = {part: _cases(source / f"labels{part}", ending) for part in ("Tr", "Ts")}
    if not cases["Tr"]:
        raise UserError(f"{source / 'labelsTr'}: no label map *{ending}; expected nnU-Net's raw format.")
    tables = find_tables(source)
    cohort = read_patients((*cases["Tr"], *cases["Ts"]), tables)
    cohort.warn(str(source))
    groups = patient_groups(find_pairs(_channels(source, cases, ending), progress), cohort.by_case)
    training, test = (cases["Tr"], cases["Ts"]) if cases["Ts"] else keep_apart(cases["Tr"], tables, groups)
    shared = {cohort.patient(case) for case in training} & {cohort.patient(case) for case in test}
    if shared:
        raise UserError(f"{source}: {', '.join(sorted(shared)[:5])} are in labelsTr and labelsTs; keep patients apart.")
    if apart := separated({"train": training, "val": test}, cohort.by_case, groups):
        raise UserError(
            f"{source}: {shown_groups(apart)} show the same images, some in labelsTr and some in labelsTs; expected "
            "them in one of both, or the test results are too good. Leave one of them out."
        )
    where = {case: part for part, names in cases.items() for case in names}
    return _Chosen(ending, tuple(sorted(training)), tuple(sorted(test)), where, groups)


def _channels(source: Path, cases: Mapping[str, Sequence[str]], ending: str) -> list[Channel]:
    return [
        channel
        for part, names in cases.items()
        for case in names
        for channel in image_channels(source / f"images{part}", case, ending)
    ]


def _cases(folder: Path, ending: str) -> list[str]:
    return sorted(file.name.removesuffix(ending) for file in folder.glob(f"*{ending}")) if folder.is_dir() else []


def _copy(source: Path, chosen: _Chosen, target: Path, progress: bool) -> None:
    """Copy under a temporary name, so that a copy cut off is not taken for a data set."""
    scratch = target.with_name(f".{target.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    for part in ("Tr", "Ts"):
        for kind in ("images", "labels"):
            (scratch / f"{kind}{part}").mkdir(parents=True)
    parts = {case: part for part, cases in (("Tr", chosen.training), ("Ts", chosen.test)) for case in cases}
    for case, part in tqdm(parts.items(), desc="copy data", disable=not progress):
        own = chosen.part[case]
        images = sorted((source / f"images{own}").glob(f"{case}_[0-9][0-9][0-9][0-9]{chosen.ending}"))
        if not images:
            raise UserError(f"{source / f'images{own}'}: no image {case}_0000{chosen.ending} for its label map.")
        for file in images:
            shutil.copyfile(file, scratch / f"images{part}" / file.name)
        name = f"{case}{chosen.ending}"
        shutil.copyfile(source / f"labels{own}" / name, scratch / f"labels{part}" / name)
    write_json(scratch / "dataset.json", {**read_json(source / "dataset.json"), "numTraining": len(chosen.training)})
    tables = {path.stem: path for path in find_tables(source)}
    cohort = read_patients(parts, tables.values())
    groups = disease_groups(sorted(cohort.patients), tables.get("patients"))
    for path in tables.values():
        shutil.copyfile(path, scratch / path.name)
    splits = _folds(cohort.of(chosen.training), groups, chosen.shared)
    write_json(scratch / "splits_final.json", splits)
    facts = {"training": chosen.training, "test": chosen.test, "groups": groups}
    write_json(scratch / FACTS_FILE, {**facts, "fingerprint": _fingerprint(scratch, splits)})
    scratch.rename(target)


def _folds(cohort: Cohort, groups: Mapping[str, str], shared: Groups) -> list[dict[str, list[str]]]:
    named = [groups.get(patient, "") for patient in cohort.patients]
    patients = list(cohort.patients)
    splits = stratified_splits(list(cohort.patients.values()), named, FOLDS, SPLIT_SEED, patients, shared)
    check_splits(splits, cohort.by_case, shared)
    return splits


def _fingerprint(raw: Path, splits: Sequence[Mapping[str, Sequence[str]]]) -> str:
    digest = hashlib.sha256(repr([(s["train"], s["val"]) for s in splits]).encode())
    for part in ("labelsTr", "labelsTs"):
        for file in sorted((raw / part).iterdir()):
            digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _read(raw: Path) -> Data:
    facts = read_json(raw / FACTS_FILE)
    return Data(raw, tuple(facts["training"]), tuple(facts["test"]), facts["groups"], facts["fingerprint"])


def _dataset_name(source: Path) -> str:
    name = source.resolve().name
    if re.fullmatch(r"Dataset\d{3}_\w+", name):
        return name
    return f"Dataset901_{re.sub(r'[^A-Za-z0-9]', '', name) or 'Data'}"
