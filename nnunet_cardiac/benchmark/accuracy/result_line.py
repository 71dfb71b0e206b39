"""A run as one line of JSON: what was compared, what it cost, and results by patient for paired tests.

No image data and no names: patients are numbered in the order of the names of the patients kept apart.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.benchmark.accuracy.data import Data
from nnunet_cardiac.benchmark.accuracy.workspace import Run
from nnunet_cardiac.benchmark.speed.run_file import hardware, versions
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.indices import indices
from nnunet_cardiac.evaluation.slice_levels import LEVELS
from nnunet_cardiac.evaluation.summary import level_table
from nnunet_cardiac.evaluation.table import Evaluation, Method, evaluate
from nnunet_cardiac.files import read_json, replacing
from nnunet_cardiac.label_values import ignore_label
from nnunet_cardiac.version import __version__

#: What tells one run from another; a second run with the same values replaces the first.
KEY = ("system", "recipe", "budget", "coarse_labels", "fold", "seed", "data", "hardware_class")

#: Columns of the results of a case and structure.
CASES = ("patient", "phase", "structure", "dice", "hd95_pooled_mm", "distance_failed", *LEVELS)
COUNTS = ("hole_voxels", "fragments", "missing_slices")
EF_INDICES = ("LV EF", "RV EF")

_DIGITS = 4


def describe(run: Run, data: Data, outcome: Any, progress: bool = True) -> dict[str, Any]:
    """Evaluate a run and return its line.

    Args:
        run: What was run.
        data: The data set.
        outcome: What :func:`nnunet_cardiac.benchmark.accuracy.run.run_row` returned.
        progress: Whether to show a progress bar.
    """
    named = read_json(data.raw / "dataset.json")["labels"]
    labels = anatomy_labels(named)
    methods = [Method(run.system, (outcome.predictions,))]
    # Networks after a few steps may still confuse structures: that is a result here and no mistake.
    evaluation = evaluate(
        data.raw / "labelsTs",
        methods,
        labels,
        ignore_label=ignore_label(named),
        check_order=False,
        names=data.cohort.cases,
        workers=run.threads,
        progress=progress,
    )
    machine = {name: value for name, value in hardware(run.budget.device).items() if name != "system"}
    first = outcome.stages[0]
    last = outcome.stages[-1]
    return {
        **identity(run, data, machine["gpu"] or "CPU"),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "code": code_version(),
        "hardware": {**machine, "threads": run.threads},
        "versions": versions(),
        "budget_settings": asdict(run.budget),
        "test_patients": len(data.test_patients),
        "test_volumes": len(data.test),
        "training_volumes": len(data.training),
        "stages": outcome.stages,
        "slices": sum(stage["slices"] for stage in outcome.stages),
        "parameters": last["parameters"] + (first["parameters"] if first is not last else 0),
        "training_seconds": round(sum(stage["training_seconds"] for stage in outcome.stages), 1),
        "prediction_seconds": outcome.prediction_seconds,
        **results(evaluation, data),
    }


def identity(run: Run, data: Data, hardware_class: str) -> dict[str, Any]:
    """Values of `KEY` of a run."""
    values = (run.system, run.recipe, run.budget_name, run.coarse_labels, run.fold, run.seed, data.fingerprint)
    return dict(zip(KEY, (*values, hardware_class), strict=True))


def results(evaluation: Evaluation, data: Data) -> dict[str, Any]:
    """Results by case and by patient, as columns and rows, and their means."""
    numbers = {name: number for number, name in enumerate(data.test_patients, 1)}
    keys = ["case", "patient", "phase", "structure"]
    levels = level_table(evaluation.slices)
    table = evaluation.cases[[*keys, "dice", "hd95_pooled_mm", "distance_failed"]]
    if not levels.empty:
        wide = levels.pivot_table("dice", keys, "level", dropna=False, observed=True).reindex(columns=list(LEVELS))
        table = table.merge(wide, "left", left_on=keys, right_index=True)
    predicted = evaluation.plausibility[evaluation.plausibility["source"] == "prediction"]
    table = table.merge(predicted[["case", "structure", *COUNTS]], "left", on=["case", "structure"])
    table = table.assign(patient=table["patient"].map(numbers), distance_failed=table["distance_failed"].astype(int))
    table = table.reindex(columns=[*CASES, *COUNTS]).sort_values(["patient", "phase", "structure"])
    function = indices(evaluation.cases)
    function = function[function["index"].isin(EF_INDICES)]
    errors = function.pivot_table("difference", "patient", "index", dropna=False).reindex(columns=list(EF_INDICES))
    errors.index = errors.index.map(numbers)
    errors.insert(0, "group", [data.groups.get(name, "") for name in numbers if numbers[name] in errors.index])
    return {
        "cases": _columns(table),
        "patients": _columns(errors.rename_axis("patient").reset_index()),
        "means": _means(table),
    }


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a results file; none if it does not exist.

    Raises:
        UserError: If a line is no run, or one that is there already (files joined by hand), or the folder of the
            file is missing.
    """
    if not path.exists():
        if not path.parent.is_dir():
            raise UserError(f"{path}: the folder does not exist. Make it, or give another file with --results.")
        return []
    records: list[dict[str, Any]] = []
    lines: dict[tuple[Any, ...], int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {number}: no JSON ({error}); expected one run a line.") from error
        if not isinstance(record, dict) or any(name not in record for name in KEY):
            raise UserError(f"{path}, line {number}: no run of nnunet_cardiac benchmark accuracy; give another file.")
        earlier = lines.setdefault(key_of(record), number)
        if earlier != number:
            raise UserError(f"{path}, line {number}: {shown_key(record)} is in line {earlier} already; remove one.")
        records.append(record)
    return records


def key_of(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What identifies a run."""
    return tuple(record[name] for name in KEY)


def store(path: Path, record: Mapping[str, Any], overwrite: bool = False) -> None:
    """Add a run to a results file, which is replaced as a whole and stays in order of the keys' first appearance.

    Args:
        path: One run a line.
        record: The run.
        overwrite: Whether it may take the place of one with the same key.

    Raises:
        UserError: If there is one and it may not.
    """
    records = read_records(path)
    same = [number for number, other in enumerate(records) if key_of(other) == key_of(record)]
    if same and not overwrite:
        raise UserError(f"{path}: {shown_key(record)} is there already; --overwrite replaces it.")
    if same:
        records[same[0]] = dict(record)
    else:
        records.append(dict(record))
    with replacing(path) as temporary:
        lines = (json.dumps(one, separators=(",", ":"), allow_nan=False) for one in records)
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def shown_key(record: Mapping[str, Any]) -> str:
    """A run in words."""
    return ", ".join(f"{name.replace('_', ' ')} {record[name]}" for name in KEY)


def code_version() -> str:
    """Version of the package; in a checkout with its commit, and `+` if files were changed."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return __version__
    found = []
    for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]):
        try:
            answer = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return __version__
        found.append(answer.stdout.strip())
    return f"{__version__} {found[0]}{'+' if found[1] else ''}"


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    rows: Sequence[Sequence[Any]] = table.to_numpy(dtype=object).tolist()
    return {"columns": list(table.columns), "rows": [[_rounded(value) for value in row] for row in rows]}


def _means(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    by_structure = table.groupby("structure")
    return {
        metric: {str(name): _rounded(value) for name, value in by_structure[metric].mean().items()}
        for metric in ("dice", "hd95_pooled_mm", *LEVELS)
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, _DIGITS)
    return value
