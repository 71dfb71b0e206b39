"""Tables of the evaluation page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd

from nnunet_cardiac.evaluation.ed_es import PHASES
from nnunet_cardiac.evaluation.summary import ALL
from nnunet_cardiac.report.html import head_cells, number, row, table

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


def metric_table(summary: pd.DataFrame, tolerance_mm: float) -> str:
    """Mean and standard deviation of every metric, by method, structure and phase."""
    phases = [phase for phase in (ALL, *PHASES) if (summary["phase"] == phase).any()]
    volume = summary[(summary["level"] == ALL) & (summary["group"] == ALL)]
    bodies = []
    for (method, structure), part in volume.groupby(["method", "structure"], sort=False):
        rows = []
        for phase in phases:
            cells = part[part["phase"] == phase].set_index("metric")
            if cells.empty:
                continue
            dice = cells.loc["dice"]
            gaps = [f"{int(dice[c])} {word}" for c, word in (("failed", "missed"), ("both_empty", "absent")) if dice[c]]
            names = [method if not rows else "", structure if not rows else "", phase]
            count = f"{int(dice['cases'])}" + (f" ({', '.join(gaps)})" if gaps else "")
            values = [_mean_sd(cells.loc[metric], digits) for metric, (_, digits) in SHOWN.items()]
            rows.append(row([*names, count, *values], headings=3, css="strong" if phase == ALL else ""))
        bodies.append(rows)
    head = f"<tr>{head_cells(['Method', 'Structure', 'Phase', 'Cases', *(title for title, _ in SHOWN.values())])}</tr>"
    caption = (
        f"Mean ± standard deviation over cases; distances in 3D with the voxel size; surface Dice at {tolerance_mm:g} "
        "mm. Missed: "
        "the structure is on one side only; Dice and surface Dice are 0 and count, a distance does not exist. "
        "Absent: on "
        "neither side; nothing is counted."
    )
    return table(caption, head, bodies, css="dense")


def group_table(summary: pd.DataFrame, column: str, values: Sequence[str], title: str) -> str:
    """Dice and HD95 by group or slice level, a column for each value."""
    other = {"group", "level", "phase"} - {column}
    part = summary[(summary[list(other)] == ALL).all(axis=1) & summary[column].isin(values)]
    if part.empty:
        return ""
    rows = []
    for (method, structure), own in part.groupby(["method", "structure"], sort=False):
        cells = []
        for metric in ("dice", "hd95_pooled_mm"):
            means = own[own["metric"] == metric].set_index(column)["mean"]
            cells += [number(float(means.get(value, float("nan"))), SHOWN[metric][1]) for value in values]
        rows.append(row([method, structure, *cells], headings=2))
    wide = "".join(
        f'<th scope="colgroup" colspan="{len(values)}">{escape(SHOWN[metric][0])}</th>'
        for metric in ("dice", "hd95_pooled_mm")
    )
    columns = head_cells(["Method", "Structure", *values, *values])
    head = f'<tr class="groups"><td colspan="2"></td>{wide}</tr><tr>{columns}</tr>'
    return table(title, head, [rows])


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


def slice_table(found: pd.DataFrame) -> str:
    """Figures of single slices with their shares of outliers; nothing if an earlier version made the evaluation."""
    if found.empty:
        return ""
    bodies = []
    for (method, structure), part in found.groupby(["method", "structure"], sort=False):
        rows = []
        for cells in part.to_dict("records"):
            title, digits = _SLICE_METRICS[cells["metric"]]
            known = cells["metric"] != "any"
            count = f"{int(cells['slices'])}" + (f" ({int(cells['failed'])} missed)" if cells["failed"] else "")
            values = [number(cells["mean"], digits), number(cells["sd"], digits), number(cells["median"], digits)]
            rate = f"{100 * cells['outlier_rate']:.1f} %"
            names = ["" if rows else method, "" if rows else structure, title]
            rows.append(row([*names, count, *(values if known else [""] * 3), rate], headings=3))
        bodies.append(rows)
    names = ["Method", "Structure", "Metric", "Slices", "Mean", "SD", "Median", "Outliers"]
    caption = (
        "Every slice counts once, as in papers on two-dimensional images; distances in the plane. Outliers lie beyond "
        "the whisker of a boxplot (1.5 interquartile ranges) on the bad side, or the structure is on one side only "
        "(missed). Pixel accuracy includes the background, so it is close to 1 whatever the method."
    )
    return table(caption, f"<tr>{head_cells(names)}</tr>", bodies, css="dense")


def agreement_rows(found: pd.DataFrame) -> str:
    """Agreement of every clinical index."""
    bodies = []
    for method, part in found.groupby("method", sort=False):
        bodies.append(
            [
                row(
                    [
                        method if k == 0 else "",
                        f"{r['index']} ({r['unit']})",
                        str(int(r["n"])),
                        _interval(r, "bias_reference_minus_prediction", "bias"),
                        _interval(r, "limit_low"),
                        _interval(r, "limit_high"),
                        number(r["mae"], 1),
                        number(r["pearson_r"], 3),
                        number(r["lin_ccc"], 3),
                        number(r["icc_a1"], 3),
                    ],
                    headings=2,
                )
                for k, r in enumerate(part.to_dict("records"))
            ]
        )
    names = ["Method", "Index", "n", "Bias", "Lower limit", "Upper limit", "MAE", "Pearson r", "CCC", "ICC(A,1)"]
    caption = (
        "Differences are reference − prediction: a negative bias means that the prediction over-estimates. Limits of "
        "agreement: "
        "bias ± 1.96 SD. Brackets: 95 % confidence intervals. MAE: mean absolute difference. CCC: concordance (Lin). "
        "ICC(A,1): two-way random effects, absolute agreement, single measurement. Indices with a final i are "
        "divided by body "
        "surface area."
    )
    return table(caption, f"<tr>{head_cells(names)}</tr>", bodies, css="dense")


def comparison_rows(found: pd.DataFrame) -> str:
    """Paired comparison of the methods."""
    bodies = [
        [
            row(
                [
                    SHOWN[metric][0] if k == 0 else "",
                    r["structure"],
                    f"{r['method_a']} − {r['method_b']}",
                    str(int(r["n_patients"])),
                    f"{number(r['difference'], 3, signed=True)} {_brackets(r, 3)}",
                    _p(r["wilcoxon_p"]),
                    _p(r["holm_p"]),
                ],
                headings=3,
                css="strong" if r["holm_p"] < 0.05 else "",
            )
            for k, r in enumerate(part.to_dict("records"))
        ]
        for metric, part in found.groupby("metric", sort=False)
    ]
    names = ["Metric", "Structure", "Methods", "Patients", "Difference [95 % CI]", "Wilcoxon p", "p after Holm"]
    caption = (
        "Patients are the unit: phases and repeated trainings are averaged first. Intervals by paired bootstrap, 10 "
        "000 "
        "resamples. Holm's correction over all structures and pairs of a metric; bold below 0.05."
    )
    return table(caption, f"<tr>{head_cells(names)}</tr>", bodies)


def ranking_rows(found: pd.DataFrame) -> str:
    """Mean ranks of the methods."""
    bodies = [
        [
            row(
                [
                    SHOWN[metric][0] if k == 0 else "",
                    r["method"],
                    f"{number(r['mean_rank'], 2)} {_brackets(r, 2)}",
                ],
                headings=2,
            )
            for k, r in enumerate(part.to_dict("records"))
        ]
        for metric, part in found.groupby("metric", sort=False)
    ]
    caption = "Mean rank over patients and structures, 1 is the best; a missing result takes the last rank."
    return table(caption, f"<tr>{head_cells(['Metric', 'Method', 'Mean rank [95 % CI]'])}</tr>", bodies)


def review_table(cases: pd.DataFrame, plausibility: pd.DataFrame) -> str:
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
        rows.append(row([*name, *cells, _reasons(own, flags)], headings=3))
    names = ["Method", "Case", "", "Dice", "Lowest", "Largest HD95 (mm)", "To look for"]
    caption = "Mean Dice over the structures, lowest first, and what is implausible in the prediction."
    return table(caption, f"<tr>{head_cells(names)}</tr>", [rows], css="dense review")


def plausibility_table(found: pd.DataFrame) -> str:
    """Share of label maps with each fault, references beside predictions."""
    rows = []
    for (method, structure), part in found.groupby(["method", "structure"], sort=False):
        cells = []
        for source in ("prediction", "reference"):
            own = part[part["source"] == source]
            cells += [_percent(own[column] > 0) for column in _FLAGS]
            cells.append(_percent(own["outside_percent"] > _OUTSIDE_PERCENT) if structure == "LV" else "")
        rows.append(row([method, structure, *cells], headings=2))
    names = ["Holes", "Fragments", "Missing slices", "Open wall"]
    wide = "".join(f'<th scope="colgroup" colspan="4">{name}</th>' for name in ("Predictions", "References"))
    columns = head_cells(["Method", "Structure", *names, *names])
    head = f'<tr class="groups"><td colspan="2"></td>{wide}</tr><tr>{columns}</tr>'
    caption = (
        "Label maps with at least one. Open wall: more than 5 % of the outline of the left cavity touch neither "
        "cavity nor "
        "myocardium within a slice."
    )
    return table(caption, head, [rows], css="dense")


def _percent(flagged: pd.Series) -> str:
    """Share of the label maps; a dash without any, as of references that are all annotated in part."""
    return f"{100 * flagged.mean():.0f} %" if len(flagged) else "–"


def _reasons(own: pd.DataFrame, flags: pd.DataFrame) -> str:
    words = [f"{name} missing on one side" for name in own.loc[own["distance_failed"], "structure"]]
    for column, phrase in _FLAGS.items():
        words += [phrase.format(name) for name in flags.loc[flags[column] > 0, "structure"]]
    if (flags["outside_percent"] > _OUTSIDE_PERCENT).any():
        words.append("open wall")
    return ", ".join(words) or "–"


def _mean_sd(cells: pd.Series, digits: int) -> str:
    return f"{number(cells['mean'], digits)} ± {number(cells['sd'], digits)}"


def _interval(values: dict[str, float], name: str, stem: str = "") -> str:
    return f"{number(values[name], 1)} {_brackets(values, 1, f'{stem or name}_')}"


def _brackets(values: dict[str, float], digits: int, stem: str = "") -> str:
    return f"[{number(values[f'{stem}ci95_low'], digits)}, {number(values[f'{stem}ci95_high'], digits)}]"


def _p(value: float) -> str:
    return "–" if value != value else "< 0.001" if value < 0.001 else f"{value:.3f}"
