"""Volumes of all references of the patients, whether or not there is a prediction: phases and EDV depend on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.jobs import raise_all
from nnunet_cardiac.evaluation.label_files import LabelFile
from nnunet_cardiac.evaluation.label_maps import label_values, read_canonical
from nnunet_cardiac.evaluation.volumes import voxel_volume_ml
from nnunet_cardiac.label_values import ignored_mask
from nnunet_cardiac.patients.cohort import CaseName

#: Columns of volumes in the tables of an evaluation.
VOLUMES = ("volume_ml_reference", "volume_ml_prediction")


def read_references(
    files: Mapping[str, LabelFile], structures: Mapping[str, int], ignore_label: int | None
) -> list[dict[str, Any]]:
    """Measure references that are compared with nothing.

    Args:
        files: Case -> its file.
        structures: Structure -> label value, without the background.
        ignore_label: Value of voxels without a reference, or None.

    Returns:
        For each case and structure `case`, `structure`, `volume_ml_reference` (NaN if voxels have no reference) and
        `depth` (slices of the image).

    Raises:
        UserError: Naming every file that cannot be read.
    """
    allowed = {0, *structures.values()} | (set() if ignore_label is None else {ignore_label})
    by_path: dict[Path, list[tuple[str, int]]] = {}
    for case, file in files.items():
        by_path.setdefault(file.path, []).append((case, file.frame or 0))
    rows, problems = [], []
    for path, cases in by_path.items():
        try:
            labels = read_canonical(path)
            values = label_values(labels, allowed)
        except UserError as error:
            problems.append(str(error))
            continue
        voxel_ml = voxel_volume_ml(labels.spacing_mm)
        for case, frame in cases:
            unknown = ignored_mask(values[frame], ignore_label).any()
            for name, value in structures.items():
                volume = np.nan if unknown else float(np.count_nonzero(values[frame] == value)) * voxel_ml
                row = {"case": case, "structure": name, "volume_ml_reference": volume, "depth": values.shape[1]}
                rows.append(row)
    raise_all(problems)
    return rows


def single_slices(depths: Mapping[str, int], names: Mapping[str, CaseName]) -> set[str]:
    """Cases of one slice that are no part of a stack: the area of a slice is no volume.

    Args:
        depths: Case -> slices of its image.
        names: Case -> what is known of it; slices of one stack are several cases.
    """
    slices = Counter(names[case].stack for case in depths)
    return {case for case, depth in depths.items() if depth == 1 and slices[names[case].stack] == 1}


def with_missing(table: pd.DataFrame, references: pd.DataFrame) -> pd.DataFrame:
    """Add the references without a prediction to the cases of a method.

    Args:
        table: `cases` of an evaluation, of one method.
        references: Of all cases of the patients, see :class:`nnunet_cardiac.evaluation.table.Evaluation`.

    Returns:
        Both, the volume of the prediction being empty where there is none.
    """
    missing = references[~references["case"].isin(table["case"])]
    if missing.empty:
        return table
    added = missing.assign(method=table["method"].iloc[0], run=0, volume_ml_prediction=np.nan)
    columns = ["method", "run", "case", "patient", "phase", "group", "structure", *VOLUMES]
    return pd.concat([table[columns], added[columns]], ignore_index=True)


def cases_of_patients(cases: Iterable[str], names: Mapping[str, CaseName]) -> list[str]:
    """All cases of the patients to whom some cases belong."""
    patients = {names[case].patient for case in cases}
    return [case for case, name in names.items() if name.patient in patients]
