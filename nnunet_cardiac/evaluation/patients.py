"""What is known of the patients beside the images: disease group, phases, height and weight."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from nnunet_cardiac.errors import UserError

#: Column -> other names under which public data sets keep it (compared in lower case).
_SYNONYMS = {
    "patient": ("patient", "patient_id", "subject", "subject_code", "external code", "case"),
    "group": ("group", "pathology", "disease"),
    "ed_frame": ("ed_frame", "ed"),
    "es_frame": ("es_frame", "es"),
    "height_cm": ("height_cm", "height"),
    "weight_kg": ("weight_kg", "weight"),
}


@dataclass(frozen=True)
class PatientTable:
    """Facts by patient; a patient or a fact that is not known is left out.

    Attributes:
        group: Disease group.
        frames: Phase (`ED`, `ES`) -> frame number as in the case names.
        height_cm: Height.
        weight_kg: Weight.
    """

    group: dict[str, str] = field(default_factory=dict)
    frames: dict[str, dict[str, int]] = field(default_factory=dict)
    height_cm: dict[str, float] = field(default_factory=dict)
    weight_kg: dict[str, float] = field(default_factory=dict)


def read_patient_table(path: Path) -> PatientTable:
    """Read a CSV file with a column `patient` and any of `group`, `ed_frame`, `es_frame`, `height_cm`, `weight_kg`.

    Args:
        path: For example the `patients.csv` of a phantom; separator comma, semicolon or tab.

    Raises:
        UserError: If the file cannot be read, has no patient column, names a patient twice with different facts, or a
            height or weight is no plausible number of cm or kg.
    """
    try:
        head = path.read_text(encoding="utf-8-sig").partition("\n")[0]
        separator = max(",;\t", key=head.count)
        table = pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(
            f"{path}: cannot be read as a table ({error}); expected CSV with a column `patient`."
        ) from error
    by_name = {str(column).strip().lower(): column for column in table.columns}
    columns = {
        name: by_name[known]
        for name, spellings in _SYNONYMS.items()
        if (known := next((s for s in spellings if s in by_name), None)) is not None
    }
    if "patient" not in columns:
        raise UserError(f"{path}: no column `patient`, found {', '.join(map(str, table.columns))}. Rename one.")
    table = table[list(columns.values())].set_axis(list(columns), axis=1).drop_duplicates()
    if (twice := table.loc[table["patient"].duplicated(), "patient"]).size:
        raise UserError(f"{path}: {twice.iloc[0]} is listed twice with different facts; keep one line a patient.")
    table = table.set_index("patient")
    frames = {phase: _numbers(path, table, f"{phase.lower()}_frame", 0, 10_000) for phase in ("ED", "ES")}
    return PatientTable(
        group=table["group"].dropna().to_dict() if "group" in table else {},
        frames={
            patient: {phase: int(numbers[patient]) for phase, numbers in frames.items() if patient in numbers}
            for patient in table.index
            if any(patient in numbers for numbers in frames.values())
        },
        height_cm=_numbers(path, table, "height_cm", 30, 250),
        weight_kg=_numbers(path, table, "weight_kg", 2, 350),
    )


def _numbers(path: Path, table: pd.DataFrame, column: str, low: float, high: float) -> dict[str, float]:
    """Numbers of a column by patient, empty cells left out."""
    if column not in table:
        return {}
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = table[column].notna() & ~values.between(low, high)
    if wrong.any():
        patient = table.index[wrong][0]
        raise UserError(
            f"{path}: {column} of {patient} is {table.loc[patient, column]!r}; expected a number from {low} to {high}. "
            "Correct it, or leave the cell empty if it is not known."
        )
    return values.dropna().to_dict()
