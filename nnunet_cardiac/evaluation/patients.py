"""What is known of the patients beside the images: disease group, phases, height and weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.csv_table import number, read_table

#: Column -> other names under which public data sets keep it (compared in lower case).
_PATIENT = ("patient", "patient_id", "subject", "subject_code", "external code", "case")
_SYNONYMS = {
    "patient": _PATIENT,
    "group": ("group", "pathology", "disease"),
    "ed_frame": ("ed_frame", "ed"),
    "es_frame": ("es_frame", "es"),
    "height_cm": ("height_cm", "height"),
    "weight_kg": ("weight_kg", "weight"),
}
#: Words of a cell for something that is not known.
_MISSING = frozenset(("NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "<NA>", "-"))


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
    """Read a table with a column `patient` and any of `group`, `ed_frame`, `es_frame`, `height_cm`, `weight_kg`.

    Args:
        path: For example the `patients.csv` of a phantom; CSV or Excel.

    Raises:
        UserError: If the file cannot be read, has no patient column, names a patient twice with different facts, or a
            height or weight is no plausible number of cm or kg.
    """
    rows = [{name.strip().lower(): cell for name, cell in row.items()} for row in read_table(path, (), _PATIENT)]
    header = list(rows[0]) if rows else []
    columns = {
        name: known
        for name, spellings in _SYNONYMS.items()
        if (known := next((s for s in spellings if s in header), None)) is not None
    }
    if "patient" not in columns:
        raise UserError(f"{path}: no column `patient`, found {', '.join(header) or 'no row'}. Rename one.")
    facts: dict[str, dict[str, str]] = {}
    for row in rows:
        own = {name: "" if (cell := row.get(column, "")) in _MISSING else cell for name, column in columns.items()}
        patient = row.get(columns["patient"], "")
        if patient and facts.setdefault(patient, own) != own:
            raise UserError(f"{path}: {patient} is listed twice with different facts; keep one line a patient.")
    frames = {phase: _numbers(path, facts, f"{phase.lower()}_frame", 0, 10_000) for phase in ("ED", "ES")}
    return PatientTable(
        group={patient: group for patient, own in facts.items() if (group := own.get("group"))},
        frames={
            patient: {phase: int(numbers[patient]) for phase, numbers in frames.items() if patient in numbers}
            for patient in facts
            if any(patient in numbers for numbers in frames.values())
        },
        height_cm=_numbers(path, facts, "height_cm", 30, 250),
        weight_kg=_numbers(path, facts, "weight_kg", 2, 350),
    )


def _numbers(
    path: Path, facts: Mapping[str, Mapping[str, str]], column: str, low: float, high: float
) -> dict[str, float]:
    """Numbers of a column by patient, empty cells left out."""
    found = {}
    for patient, own in facts.items():
        if not (text := own.get(column)):
            continue
        value = number(text)
        if value is None or not low <= value <= high or (column.endswith("_frame") and not value.is_integer()):
            kind = "whole number" if column.endswith("_frame") else "number"
            raise UserError(
                f"{path}: {column} of {patient} is {text!r}; expected a {kind} from {low} to {high}. "
                "Correct it, or leave the cell empty if it is not known."
            )
        found[patient] = value
    return found
