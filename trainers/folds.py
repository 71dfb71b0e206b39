"""Folds by patient where there are none, and what a trainer says of those that there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import write_json
from nnunet_cardiac.patients.fold_file import FILE_NAME, fold_warnings, read_cohort
from nnunet_cardiac.patients.repeated import shown_groups
from nnunet_cardiac.patients.splits import patient_splits
from nnunet_cardiac.planning.repeated import groups_by_image
from nnunet_cardiac.workflow.folders import raw_dataset


def write_split(preprocessed: Path, fold: int | str, say: Callable[[str], object]) -> None:
    """Write folds by patient if there are none, and say what is unusual in those that there are.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        fold: Number, or `all`, which needs no folds.
        say: Takes what belongs into the log.

    Raises:
        UserError: If there are fewer patients than folds, or a table of patients fits no case.
    """
    path = preprocessed / FILE_NAME
    drawn = fold != "all" and not path.is_file()
    try:
        cohort = read_cohort(preprocessed, os.environ)
    except UserError as error:
        if drawn:
            raise
        say(f"WARNING: {error}")  # the folds that there are do not depend on it
        return
    if drawn:
        raw = raw_dataset(preprocessed.name, os.environ)
        groups = groups_by_image(preprocessed, raw, cohort, progress=False)
        write_json(path, patient_splits(cohort.cases, patients=cohort.by_case, groups=groups))
        say(f"Wrote a split by patient: {path} ({cohort})")
        if groups:
            say(f"{shown_groups(groups)} show the same images; the folds keep them together.")
        for doubt in cohort.doubts:
            say(f"WARNING: the patients are a guess. {doubt}")
    for warning in fold_warnings(preprocessed, cohort):
        say(f"WARNING: {warning}")
