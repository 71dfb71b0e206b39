"""Clinical indices of everything that was segmented, from the sidecar files."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_cardiac.evaluation.ed_es import assign_phases
from nnunet_cardiac.evaluation.volumes import ejection_fraction, myocardial_mass_g
from nnunet_cardiac.files import replacing
from nnunet_cardiac.patients.cohort import read_names

COLUMNS = ("case", "index", "unit", "value")

Row = tuple[str, str, str, float]


def indices(sidecars: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return the rows of the table.

    Cine series have their phases in the sidecar. Stacks whose names say so (`PATIENT_frameNN`, `PATIENT_ED`) belong
    together; where the names give no phase, the one with the largest left ventricle is end-diastole. What has no phases
    gets its volumes. One slice has no volume and no row.
    """
    rows: list[Row] = []
    sidecars = list(sidecars)
    names = read_names(sidecar["name"] for sidecar in sidecars)
    examinations: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for sidecar in sidecars:
        if sidecar["input"]["shape_tzyx"][1] == 1:
            continue
        if sidecar["phases"]:
            at = {phase: _volumes(sidecar, frame - 1) for phase, frame in sidecar["phases"].items()}
            rows += _phase_rows(sidecar["name"], at)
        else:
            examinations[names[sidecar["name"]].series][sidecar["name"]] = sidecar
    for heart, cases in examinations.items():
        volumes = {name: _volumes(sidecar).get("LV", 0.0) for name, sidecar in cases.items()}
        phases = assign_phases(volumes, names=names)
        at = {phase: _volumes(cases[name]) for name, phase in phases.items() if phase}
        if len(at) == 2:
            rows += _phase_rows(heart, at)
        else:
            rows += [
                (name, f"{structure} volume", "mL", value)
                for name, sidecar in cases.items()
                for structure, value in _volumes(sidecar).items()
            ]
    return sorted(rows, key=lambda row: row[0])


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((case, index, unit, f"{value:.2f}") for case, index, unit, value in rows)
    with replacing(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _volumes(sidecar: Mapping[str, Any], frame: int = 0) -> dict[str, float]:
    volumes = {name: values[frame] for name, values in sidecar["volumes_ml"].items()}
    return {name: float("nan") if value is None else value for name, value in volumes.items()}


def _phase_rows(case: str, at: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """Indices of one heart from its volumes at end-diastole and end-systole."""
    rows: list[Row] = []
    for ventricle in ("LV", "RV"):
        if ventricle in at["ED"]:
            edv, esv = at["ED"][ventricle], at["ES"][ventricle]
            rows += [(case, f"{ventricle} EDV", "mL", edv), (case, f"{ventricle} ESV", "mL", esv)]
            rows += [(case, f"{ventricle} SV", "mL", edv - esv)]
            rows += [(case, f"{ventricle} EF", "%", ejection_fraction(edv, esv))]
    if "MYO" in at["ED"]:
        rows.append((case, "LV mass", "g", myocardial_mass_g(at["ED"]["MYO"])))
    return rows
