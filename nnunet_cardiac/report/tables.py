"""Tables of a page, from the tables of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from nnunet_cardiac.evaluation.ed_es import PHASES
from nnunet_cardiac.evaluation.summary import ALL
from nnunet_cardiac.images.heart_position import AGREES, CONTRADICTIONS
from nnunet_cardiac.report.formats import NOT_AVAILABLE, number
from nnunet_cardiac.report.parts import Row, Table

#: Metric -> heading and decimals.
SHOWN = {
    "dice": ("Dice", 3),
    "hd_mm": ("HD (mm)", 1),
    "hd95_pooled_mm": ("HD95 pooled (mm)", 1),
    "hd95_max_of_directed_mm": ("HD95 max. of directed (mm)", 1),
    "asd_pooled_mm": ("ASD pooled (mm)", 2),
    "assd_mean_of_means_mm": ("ASSD mean of means (mm)", 2),
    "surface_dice": ("Surface Dice", 3),
}
#: Metrics by group and slice level.
_BY_GROUP = ("dice", "hd95_pooled_mm")
#: Cases in the table of those to look at first.
REVIEWED = 12
#: Counts that are worth a word, with that word.
_FLAGS = {
    "hole_voxels": "hole in {}",
    "fragments": "fragments of {}",
    "missing_slices": "slices of {} missing between others",
}
#: Percent of the cavity's outline that touch neither cavity nor wall: references reach a few at the valve plane.
_OUTSIDE_PERCENT = 5.0


def metric_table(summary: pd.DataFrame, tolerance_mm: float) -> Table:
    """Mean and standard deviation of every metric, by method, structure and phase."""
    phases = [phase for phase in (ALL, *PHASES) if (summary["phase"] == phase).any()]
    volume = summary[(summary["level"] == ALL) & (summary["group"] == ALL)]
    bodies = []
    for (method, structure), part in volume.groupby(["method", "structure"], sort=False):
        rows: list[Row] = []
        for phase in phases:
            cells = part[part["phase"] == phase].set_index("metric")
            if cells.empty:
                continue
            dice = cells.loc["dice"]
            gaps = [f"{int(dice[c])} {word}" for c, word in (("failed", "missed"), ("both_empty", "absent")) if dice[c]]
            names = [method if not rows else "", structure if not rows else "", phase]
            count = f"{int(dice['cases'])}" + (f" ({', '.join(gaps)})" if gaps else "")
            values = [_mean_sd(cells.loc[metric], digits) for metric, (_, digits) in SHOWN.items()]
            rows.append(Row([*names, count, *values], headings=3, css="strong" if phase == ALL else ""))
        bodies.append(rows)
    caption = (
        f"Mean ± standard deviation over cases; distances in 3D with the voxel size; surface Dice at {tolerance_mm:g} "
        "mm. Missed: the structure is on one side only; Dice and surface Dice are 0 and count, a distance does not "
        "exist. Absent: on neither side; nothing is counted."
    )
    columns = ["Method", "Structure", "Phase", "Cases", *(title for title, _ in SHOWN.values())]
    return Table(caption, columns, bodies, css="dense")


def group_table(summary: pd.DataFrame, column: str, values: Sequence[str], title: str) -> list[Table]:
    """Dice and HD95 by group or slice level, a column for each value; nothing if there are none."""
    other = {"group", "level", "phase"} - {column}
    part = summary[(summary[list(other)] == ALL).all(axis=1) & summary[column].isin(values)]
    if part.empty:
        return []
    rows = []
    for (method, structure), own in part.groupby(["method", "structure"], sort=False):
        cells = []
        for metric in _BY_GROUP:
            means = own[own["metric"] == metric].set_index(column)["mean"]
            cells += [number(float(means.get(value, float("nan"))), SHOWN[metric][1]) for value in values]
        rows.append(Row([method, structure, *cells], headings=2))
    spans = {"": 2, **{SHOWN[metric][0]: len(values) for metric in _BY_GROUP}}
    names = [value or NOT_AVAILABLE for value in values]  # patients without a group
    return [Table(title, ["Method", "Structure", *names, *names], [rows], spans)]


#: Metric of single slices -> heading and decimals.
_SLICE_METRICS = {
    "dice": ("Dice", 3),
    "hd_mm": ("HD (mm)", 2),
    "hd_pixels": ("HD (pixels)", 2),
    "assd_mean_of_means_mm": ("ASSD mean of means (mm)", 2),
    "assd_mean_of_means_pixels": ("ASSD mean of means (pixels)", 2),
    "any": ("in Dice, HD or ASSD", 0),
    "accuracy": ("Pixel accuracy", 3),
}


def slice_table(found: pd.DataFrame) -> list[Table]:
    """Figures of single slices with their shares of outliers; nothing if an earlier version made the evaluation."""
    if found.empty:
        return []
    bodies = []
    for (method, structure), part in found.groupby(["method", "structure"], sort=False):
        rows: list[Row] = []
        for cells in part.to_dict("records"):
            title, digits = _SLICE_METRICS[cells["metric"]]
            known = cells["metric"] != "any"
            count = f"{int(cells['slices'])}" + (f" ({int(cells['failed'])} missed)" if cells["failed"] else "")
            values = [number(cells["mean"], digits), number(cells["sd"], digits), number(cells["median"], digits)]
            rate = f"{100 * cells['outlier_rate']:.1f} %"
            names = ["" if rows else method, "" if rows else structure, title]
            rows.append(Row([*names, count, *(values if known else [""] * 3), rate], headings=3))
        bodies.append(rows)
    names = ["Method", "Structure", "Metric", "Slices", "Mean", "SD", "Median", "Outliers"]
    caption = (
        "Every slice counts once, as in papers on two-dimensional images; distances in the plane. Outliers lie beyond "
        "the whisker of a boxplot (1.5 interquartile ranges) on the bad side, or the structure is on one side only "
        "(missed). Pixel accuracy includes the background, so it is close to 1 whatever the method."
    )
    return [Table(caption, names, bodies, css="dense")]


def agreement_table(found: pd.DataFrame) -> Table:
    """Agreement of every clinical index."""
    bodies = [
        [_agreement_row(method if k == 0 else "", cells) for k, cells in enumerate(part.to_dict("records"))]
        for method, part in found.groupby("method", sort=False)
    ]
    names = ["Method", "Index", "n", "Bias", "Lower limit", "Upper limit", "MAE", "Pearson r", "CCC", "ICC(A,1)"]
    caption = (
        "Differences are reference − prediction: a negative bias means that the prediction over-estimates. Limits of "
        "agreement: bias ± 1.96 SD. Brackets: 95 % confidence intervals. MAE: mean absolute difference. CCC: "
        "concordance (Lin). ICC(A,1): two-way random effects, absolute agreement, single measurement. Indices with a "
        "final i are divided by body surface area."
    )
    return Table(caption, names, bodies, css="dense")


def _agreement_row(method: str, found: Mapping[str, float]) -> Row:
    intervals = (("bias_reference_minus_prediction", "bias"), ("limit_low", "limit_low"), ("limit_high", "limit_high"))
    cells = [method, f"{found['index']} ({found['unit']})", str(int(found["n"]))]
    cells += [f"{number(found[name], 1)} {_brackets(found, 1, f'{stem}_')}" for name, stem in intervals]
    cells += [number(found["mae"], 1), *(number(found[name], 3) for name in ("pearson_r", "lin_ccc", "icc_a1"))]
    return Row(cells, headings=2)


def comparison_table(found: pd.DataFrame) -> Table:
    """Paired comparison of the methods."""
    bodies = [
        [_comparison_row(SHOWN[metric][0] if k == 0 else "", cells) for k, cells in enumerate(part.to_dict("records"))]
        for metric, part in found.groupby("metric", sort=False)
    ]
    names = ["Metric", "Structure", "Methods", "Patients", "Difference [95 % CI]", "Wilcoxon p", "p after Holm"]
    caption = (
        "Patients are the unit: phases and repeated trainings are averaged first. Intervals by paired bootstrap, 10 "
        "000 resamples. Holm's correction over all structures and pairs of a metric; bold below 0.05."
    )
    return Table(caption, names, bodies)


def _comparison_row(metric: str, found: Mapping[str, float]) -> Row:
    cells = [
        metric,
        str(found["structure"]),
        f"{found['method_a']} − {found['method_b']}",
        str(int(found["n_patients"])),
    ]
    cells.append(f"{number(found['difference'], 3, signed=True)} {_brackets(found, 3)}")
    cells += [_p(found["wilcoxon_p"]), _p(found["holm_p"])]
    return Row(cells, headings=3, css="strong" if found["holm_p"] < 0.05 else "")


def ranking_table(found: pd.DataFrame) -> Table:
    """Mean ranks of the methods."""
    bodies = []
    for metric, part in found.groupby("metric", sort=False):
        ranks = [(str(r["method"]), f"{number(r['mean_rank'], 2)} {_brackets(r, 2)}") for r in part.to_dict("records")]
        bodies.append([Row([SHOWN[metric][0] if k == 0 else "", *cells], 2) for k, cells in enumerate(ranks)])
    caption = "Mean rank over patients and structures, 1 is the best; a missing result takes the last rank."
    return Table(caption, ["Metric", "Method", "Mean rank [95 % CI]"], bodies)


def review_table(cases: pd.DataFrame, plausibility: pd.DataFrame) -> Table:
    """Cases with the lowest Dice, and why to look at them."""
    mean = cases.groupby(["method", "case"], sort=False)["dice"].mean().sort_values(kind="stable").head(REVIEWED)
    predicted = plausibility[plausibility["source"] == "prediction"]
    rows = []
    for method, case in mean.index:
        own = cases[(cases["method"] == method) & (cases["case"] == case)]
        worst = own.sort_values("dice").iloc[0]
        farthest = own["hd95_pooled_mm"].max()
        flags = predicted[(predicted["method"] == method) & (predicted["case"] == case)]
        name = [method, case, " ".join(word for word in (worst["phase"], worst["group"]) if word)]
        cells = [number(mean[method, case], 3), f"{worst['structure']} {number(worst['dice'], 3)}", number(farthest, 1)]
        rows.append(Row([*name, *cells, _reasons(own, flags)], headings=3))
    names = ["Method", "Case", "", "Dice", "Lowest", "Largest HD95 (mm)", "To look for"]
    caption = "Mean Dice over the structures, lowest first, and what is implausible in the prediction."
    return Table(caption, names, [rows], css="dense review")


def plausibility_table(found: pd.DataFrame) -> Table:
    """Share of label maps with each fault, references beside predictions."""
    rows = []
    for (method, structure), part in found.groupby(["method", "structure"], sort=False):
        cells = []
        for source in ("prediction", "reference"):
            own = part[part["source"] == source]
            cells += [_percent(own[column] > 0) for column in _FLAGS]
            cells.append(_percent(own["outside_percent"] > _OUTSIDE_PERCENT) if structure == "LV" else "")
            cells.append(_contradicting(own) if structure == "RV" else "")
        rows.append(Row([method, structure, *cells], headings=2))
    names = ["Holes", "Fragments", "Missing slices", "Open wall", "Against header"]
    caption = (
        "Label maps with at least one. Open wall: more than 5 % of the outline of the left cavity touch neither "
        "cavity nor myocardium within a slice. Against header: of the label maps that can tell, those in which the "
        "ventricles lie, or follow each other, otherwise than the directions in the header say."
    )
    spans = {"": 2, "Predictions": len(names), "References": len(names)}
    return Table(caption, ["Method", "Structure", *names, *names], [rows], spans, css="dense")


def _percent(flagged: pd.Series) -> str:
    """Share of the label maps; a dash without any, as of references that are all annotated in part."""
    return f"{100 * flagged.mean():.0f} %" if len(flagged) else NOT_AVAILABLE


def _contradicting(own: pd.DataFrame) -> str:
    """Share of contradictions; a dash where no label map says anything, and for an earlier version's table."""
    said = own.get("orientation", pd.Series(dtype=str))
    said = said[said.isin((AGREES, *CONTRADICTIONS))]
    return _percent(said.isin(CONTRADICTIONS))


def _reasons(own: pd.DataFrame, flags: pd.DataFrame) -> str:
    words = [f"{name} missing on one side" for name in own.loc[own["distance_failed"], "structure"]]
    for column, phrase in _FLAGS.items():
        words += [phrase.format(name) for name in flags.loc[flags[column] > 0, "structure"]]
    if (flags["outside_percent"] > _OUTSIDE_PERCENT).any():
        words.append("open wall")
    if "orientation" in flags and (wrong := flags[flags["orientation"].isin(CONTRADICTIONS)]).size:
        row = wrong.iloc[0]
        words.append(f"{row['orientation']} against its header (RV at {abs(row['rv_angle_degrees']):.0f}°)")
    return ", ".join(words) or NOT_AVAILABLE


def _mean_sd(cells: pd.Series, digits: int) -> str:
    return f"{number(cells['mean'], digits)} ± {number(cells['sd'], digits)}"


def _brackets(values: Mapping[str, float], digits: int, stem: str = "") -> str:
    return f"[{number(values[f'{stem}ci95_low'], digits)}, {number(values[f'{stem}ci95_high'], digits)}]"


def _p(value: float) -> str:
    return NOT_AVAILABLE if value != value else "< 0.001" if value < 0.001 else f"{value:.3f}"
