"""A ready nnU-Net raw data set of phantom patients."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nnunet_cardiac.datasets.labels import keep_structures, project_values, renumber
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.splits import stratified_splits
from nnunet_cardiac.phantom.groups import GROUPS
from nnunet_cardiac.phantom.left_atrium import ATRIUM_LABELS, make_left_atrium
from nnunet_cardiac.phantom.long_axis import make_long_axis
from nnunet_cardiac.phantom.nifti import canonical, write_series, write_volume
from nnunet_cardiac.phantom.short_axis import make_study
from nnunet_cardiac.phantom.study import ACDC_LABELS, AtriumStudy, CineStudy

KINDS = ("sax", "lax", "la")


@dataclass(frozen=True)
class _Labelling:
    """Which structures are labelled, and how they are numbered.

    Attributes:
        source: Structure -> its values in the maps of the phantom; `background` has those of structures left out.
        values: Structure -> value in the files, `background` first.
    """

    source: dict[str, tuple[int, ...]]
    values: dict[str, int]

    @classmethod
    def of(cls, kind: str, structures: Sequence[str] | None) -> _Labelling:
        """Labelling of a kind of phantom; None keeps all of its structures."""
        made = ATRIUM_LABELS if kind == "la" else ACDC_LABELS
        source: dict[str, tuple[int, ...]] = {name: (value,) for name, value in made.items() if value}
        if structures is None:
            return cls(source, dict(made))
        source = keep_structures(source, structures)
        return cls(source, project_values(source))

    def apply(self, labels: np.ndarray) -> np.ndarray:
        """Label map of the files from one of the phantom, of the same shape."""
        return renumber(labels, self.source, self.values, "phantom")


def write_nnunet_dataset(
    raw_root: str | Path,
    dataset_id: int,
    name: str,
    *,
    patients: int,
    test_patients: int = 0,
    seed: int = 0,
    kind: str = "sax",
    cine: bool = False,
    folds: int = 5,
    matrix: tuple[int, int] | None = None,
    structures: Sequence[str] | None = None,
    progress: bool = True,
    processes: int = 1,
) -> Path:
    """Write `DatasetNNN_name` with images, labels, `dataset.json`, `splits_final.json` and `patients.csv`.

    Groups take turns, so every group is there; the folds are patient-wise and stratified by group. nnU-Net reads splits
    from its preprocessed folder: copy `splits_final.json` there after preprocessing. The test set has labels too.

    Args:
        raw_root: `nnUNet_raw`; made if it is not there.
        dataset_id: 1 to 999.
        name: Name after the number.
        patients: Training patients, at least as many as folds.
        test_patients: Patients of the test set.
        seed: Seed; the same arguments give the same arrays.
        kind: sax (cine short axis), lax (cine four-chamber) or la (late-enhancement left atrium).
        cine: Also write the whole cycle of each patient as 4D files into `cine/`.
        folds: Folds of the cross-validation.
        matrix: Pixels (y, x); None keeps the default of the kind.
        structures: Structures to label, others become background; None labels all of the kind.
        progress: Show a bar on stderr.
        processes: Processes that make patients; they are spawned, so a script that asks for more than one has to guard
            its main module as for any multiprocessing. The data do not depend on it.

    Returns:
        The folder of the data set.

    Raises:
        UserError: If the folder exists or an argument is out of range.
    """
    _check(dataset_id, patients, test_patients, kind, cine, folds, seed)
    labelling = _Labelling.of(kind, structures)
    raw_root = Path(raw_root)
    target = raw_root / f"Dataset{dataset_id:03d}_{name}"
    if target.exists():
        raise UserError(f"{target} exists already. Remove it, or choose another number or name for the phantom.")
    raw_root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".phantom_", dir=raw_root) as scratch:
        folder = Path(scratch) / target.name
        _fill(folder, patients, test_patients, seed, kind, cine, folds, matrix, labelling, progress, processes)
        try:
            os.rename(folder, target)
        except OSError as error:
            raise UserError(f"{target} appeared while the phantom was written; nothing was replaced.") from error
    return target


def _fill(
    folder: Path,
    patients: int,
    test_patients: int,
    seed: int,
    kind: str,
    cine: bool,
    folds: int,
    matrix: tuple[int, int] | None,
    labelling: _Labelling,
    progress: bool,
    processes: int,
) -> None:
    for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs", *(("cine",) if cine else ())):
        (folder / part).mkdir(parents=True)
    write = partial(
        _write_patient,
        folder=folder,
        patients=patients,
        labelling=labelling,
        seed=seed,
        kind=kind,
        cine=cine,
        matrix=matrix,
    )
    total = patients + test_patients
    with _mapping(min(processes, total)) as map_patients:
        written = map_patients(write, range(total))
        done = list(tqdm(written, total=total, desc="phantom", unit="patient", disable=not progress))
    rows = [row for row, _ in done]
    cases = [names for _, names in done[:patients]]
    groups = [str(row["group"]) for row in rows[:patients]]
    _write_json(folder / "dataset.json", _description(kind, labelling, sum(map(len, cases))))
    _write_json(folder / "splits_final.json", stratified_splits(cases, groups, folds, seed))
    with (folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map` over processes; in this one if it is one."""
    if processes == 1:
        yield map
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield pool.map


