"""The table of all systems as Markdown, made from the file of results and from nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from nnunet_cardiac.benchmark.accuracy.budgets import BUDGETS
from nnunet_cardiac.benchmark.accuracy.result_line import COUNTS, EF_INDICES
from nnunet_cardiac.benchmark.accuracy.rows import SAME_SAMPLES_SINCE
from nnunet_cardiac.benchmark.accuracy.statistics import (
    ENDPOINTS,
    LEVEL,
    Entry,
    Record,
    compare_with_reference,
    rankings,
    title,
)
from nnunet_cardiac.evaluation.ed_es import PHASES
from nnunet_cardiac.evaluation.slice_levels import LEVELS

NO_RUNS = "No run has been recorded yet."

_STRUCTURES = ("RV", "MYO", "LV")


def make_tables(records: Sequence[dict]) -> str:
    """Return every table of all rankings: by structure, phase and slice level, tests and cost.

    Args:
        records: Lines of a results file.
    """
    parts = [_ranking(key, entries) for key, entries in rankings(records).items()]
    return "\n\n".join(parts) or NO_RUNS


def make_summary(records: Sequence[dict]) -> str:
    """Return one table for each ranking: means over structures, and the tests that decide.

    Args:
        records: Lines of a results file.
    """
    parts = [f"{_head(key, entries)}\n\n{_summary(entries)}" for key, entries in rankings(records).items()]
    return "\n\n".join(parts) or NO_RUNS


def _ranking(key: tuple[str, str, str], entries: Sequence[Entry]) -> str:
    tests = compare_with_reference(entries)
    return "\n\n".join(
        [
            _head(key, entries),
            _overview(entries),
            _tests(entries, tests),
            _by_phase(entries),
            _by_level(entries),
            _cost(entries),
        ]
    )


def _head(key: tuple[str, str, str], entries: Sequence[Entry]) -> str:
    """What holds for all rows of a ranking."""
    budget, hardware, data = key
    first = entries[0].records[0]
    purpose = BUDGETS[budget].purpose if budget in BUDGETS else "unknown to this version"
    facts = (
        f"{purpose[0].upper()}{purpose[1:]}. {first['test_patients']} held-out patients ({first['test_volumes']} "
        f"volumes); {first['training_volumes']} volumes for training in five folds; data `{data}`."
    )
    command = f"nnunet_cardiac benchmark accuracy --system ROW --budget {budget} -f FOLD --seeds SEED --data FOLDER"
    return "\n\n".join(
        [
            f"### Budget `{budget}`, {hardware}",
            facts,
            f"Each row by `{command}`, with `--recipe` and `--coarse` where the row names them.",
            *_footnote(entries),
        ]
    )


def _footnote(entries: Sequence[Entry]) -> list[str]:
    """What the dagger behind a name says, if there is one."""
    if not any(title(entry).endswith("†") for entry in entries):
        return []
    return [
        f"† Measured before {SAME_SAMPLES_SINCE}: the networks were trained on other windows, runs of slices or "
        "statistics than they predicted on, so these rows judge that difference, too."
    ]


def _summary(entries: Sequence[Entry]) -> str:
    tests = compare_with_reference(entries)
    head = ["", "row", "recipe", "runs", "Dice", "p", "HD95 (mm)", "p", "basal RV", "p", "LV EF", "RV EF", "min"]
    rows = []
    for place, entry in enumerate(entries, 1):
        row, _, recipe = _names(entry)
        patients = entry.patients()
        own = tests[tests["entry"] == entry.name].set_index("endpoint")["holm_p"] if not tests.empty else {}
        cells = [str(place), row, recipe, str(len(entry.runs))]
        for column, structure, name in ENDPOINTS:
            means = entry.by_structure(column).reindex(_STRUCTURES)
            value = means.mean() if structure is None else means[structure]
            digits = 1 if column == "hd95_pooled_mm" else 3
            cells += [_number(value, digits), _probability(own.get(name, math.nan))]
        cells += [_number(patients[name].abs().mean(), 1) for name in EF_INDICES]
        rows.append([*cells, _number(fmean(one["training_seconds"] for one in entry.records) / 60, 0)])
    note = (
        "Dice and HD95: means over patients and structures. p: difference from nnU-Net 2d on the runs that both have, "
        f"corrected after Holm for all rows of this table; bold below {LEVEL:g}. Basal RV: Dice of the right ventricle "
        "in basal slices. EF: mean absolute error of the ejection fraction in percentage points. Min: minutes of "
        "training of all networks of a row; times of different processors cannot be compared."
    )
    return f"{_table(head, rows)}\n\n{note}"


def _overview(entries: Sequence[Entry]) -> str:
    head = ["", "row", "`--system`", "recipe", "runs"]
    head += [f"Dice {name}" for name in (*_STRUCTURES, "mean")] + [f"HD95 {name}" for name in (*_STRUCTURES, "mean")]
    head += ["no distance", "basal RV", "LV EF", "RV EF", "implausible"]
    rows = []
    for place, entry in enumerate(entries, 1):
        cells = [str(place), *_names(entry), str(len(entry.runs))]
        for column, digits in (("dice", 3), ("hd95_pooled_mm", 1)):
            means = entry.by_structure(column).reindex(_STRUCTURES)
            cells += [_number(value, digits) for value in (*means, means.mean())]
        cases, patients = entry.cases(), entry.patients()
        runs = len(entry.runs)
        cells += [_number(cases["distance_failed"].sum() / runs, 1)]
        cells += [_number(entry.by_structure("base").get("RV", math.nan), 3)]
        cells += [_number(patients[name].abs().mean(), 1) for name in EF_INDICES]
        flagged = (cases[list(COUNTS)] > 0).sum(axis=1).groupby([cases["fold"], cases["seed"], cases["case"]]).sum()
        rows.append([*cells, _number(flagged.mean(), 1)])
    note = (
        "HD95 in mm of the headers. No distance: structures missing on one side, of all volumes and structures of a "
        "run; their Dice is 0 and counts. EF: mean absolute error in percentage points. Implausible: holes, "
        "fragments and missing slices, each counted once for a structure; mean of their sum over volumes."
    )
    return f"{_table(head, rows)}\n\n{note}"


def _tests(entries: Sequence[Entry], tests: pd.DataFrame) -> str:
    if tests.empty:
        return "No row can be tested against nnU-Net 2d yet: it takes runs of both with the same folds and seeds."
    head = ["against nnU-Net 2d", "recipe", "shared runs", "patients"]
    for _, _, name in ENDPOINTS:
        head += [name, "p", "corrected p"]
    rows = []
    for entry in entries:
        own = tests[tests["entry"] == entry.name].set_index("endpoint")
        if own.empty:
            continue
        cells = [title(entry), entry.recipe, str(int(own["runs"].iloc[0])), str(int(own["n_patients"].iloc[0]))]
        for column, _, name in ENDPOINTS:
            cells += _difference(own.loc[name], 1 if column == "hd95_pooled_mm" else 3)
        rows.append(cells)
    note = (
        "Row minus nnU-Net 2d, mean over patients with the 95 percent bootstrap interval. p: Wilcoxon's signed-rank "
        "test, two-sided, of the row alone; corrected p: after Holm for all rows of this table. Use the corrected p to "
        f"choose a row. Bold: below {LEVEL:g}."
    )
    return f"{_table(head, rows)}\n\n{note}"


def _difference(test: pd.Series, digits: int) -> list[str]:
    low, high = _number(test["ci95_low"], digits, sign=True), _number(test["ci95_high"], digits, sign=True)
    return [
        f"{_number(test['difference'], digits, sign=True)} ({low} to {high})",
        _probability(test["wilcoxon_p"]),
        _probability(test["holm_p"]),
    ]


def _probability(p: float) -> str:
    if math.isnan(p):
        return "–"
    shown = "< 0.001" if p < 0.001 else f"{p:.3f}"
    return f"**{shown}**" if p < LEVEL else shown


def _by_phase(entries: Sequence[Entry]) -> str:
    head = ["by phase", "recipe"]
    columns = (("dice", "Dice", 3), ("hd95_pooled_mm", "HD95", 1))
    head += [f"{shown} {name} {phase}" for _, shown, _ in columns for phase in PHASES for name in _STRUCTURES]
    rows = []
    for entry in entries:
        table, cells = entry.cases(), [title(entry), entry.recipe]
        for column, _, digits in columns:
            means = table.groupby(["phase", "structure", "case"])[column].mean().groupby(["phase", "structure"]).mean()
            wanted = ((phase, name) for phase in PHASES for name in _STRUCTURES)
            cells += [_number(means.get(key, math.nan), digits) for key in wanted]
        rows.append(cells)
    return _table(head, rows)


def _by_level(entries: Sequence[Entry]) -> str:
    head = ["Dice by slice level", "recipe", *(f"{name} {level}" for name in _STRUCTURES for level in LEVELS)]
    rows = []
    for entry in entries:
        means = {level: entry.by_structure(level) for level in LEVELS}
        values = (means[level].get(name, math.nan) for name in _STRUCTURES for level in LEVELS)
        rows.append([title(entry), entry.recipe, *(_number(value, 3) for value in values)])
    return _table(head, rows)


def _cost(entries: Sequence[Entry]) -> str:
    head = [
        "cost",
        "recipe",
        "networks",
        "slices seen",
        "training (min)",
        "M parameters",
        "GFLOP a slice",
        "step (ms a slice)",
    ]
    head += ["prediction (s a volume)", "peak (GiB)", "processor", "fold, seed"]
    rows = []
    for entry in entries:
        records, stages = entry.records, entry.records[0]["stages"]

        def mean(value: Callable[[Record], float], records: Sequence[Record] = records) -> float:
            return fmean(value(record) for record in records)

        peaks = [stage["peak_gib"] for record in records for stage in record["stages"] if stage["peak_gib"] is not None]
        rows.append(
            [
                title(entry),
                entry.recipe,
                " + ".join(str(stage["networks"]) for stage in stages),
                _number(mean(lambda record: record["slices"]), 0),
                _number(mean(lambda record: record["training_seconds"]) / 60, 1),
                _number(records[0]["parameters"] / 1e6, 2),
                " + ".join(_number(stage["gflop_slice"], 1) for stage in stages),
                " + ".join(_number(_slice_ms(stage), 1) for stage in stages),
                _number(mean(lambda record: record["prediction_seconds"] / record["test_volumes"]), 2),
                _number(max(peaks), 1) if peaks else "–",
                _processors(records),
                ", ".join(f"{fold}/{seed}" for fold, seed in sorted(entry.runs)),
            ]
        )
    note = (
        "Stages are joined by +. Slices seen and training are those of all networks of a row, shared first stages "
        "included. GFLOP: of a forward pass. Step: forward, backward and loading. Prediction: nnU-Net's command with "
        "its start. Times of different processors cannot be compared."
    )
    return f"{_table(head, rows)}\n\n{note}"


def _processors(records: Sequence[Mapping[str, Any]]) -> str:
    """Processors that runs were made on, without trade marks."""
    names = {str(record["hardware"]["processor"]) for record in records}
    return ", ".join(sorted(re.sub(r"\((R|TM)\)| Processor\b", "", name) for name in names))


def _slice_ms(stage: Mapping[str, Any]) -> float | None:
    """Median time of a training step divided by the slices in it."""
    step = stage["step_ms"]
    return None if step is None else step / (stage["batch"] * stage["slices_per_sample"])


def _names(entry: Entry) -> list[str]:
    recipe = entry.recipe if entry.coarse_labels == _usual_labels(entry) else f"{entry.recipe}, {entry.coarse_labels}"
    return [title(entry), f"`{entry.system}`", recipe]


def _usual_labels(entry: Entry) -> str:
    budget = BUDGETS.get(entry.records[0]["budget"])
    return entry.coarse_labels if budget is None else budget.coarse_labels


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None, digits: int, sign: bool = False) -> str:
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:{'+' if sign else ''},.{digits}f}"
    return text.replace(",", " ") if digits == 0 else text
