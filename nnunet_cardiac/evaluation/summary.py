"""Summaries of the tables of an evaluation: by structure, phase, group and slice level, with every gap counted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from nnunet_cardiac.evaluation.overlap import dice_of_counts
from nnunet_cardiac.evaluation.slice_levels import LEVELS, OUTSIDE

METRICS = (
    "dice",
    "hd_mm",
    "hd95_pooled_mm",
    "hd95_max_of_directed_mm",
    "asd_pooled_mm",
    "assd_mean_of_means_mm",
    "surface_dice",
    "volume_ml_prediction_minus_reference",
)
ALL = "all"
#: Where the slices of level `outside` lie, in the table of presence.
_BEYOND = ("beyond_base", "beyond_apex")
_COUNTS = ["voxels_reference", "voxels_prediction", "voxels_common"]
_CASE = ["method", "run", "case", "patient", "phase", "group", "structure"]


def level_table(slices: pd.DataFrame) -> pd.DataFrame:
    """Metrics of each case by slice level.

    Args:
        slices: `slices` of an evaluation.

    Returns:
        One row for each case, structure and level: `dice` from the voxels of all slices of the level pooled, distances
        as means
        over its slices (2D, in the plane), `distance_failed` and `both_empty` of the pooled voxels, `slices`, and
        `slices_distance_failed`, the slices without a distance because the structure is missing on one side.
    """
    if slices.empty:  # all label maps are
        return pd.DataFrame()
    keys = [*_CASE, "level"]
    grouped = slices.groupby(keys, sort=False)
    table = grouped[[*_COUNTS]].sum()
    distances = [name for name in METRICS if name in slices and name != "dice"]
    table[distances] = grouped[distances].mean()
    table["slices"] = grouped.size()
    table["slices_distance_failed"] = grouped["distance_failed"].sum()
    table["dice"] = [dice_of_counts(*counts) for counts in table[_COUNTS].itertuples(index=False)]
    table["distance_failed"] = (table["voxels_reference"] == 0) != (table["voxels_prediction"] == 0)
    table["both_empty"] = (table["voxels_reference"] == 0) & (table["voxels_prediction"] == 0)
    return table.reset_index()


def summary_table(cases: pd.DataFrame, levels: pd.DataFrame) -> pd.DataFrame:
    """Summarise every metric over all cases and by phase, group, both, and slice level.

    Args:
        cases: `cases` of an evaluation.
        levels: Of :func:`level_table`.

    Returns:
        One row for each method, structure, phase, group, level and metric, `all` standing for no distinction: `cases`
        (with a
        value), `patients` (of those), `failed` (structure missing on one side: Dice and surface Dice are 0 and count, a
        distance does not exist and is left out), `both_empty` (nothing to find, left out), `mean`, `sd` (over cases),
        `median`,
        `q25`, `q75`, `min`, `max`. Repeated runs of a case are averaged first. The level `outside` holds slices
        without any reference label: their false positives.
    """
    wide = cases.assign(
        volume_ml_prediction_minus_reference=cases["volume_ml_prediction"] - cases["volume_ml_reference"], level=ALL
    )
    parts = []
    for table in (wide, levels) if len(levels) else (wide,):
        metrics = [name for name in METRICS if name in table]
        counts = {"distance_failed": "max", "both_empty": "max"}
        merged = (
            table.groupby([*_without(_CASE, "run"), "level"], sort=False)
            .agg({**dict.fromkeys(metrics, "mean"), **counts})
            .reset_index()
        )
        long = merged.melt([c for c in merged if c not in metrics], metrics, var_name="metric")
        for split in _splits(long):
            parts.append(_summarise(long, split))
    order = {name: position for position, name in enumerate((ALL, *LEVELS, OUTSIDE))}
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values(["method", "level"], key=lambda c: c.map(order) if c.name == "level" else c, kind="stable")


def mean_dice(summary: pd.DataFrame) -> dict[str, float]:
    """Method -> mean over structures of the mean Dice over cases (nnU-Net's `foreground_mean`)."""
    over_all = summary[(summary[["phase", "group", "level"]] == ALL).all(axis=1) & (summary["metric"] == "dice")]
    return over_all.groupby("method", sort=False)["mean"].mean().to_dict()


def by_patient(cases: pd.DataFrame) -> pd.DataFrame:
    """Mean of every metric for each method, patient and structure.

    Runs are averaged within a case first. `cases` counts those with a Dice, `failed` those with the structure on one
    side only.
    """
    keys = ["method", "patient", "group", "structure"]
    metrics = [name for name in METRICS if name in cases]
    single = cases.groupby([*keys, "case"], sort=False).agg(
        {**dict.fromkeys(metrics, "mean"), "distance_failed": "max"}
    )
    grouped = single.groupby(keys, sort=False)
    table = grouped[metrics].mean()
    table.insert(0, "cases", grouped["dice"].count())
    table.insert(1, "failed", grouped["distance_failed"].sum())
    return table.reset_index()


def presence(slices: pd.DataFrame) -> pd.DataFrame:
    """How well a method knows in which slices a structure is: presence as a classifier of slices.

    Args:
        slices: `slices` of an evaluation; slices in which neither label map has any label are not among them. A
            structure that the reference lacks in a slice where voxels have no reference may be there: left out.

    Returns:
        For each method, structure and `level` (`all`, `base`, `mid`, `apex`, `beyond_base`, `beyond_apex`, and
        `outside` where a reference of one slice or none does not tell the ends apart) `slices`, `true_positive`,
        `false_positive`, `false_negative`, `true_negative`, `accuracy`, `f1` (NaN if the structure is nowhere).
    """
    if slices.empty:
        return pd.DataFrame()
    slices = slices[(slices["voxels_ignored"] == 0) | (slices["voxels_reference"] > 0)]
    if slices.empty:
        return pd.DataFrame()
    by_level = pd.concat([slices.assign(level=ALL), slices.assign(level=_with_ends(slices))])
    order = [ALL, *LEVELS, *_BEYOND, OUTSIDE]
    by_level["level"] = pd.Categorical(by_level["level"], order)
    keys = ["method", "structure", "level"]
    table = by_level.groupby(keys, sort=False, observed=True)[by_level.columns.tolist()].apply(_confusion).reset_index()
    return table.sort_values("level", kind="stable").astype({"level": str}).reset_index(drop=True)


def _with_ends(slices: pd.DataFrame) -> pd.Series:
    """Level of each slice; those outside the heart are named after the end beyond which they lie."""
    inside = slices[slices["level"] != OUTSIDE]
    middle = inside.groupby(_CASE[:3])["slice"].mean().rename("middle")
    base = inside[inside["level"] == LEVELS[0]].groupby(_CASE[:3])["slice"].mean().rename("base")
    place = slices.join(middle, on=_CASE[:3]).join(base, on=_CASE[:3])
    side = np.sign((place["slice"] - place["middle"]) * (place["base"] - place["middle"]))
    beyond = side.map({1.0: _BEYOND[0], -1.0: _BEYOND[1]}).fillna(OUTSIDE)
    return slices["level"].mask(slices["level"] == OUTSIDE, beyond)


def _confusion(part: pd.DataFrame) -> pd.Series:
    truth, found = part["voxels_reference"] > 0, part["voxels_prediction"] > 0
    tp, fp, fn = int((truth & found).sum()), int((~truth & found).sum()), int((truth & ~found).sum())
    counts = {"slices": len(part), "true_positive": tp, "false_positive": fp, "false_negative": fn}
    counts["true_negative"] = len(part) - tp - fp - fn
    scores = {"accuracy": 1 - (fp + fn) / len(part), "f1": dice_of_counts(tp + fn, tp + fp, tp)}
    return pd.Series({**counts, **scores}, dtype=object)


def _splits(table: pd.DataFrame) -> list[list[str]]:
    known = [name for name in ("phase", "group") if table[name].ne("").any()]
    return [list(chosen) for size in range(len(known) + 1) for chosen in combinations(known, size)]


def _summarise(long: pd.DataFrame, split: Sequence[str]) -> pd.DataFrame:
    merged = long.assign(**{name: ALL for name in ("phase", "group") if name not in split})
    keys = ["method", "structure", "phase", "group", "level", "metric"]
    grouped = merged.groupby(keys, sort=False)
    values = grouped["value"]
    table = values.agg(cases="count", mean="mean", sd="std", median="median", min="min", max="max")
    table["q25"], table["q75"] = values.quantile(0.25), values.quantile(0.75)
    table.insert(1, "patients", merged.dropna(subset="value").groupby(keys, sort=False)["patient"].nunique())
    table["patients"] = table["patients"].fillna(0).astype(int)
    table.insert(2, "failed", grouped["distance_failed"].sum())
    table.insert(3, "both_empty", grouped["both_empty"].sum())
    return table.reset_index()


def _without(names: Sequence[str], name: str) -> list[str]:
    return [other for other in names if other != name]
