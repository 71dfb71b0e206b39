"""Runs put together: means over repetitions by patient, and tests against the reference row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nnunet_cardiac.benchmark.accuracy.rows import REFERENCE, ROWS, SAME_SAMPLES_SINCE, predicted_on_other_samples
from nnunet_cardiac.evaluation.comparison import compare_pair, holm, patient_means

#: What rows are tested by, chosen before any run: (column, structure or None for the mean of all, name in tables).
ENDPOINTS: tuple[tuple[str, str | None, str], ...] = (
    ("dice", None, "mean Dice"),
    ("hd95_pooled_mm", None, "mean HD95 (mm)"),
    ("base", "RV", "Dice of the basal RV"),
)

#: A corrected p below this is called significant.
LEVEL = 0.05

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """A row of the table: all runs of one system with one recipe.

    Attributes:
        system: Key of `ROWS`.
        recipe: Name of the recipe.
        coarse_labels: `simulated` or `predicted`.
        records: Its runs, of several folds and seeds.
    """

    system: str
    recipe: str
    coarse_labels: str
    records: tuple[Record, ...]

    @property
    def name(self) -> str:
        """Unique within a ranking."""
        return f"{self.system} {self.recipe} {self.coarse_labels}"

    @property
    def runs(self) -> set[tuple[int, int]]:
        """Folds and seeds."""
        return {(record["fold"], record["seed"]) for record in self.records}

    def cases(self, runs: set[tuple[int, int]] | None = None) -> pd.DataFrame:
        """Results by case and structure of the runs (None: all), with `method`, `case`, `fold` and `seed`."""
        chosen = [r for r in self.records if runs is None or (r["fold"], r["seed"]) in runs]
        tables = [_table(r["cases"]).assign(fold=r["fold"], seed=r["seed"]) for r in chosen]
        table = pd.concat(tables, ignore_index=True)
        return table.assign(method=self.name, case=table["patient"].astype(str) + " " + table["phase"])

    def patients(self) -> pd.DataFrame:
        """Errors of function by patient and run."""
        return pd.concat([_table(record["patients"]) for record in self.records], ignore_index=True)

    def by_structure(self, column: str) -> pd.Series:
        """Mean over patients of a column, by structure; runs, then cases of a patient are averaged first."""
        return patient_means(self.cases(), column)[self.name].groupby("structure").mean()

    def mean_dice(self) -> float:
        """Mean over structures."""
        return float(self.by_structure("dice").mean())


def rankings(records: Sequence[Record]) -> dict[tuple[str, str, str], list[Entry]]:
    """Group runs by what may be ranked together and order them by mean Dice.

    Args:
        records: Lines of a results file.

    Returns:
        (budget, hardware class, data) -> entries, best first.
    """
    grouped: dict[tuple[str, str, str], dict[tuple[str, str, str], list[Record]]] = {}
    for record in records:
        ranking = grouped.setdefault((record["budget"], record["hardware_class"], record["data"]), {})
        ranking.setdefault((record["system"], record["recipe"], record["coarse_labels"]), []).append(record)
    return {
        key: sorted((Entry(*name, tuple(found)) for name, found in rows.items()), key=lambda e: -e.mean_dice())
        for key, rows in grouped.items()
    }


def compare_with_reference(entries: Sequence[Entry]) -> pd.DataFrame:
    """Test every entry of a ranking against nnU-Net 2d.

    Patients are the unit. An entry and the reference are compared on the folds and seeds that both have; of the
    patients those count that have a value of both (a structure that is missing on one side has no distance).

    Args:
        entries: Of one ranking.

    Returns:
        One row for each endpoint and entry: those of :func:`compare` with `entry`, `endpoint` and `runs`; `holm_p` is
        corrected for all entries of the endpoint. Empty without a reference or without others.
    """
    reference = next((entry for entry in entries if entry.system == REFERENCE), None)
    if reference is None:
        return pd.DataFrame()
    others = [e for e in entries if e is not reference and e.runs & reference.runs]
    rows: list[dict[str, Any]] = []
    for column, structure, name in ENDPOINTS if others else ():
        part = [_test(entry, reference, column, structure) for entry in others]
        corrected = holm(np.array([row["wilcoxon_p"] for row in part], float))
        rows += [{**row, "endpoint": name, "holm_p": float(p)} for row, p in zip(part, corrected, strict=True)]
    return pd.DataFrame(rows)


def title(entry: Entry) -> str:
    """Name of an entry for readers, with a dagger if one of its runs is of before `SAME_SAMPLES_SINCE`."""
    row = ROWS.get(entry.system)
    if row is None:
        return entry.system
    before = any(predicted_on_other_samples(row, record.get("date", SAME_SAMPLES_SINCE)) for record in entry.records)
    return f"{row.title} †" if before else row.title


def _test(entry: Entry, reference: Entry, column: str, structure: str | None) -> dict[str, Any]:
    shared = entry.runs & reference.runs
    both = pd.concat([entry.cases(shared), reference.cases(shared)], ignore_index=True)
    means = patient_means(both, column)
    if structure is None:
        values = means.groupby("patient").agg(lambda column: column.mean(skipna=False))
    elif structure in means.index.get_level_values("structure"):
        values = means.loc[structure]
    else:
        values = means.iloc[:0]
    values = values.reindex(columns=[entry.name, reference.name])
    row = compare_pair(values, column, structure or "mean", (entry.name, reference.name))
    return {**row, "entry": entry.name, "runs": len(shared)}


def _table(columns: Mapping[str, Any]) -> pd.DataFrame:
    table = pd.DataFrame(columns["rows"], columns=columns["columns"])
    names = {"phase", "structure", "group"}
    return table.astype({name: float for name in table if name not in names and name != "patient"})
