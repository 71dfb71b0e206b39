"""The files of an evaluation: one CSV for each table and one JSON with everything that is summarised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.agreement_statistics import agreement_statistics
from nnunet_cardiac.evaluation.comparison import compare, rank
from nnunet_cardiac.evaluation.indices import indices, volume_curves, wall_indices
from nnunet_cardiac.evaluation.orientation import orientation_counts
from nnunet_cardiac.evaluation.patients import PatientTable
from nnunet_cardiac.evaluation.references import with_missing
from nnunet_cardiac.evaluation.slice_summary import slice_summary
from nnunet_cardiac.evaluation.summary import ALL, by_patient, level_table, presence, summary_table
from nnunet_cardiac.evaluation.table import Evaluation
from nnunet_cardiac.files import read_json, replacing, write_json
from nnunet_cardiac.patients.csv_table import has_columns
from nnunet_cardiac.version import installed_versions

JSON_NAME = "evaluation.json"
#: Tables that the JSON file repeats: small ones, without rows for single cases.
_IN_JSON = ("summary", "slice_summary", "agreement", "presence", "comparison", "ranking")
#: Columns of text.
_NAMES = (
    "method", "case", "patient", "phase", "group", "structure", "level", "metric", "index", "unit", "name", "source",
    "method_a", "method_b", "orientation",
)  # fmt: skip
_VERSIONS = ("nnunet_cardiac", "Python", "numpy", "scipy", "pandas", "SimpleITK")


@dataclass(frozen=True)
class Results:
    """Tables by name (the name of the CSV file) and facts about the run.

    Attributes:
        tables: Those of `TABLES`; `comparison` and `ranking` if there are several methods; empty ones are left out.
        facts: What JSON holds besides: labels, inputs, options, versions, counts.
    """

    tables: Mapping[str, pd.DataFrame]
    facts: Mapping[str, Any]

    def table(self, name: str) -> pd.DataFrame:
        """A table, empty if there is none of this name."""
        return self.tables.get(name, pd.DataFrame())


def derive(
    evaluation: Evaluation, facts: Mapping[str, Any], patients: PatientTable | None = None, formula: str = "mosteller"
) -> Results:
    """Derive all tables from those of the cases.

    Args:
        evaluation: Tables of cases and slices.
        facts: Labels, inputs and options to keep with the results.
        patients: Height and weight, for indexed volumes.
        formula: Of the body surface area.
    """
    levels = level_table(evaluation.slices)
    volumes = {
        method: with_missing(part, evaluation.references)
        for method, part in evaluation.cases.groupby("method", sort=False)
    }
    clinical = pd.concat(
        [indices(part, patients, formula).assign(method=method) for method, part in volumes.items()]
    ).rename(columns={"difference": "prediction_minus_reference"})
    clinical.insert(0, "method", clinical.pop("method"))
    tables = {
        "cases": evaluation.cases,
        "slices": evaluation.slices,
        "levels": levels,
        "summary": summary_table(evaluation.cases, levels),
        "images": evaluation.images,
        "slice_summary": slice_summary(evaluation.slices, evaluation.images),
        "by_patient": by_patient(evaluation.cases),
        "indices": clinical,
        "agreement": agreement_table(clinical),
        "walls": wall_indices(evaluation.walls),
        "plausibility": evaluation.plausibility,
        "presence": presence(evaluation.slices),
        "curves": volume_curves(pd.concat(volumes.values(), ignore_index=True)),
    }
    if evaluation.cases["method"].nunique() > 1:
        tables |= {"comparison": compare(evaluation.cases), "ranking": rank(evaluation.cases)}
    first = evaluation.cases.drop_duplicates("case")
    counted = {
        "cases": len(first),
        "patients": int(first["patient"].nunique()),
        "partly_annotated": first.loc[first["voxels_ignored"] > 0, "case"].tolist(),
        "left_out": {method: list(cases) for method, cases in evaluation.left_out.items()},
        "localisation": {method: asdict(found) for method, found in evaluation.localisation.items()},
        "orientation": orientation_counts(evaluation.plausibility),
        "distance_failed": _counts(evaluation.cases, "distance_failed"),
        "both_empty": _counts(evaluation.cases, "both_empty"),
    }
    versions = installed_versions(*_VERSIONS)
    return Results({name: t for name, t in tables.items() if not t.empty}, {**facts, **counted, "versions": versions})


def agreement_table(clinical: pd.DataFrame) -> pd.DataFrame:
    """Agreement of each clinical index, by method; differences are reference − prediction."""
    rows = [
        {
            "method": method,
            "index": index,
            "unit": unit,
            **asdict(agreement_statistics(part["reference"], part["prediction"])),
        }
        for (method, index, unit), part in clinical.groupby(["method", "index", "unit"], sort=False)
    ]
    return pd.DataFrame(rows).rename(columns={"bias": "bias_reference_minus_prediction"})


def check_target(folder: Path) -> None:
    """Refuse a folder with tables of these names that no evaluation wrote, such as the `cases.csv` of a data set.

    Raises:
        UserError: If there is one.
    """
    for name in TABLES:
        path = folder / f"{name}.csv"
        if path.exists() and not any(has_columns(path, column) for column in ("method", "method_a")):
            raise UserError(
                f"{path}: is not the table of an evaluation, and would be replaced. Write to another folder (-o), or "
                "move the file."
            )


def write_results(folder: Path, results: Results) -> list[Path]:
    """Write the tables as CSV and the summaries as JSON, each file atomically; the JSON comes last.

    Args:
        folder: Made if it is not there; tables of an earlier evaluation are replaced or removed.
        results: What to write.

    Returns:
        The files, JSON first.

    Raises:
        UserError: If the folder holds tables of other origin under these names.
    """
    check_target(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in (*TABLES, *(n for n in results.tables if n not in TABLES)):
        path = folder / f"{name}.csv"
        if name in results.tables:
            with replacing(path) as temporary:
                results.tables[name].to_csv(temporary, index=False, float_format="%.6g")
            written.append(path)
        else:
            path.unlink(missing_ok=True)
    tables = dict(results.tables, summary=_at_most_one_split(results.tables["summary"]))
    summaries = {name: _records(tables[name]) for name in _IN_JSON if name in tables}
    write_json(folder / JSON_NAME, {**results.facts, **summaries})
    return [folder / JSON_NAME, *written]


TABLES = (
    "cases",
    "slices",
    "levels",
    "summary",
    "images",
    "slice_summary",
    "by_patient",
    "indices",
    "agreement",
    "walls",
    "plausibility",
    "presence",
    "curves",
    "comparison",
    "ranking",
)


def _at_most_one_split(summary: pd.DataFrame) -> pd.DataFrame:
    """Summaries by phase, by group or by level; their combinations stay in the CSV file."""
    return summary[(summary[["phase", "group", "level"]] != ALL).sum(axis=1) <= 1]


def _counts(cases: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    counts = cases.groupby(["method", "structure"], sort=False)[column].sum().astype(int)
    return {method: counts[method].to_dict() for method in counts.index.unique("method")}


def _records(table: pd.DataFrame) -> Sequence[dict[str, Any]]:
    """Rows as plain values; JSON has no NaN."""
    return [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
        for row in table.to_dict("records")
    ]


def read_results(folder: Path) -> Results:
    """Read what :func:`write_results` wrote.

    Raises:
        UserError: If the folder holds no finished evaluation.
    """
    path = folder / JSON_NAME
    if not path.is_file():
        raise UserError(
            f"{folder}: no {JSON_NAME}; expected the folder of a finished nnunet_cardiac evaluate (its -o)."
        )
    facts = {name: value for name, value in read_json(path).items() if name not in _IN_JSON}
    tables = {name: _read_table(file) for name in TABLES if (file := folder / f"{name}.csv").is_file()}
    return Results(tables, facts)


def _read_table(path: Path) -> pd.DataFrame:
    """Numbers as numbers, names as text: an empty phase is no gap, and a patient called 001 or NA keeps its name."""
    header = pd.read_csv(path, nrows=0).columns
    names = {name: str for name in _NAMES if name in header}
    return pd.read_csv(
        path, dtype=names, keep_default_na=False, na_values={name: [""] for name in header if name not in names}
    )