def _write_patient(
    index: int,
    *,
    folder: Path,
    patients: int,
    labelling: _Labelling,
    seed: int,
    kind: str,
    cine: bool,
    matrix: tuple[int, int] | None,
) -> tuple[dict[str, object], list[str]]:
    """Make and write one patient; return the row of the table and the names of the cases."""
    study = _make(index, seed, kind, matrix, cine)
    split = "train" if index < patients else "test"
    names = _write_cases(study, folder, "Tr" if split == "train" else "Ts", labelling)
    if cine and isinstance(study, CineStudy):
        series = {"": study.images, "_gt": labelling.apply(study.labels)}
        for ending, frames in series.items():
            write_series(*canonical(frames, study.geometry), folder / "cine" / f"{study.patient}_4d{ending}.nii.gz")
    return _row(study, split), names


def _make(index: int, seed: int, kind: str, matrix: tuple[int, int] | None, cine: bool) -> CineStudy | AtriumStudy:
    patient = f"patient{index + 1:03d}"
    patient_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
    size: dict[str, Any] = {} if matrix is None else {"matrix": matrix}
    if kind == "la":
        return make_left_atrium(patient_seed, patient=patient, **size)
    make = make_study if kind == "sax" else make_long_axis
    frames = 22 + patient_seed % 9
    group = list(GROUPS)[index % len(GROUPS)]
    return make(patient_seed, group, frames=frames, phases_only=not cine, patient=patient, **size)


def _write_cases(study: CineStudy | AtriumStudy, folder: Path, suffix: str, labelling: _Labelling) -> list[str]:
    if isinstance(study, AtriumStudy):
        cases = {study.patient: (study.image, study.label)}
    else:
        phases = (study.ed_frame, study.es_frame)
        cases = {f"{study.patient}_frame{frame + 1:02d}": study.phase(frame) for frame in phases}
    for name, (image, label) in cases.items():
        write_volume(*canonical(image, study.geometry), folder / f"images{suffix}" / f"{name}_0000.nii.gz")
        labels = canonical(labelling.apply(label), study.geometry)
        write_volume(*labels, folder / f"labels{suffix}" / f"{name}.nii.gz")
    return list(cases)


def _row(study: CineStudy | AtriumStudy, split: str) -> dict[str, object]:
    z, y, x = (round(value, 4) for value in study.geometry.spacing_mm)
    row: dict[str, object] = {"patient": study.patient, "split": split, "seed": study.seed}
    row |= {"spacing_z_mm": z, "spacing_y_mm": y, "spacing_x_mm": x}
    if isinstance(study, AtriumStudy):
        return row | {"group": "LA", "la_volume_ml": round(study.volume_ml, 3)}
    row |= {"group": study.group, "style": study.style}
    row |= {"frames": study.cycle_frames, "ed_frame": study.ed_frame + 1, "es_frame": study.es_frame + 1}
    row |= {"height_cm": round(study.height_cm, 1), "weight_kg": round(study.weight_kg, 1)}
    for side, indices in (("lv", study.left), ("rv", study.right)):
        row |= {f"{side}_edv_ml": round(indices.edv_ml, 3), f"{side}_esv_ml": round(indices.esv_ml, 3)}
        row |= {f"{side}_ef_percent": round(indices.ef_percent, 3), f"{side}_mass_g": round(indices.mass_g, 3)}
    return row


def _description(kind: str, labelling: _Labelling, cases: int) -> dict[str, object]:
    return {
        "channel_names": {"0": "LGE" if kind == "la" else "cineMRI"},
        "labels": dict(labelling.values),
        "numTraining": cases,
        "file_ending": ".nii.gz",
        "description": "Synthetic cardiac MR with exact ground truth, made by nnunet_cardiac phantom.",
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _check(dataset_id: int, patients: int, test_patients: int, kind: str, cine: bool, folds: int, seed: int) -> None:
    if kind not in KINDS:
        raise UserError(f"Phantom kind {kind!r} is unknown; choose one of {', '.join(KINDS)}.")
    if not 1 <= dataset_id <= 999:
        raise UserError(f"Data set number {dataset_id} is out of range; choose 1 to 999.")
    if folds < 2 or patients < folds or test_patients < 0 or seed < 0:
        raise UserError(
            f"Got {patients} patients, {test_patients} test patients, {folds} folds and seed {seed}; "
            "need at least 2 folds, a patient for each, and no negative number."
        )
    if cine and kind == "la":
        raise UserError("A late-enhancement left atrium does not move; leave out cine, or choose kind sax or lax.")
