"""Tables that say which case is whose: `cases.csv` and `patients.csv`. No torch, no pandas."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.image_names import image_stem
from nnunet_cardiac.patients.csv_table import TABLE_ENDINGS, has_columns, number, read_table

logger = logging.getLogger(__name__)

#: Names of the tables beside a data set, in the order in which they are asked.
_STEMS = ("cases", "patients")
_CASE = ("case", "case_id", "casename", "case_name", "name", "file", "filename", "image")
_PATIENT = ("patient", "patient_id", "subject", "subject_id", "subject_code", "external code", "participant_id")
_PHASES = {"ed": "ED", "es": "ES", "": ""}


@dataclass(frozen=True)
class Listed:
    """What a table says of one case; what it leaves open is empty or None."""

    patient: str
    phase: str = ""
    frame: int | None = None


@dataclass(frozen=True)
class PatientList:
    """One table.

    Attributes:
        path: Where it was read.
        cases: Case -> what is said of it; empty if the table has no column of cases.
        patients: All patients of the table.
    """

    path: Path
    cases: Mapping[str, Listed] = field(default_factory=dict)
    patients: frozenset[str] = frozenset()


def find_tables(*folders: Path) -> list[Path]:
    """Tables of the first folder that holds one; those that `evaluate` wrote are left out.

    Args:
        folders: In or beside a data set. A table is called `cases` or `patients` and is CSV or Excel; of two of one
            name the CSV file counts, with a warning.
    """
    for folder in folders:
        found = [path for name in _STEMS if (path := table_in(folder, name)) is not None]
        if found:
            return found
    return []


def table_in(folder: Path, stem: str) -> Path | None:
    """`patients.csv` or `patients.xlsx`, for example, unless `evaluate` wrote it."""
    paths = [path for ending in TABLE_ENDINGS if (path := folder / f"{stem}{ending}").is_file()]
    paths = [path for path in paths if not has_columns(path, "method", "structure")]
    if len(paths) > 1:
        logger.warning("%s: %s is read, %s is not; keep one.", folder, paths[0].name, paths[1].name)
    return paths[0] if paths else None


def read_patient_list(path: Path) -> PatientList:
    """Read a table with a column `patient` and, if it says more than names, `case`, `phase` and `frame`.

    Args:
        path: CSV or Excel. Cases may be file names; a table without patients but with cases is one
            of patients that have a case each.

    Raises:
        UserError: If there is no such column, a case is listed for two patients or two phases, or a phase is neither
            ED, ES nor empty.
    """
    rows = [
        {key.strip().lower(): value for key, value in row.items()} for row in read_table(path, (), (*_CASE, *_PATIENT))
    ]
    columns = list(rows[0]) if rows else []
    case = next((name for name in _CASE if name in columns), None)
    patient = next((name for name in _PATIENT if name in columns), None)
    if patient is None and case is None:
        raise UserError(
            f"{path}: columns {', '.join(columns) or 'none'}; expected `patient`, and `case` where a patient has "
            "several. Rename one."
        )
    if patient is None or case is None:
        column = patient or case or ""
        return PatientList(path, {}, frozenset(row[column] for row in rows if row.get(column)))
    cases: dict[str, Listed] = {}
    for row in rows:
        if row.get(case) and row.get(patient):
            name = _without_ending(row[case])
            cases[name] = _agreed(path, name, cases.get(name), _listed(path, row, row[patient]))
    return PatientList(path, cases, frozenset(listed.patient for listed in cases.values()))


def _listed(path: Path, row: Mapping[str, str], patient: str) -> Listed:
    phase, frame = row.get("phase", ""), row.get("frame", "")
    if phase.lower() not in _PHASES:
        raise UserError(f"{path}: {patient} has the phase {phase!r}; expected ED, ES or an empty cell.")
    value = number(frame)
    if frame and (value is None or not value.is_integer()):
        raise UserError(f"{path}: {patient} has the frame {frame!r}; expected a whole number or an empty cell.")
    return Listed(patient, _PHASES[phase.lower()], None if value is None else int(value))


def _agreed(path: Path, case: str, first: Listed | None, second: Listed) -> Listed:
    """One row for two of the same case, as where a data set lists its series, too."""
    if first is None:
        return second
    phases = {first.phase, second.phase} - {""}
    if first.patient != second.patient or len(phases) > 1:
        raise UserError(
            f"{path}: case {case} is listed as {first.patient} {first.phase} and as {second.patient} {second.phase}; "
            "expected one patient and phase a case. Correct one of the rows."
        )
    return Listed(first.patient, first.phase or second.phase, second.frame if first.frame is None else first.frame)


def _without_ending(name: str) -> str:
    return image_stem(name) or Path(name).name
