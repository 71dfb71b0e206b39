"""The page of an evaluation: one HTML file without network, script or other files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import pandas as pd

from nnunet_cardiac.evaluation.agreement_statistics import agreement_statistics
from nnunet_cardiac.evaluation.indices import SIDES
from nnunet_cardiac.evaluation.results import Results
from nnunet_cardiac.evaluation.slice_levels import LEVELS
from nnunet_cardiac.evaluation.summary import ALL
from nnunet_cardiac.files import replacing
from nnunet_cardiac.report import evaluation_tables as tables
from nnunet_cardiac.report.bullseye import bullseye_figure
from nnunet_cardiac.report.content import OverlayCase
from nnunet_cardiac.report.figure import png_bytes
from nnunet_cardiac.report.html import css_class, document, number, png_image, prose, section, svg_image
from nnunet_cardiac.report.overlay import overlay_figure
from nnunet_cardiac.report.page import legend
from nnunet_cardiac.report.plots import agreement_figure, box_figure, curve_panels, level_figure, svg_bytes

#: Indices with a plot of their own; the others are in the table.
PLOTTED = ("LV EDV", "LV ESV", "LV EF", "LV mass", "RV EDV", "RV ESV", "RV EF")
_DPI = 130

_DEFINITIONS = (
    "A boundary is the mask minus its erosion by the face-connected element, with background outside the image; "
    "distances "
    "are Euclidean between voxel centres, in mm, with the voxel size of the file.",
    "HD: largest boundary distance. HD95 pooled: 95th percentile of both directed sets together; max. of directed: "
    "the larger "
    "of the two directed percentiles. ASD pooled: mean of both sets together. ASSD mean of means: half the sum of "
    "the two "
    "directed means. Surface Dice: share of both boundaries, in voxels, within the tolerance.",
    "Slice levels: slices with any reference label, cut into even thirds from the base, which is the end with larger "
    "cavities. "
    "Dice by level pools the voxels of a level within a case; distances by level are means of 2D distances over its "
    "slices.",
    "Volume: voxels times slice distance. Mass: 1.05 g/mL. EF: 100 · (EDV − ESV) / EDV. ED and ES come from the "
    "patient table, "
    "or are the frames with the largest and smallest reference volume of the left ventricle. Differences in "
    "agreement are "
    "reference − prediction.",
    "Wall thickness: length within the myocardium of rays from the centroid of the cavity, mean over the rays of a "
    "segment "
    "(AHA 17 segments; the cap, segment 17, has no radial thickness). The septum's middle is where the wall touches "
    "the right "
    "ventricle. Thickening: 100 · (ES − ED) / ED.",
)


def write_evaluation_page(
    path: Path, results: Results, overlays: Mapping[str, OverlayCase], title: str = "Evaluation"
) -> None:
    """Write the page atomically.

    Args:
        path: HTML file to write.
        results: Of :func:`nnunet_cardiac.evaluation.results.read_results`.
        overlays: Badge -> case to draw.
        title: Heading.
    """
    html = evaluation_page_html(results, overlays, title)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def evaluation_page_html(results: Results, overlays: Mapping[str, OverlayCase], title: str = "Evaluation") -> str:
    """Build the page; arguments as :func:`write_evaluation_page`."""
    summary, cases = results.table("summary"), results.table("cases")
    means = cases.groupby(["method", "case", "structure"], sort=False).mean(numeric_only=True).reset_index()
    groups = [name for name in summary["group"].unique() if name != ALL]
    body = "".join(
        [
            _header(results, title),
            section("cases", "Lowest, median and highest Dice", _overlays(overlays)),
            section(
                "overlap",
                "Overlap and distances",
                tables.metric_table(summary, results.facts["surface_dice_tolerance_mm"]),
                _boxes(means),
            ),
            section(
                "levels",
                "Base, mid and apex",
                _levels(results.table("levels")),
                tables.group_table(summary, "level", LEVELS, "Mean by slice level; distances within slices."),
            ),
            section("slices", "Slice by slice", tables.slice_table(results.table("slice_summary"))),
            section(
                "groups", "Disease groups", tables.group_table(summary, "group", groups, "Mean by disease group; 3D.")
            )
            if groups
            else "",
            section("function", "Volumes and function", _agreement_table(results), *_agreement_plots(results)),
            section("wall", "Wall thickness", *_walls(results.table("walls"))),
            section("curves", "Volume over time", *_curves(results.table("curves"))),
            section("comparison", "Comparison of methods", *_comparison(results)),
            section(
                "review",
                "To review first",
                tables.review_table(cases, results.table("plausibility")),
                tables.plausibility_table(results.table("plausibility")),
            ),
            section("definitions", "How this was measured", *(f"<p>{prose(text)}</p>" for text in _DEFINITIONS)),
            _footer(results),
        ]
    )
    return document(title, body)


def _header(results: Results, title: str) -> str:
    facts, summary = results.facts, results.table("summary")
    over_all = summary[(summary[["phase", "group", "level"]] == ALL).all(axis=1) & (summary["metric"] == "dice")]
    tiles = [("Patients", str(facts["patients"])), ("Label maps", str(facts["cases"]))]
    for method, part in over_all.groupby("method", sort=False):
        tiles.append((f"Mean Dice, {method}", number(float(part["mean"].mean()), 3)))
    found = results.table("agreement")
    for row in found[found["index"] == "LV EF"].to_dict("records") if len(found) else ():
        tiles.append((f"LV EF error (MAE), {row['method']}", f"{number(row['mae'], 1)} points"))
    key = "".join(f"<div><dt>{escape(name)}</dt><dd{css_class('')}>{escape(value)}</dd></div>" for name, value in tiles)
    order = ", ".join(f"{value} {name}" for name, value in facts["labels"].items())
    words = [f"Predictions of {' and '.join(facts['methods'])} against references, labels {order}."]
    for method, left_out in facts["left_out"].items():
        if left_out:
            words.append(f"{method}: {len(left_out)} cases without a prediction are not evaluated.")
    if partly := facts.get("partly_annotated"):
        words.append(
            f"{len(partly)} references have voxels without a label ({_shown(partly)}). Predictions there count neither "
            "way; distances, volumes and function of these cases, and wall and plausibility of these references, are "
            "not given."
        )
    for method, counts in facts["distance_failed"].items():
        missed = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
        if missed:
            words.append(f"{method}: structures missing on one side, in cases: {missed}.")
    text = "".join(f"<p>{escape(word)}</p>" for word in words)
    return f'<header>\n<h1>{escape(title)}</h1>\n{text}\n<dl class="key">{key}</dl>\n</header>\n'


def _shown(cases: Sequence[str], most: int = 5) -> str:
    return ", ".join(cases[:most]) + (", ..." if len(cases) > most else "")


def _overlays(overlays: Mapping[str, OverlayCase]) -> str:
    if not overlays:
        return ""
    figures = []
    for badge, overlay in overlays.items():
        words = " · ".join(escape(word) for word in (overlay.phase, overlay.group) if word)
        data = png_bytes(overlay_figure([overlay], headings=False, max_slices=9), _DPI)
        alternative = f"{overlay.case}: slices from base to apex, outlines of reference and prediction"
        figures.append(
            f"<figure><figcaption><strong>{escape(overlay.case)}</strong> {words}"
            f'<span class="badge">{escape(badge)}</span></figcaption>{png_image(data, alternative, "film")}</figure>'
        )
    last = list(next(iter(overlays.values())).predictions)[-1]
    chosen = f'<p class="muted">Chosen by the mean Dice over the structures, {escape(last)}.</p>'
    return chosen + legend(list(overlays.values())) + "".join(figures)


def _boxes(means: pd.DataFrame) -> str:
    shown = {"dice": "Dice", "hd95_pooled_mm": "HD95 pooled (mm)", "assd_mean_of_means_mm": "ASSD mean of means (mm)"}
    caption = "Every point is a case. Boxes: quartiles and median; whiskers: up to 1.5 interquartile ranges."
    return _figure(svg_image(svg_bytes(box_figure(means, shown)), "Box plots of Dice, HD95 and ASSD"), caption)


def _levels(levels: pd.DataFrame) -> str:
    inside = levels[levels["level"].isin(LEVELS)] if len(levels) else levels
    if inside.empty:
        return ""
    caption = "Dice by slice level: mean over cases and its 95 % interval."
    return _figure(svg_image(svg_bytes(level_figure(inside)), "Bars of Dice by slice level"), caption)


def _agreement_table(results: Results) -> str:
    found = results.table("agreement")
    return tables.agreement_rows(found) if len(found) else "<p>No patient has a frame at ED and one at ES.</p>"


def _agreement_plots(results: Results) -> list[str]:
    clinical, parts = results.table("indices"), []
    if clinical.empty:
        return parts
    groups = results.table("cases").drop_duplicates("patient").set_index("patient")["group"]
    for method, own in clinical.groupby("method", sort=False):
        for index in PLOTTED:
            rows = own[own["index"] == index].dropna(subset=list(SIDES))
            if len(rows) < 3:
                continue
            rows = rows.assign(group=rows["patient"].map(groups).fillna(""))
            found = agreement_statistics(rows["reference"], rows["prediction"])
            figure = agreement_figure(rows, found, index, rows["unit"].iloc[0])
            image = svg_image(svg_bytes(figure), f"Bland-Altman plot and correlation of {index}, {method}")
            parts.append(_figure(image, f"{index}, {method}: grey bands are 95 % intervals of bias and limits."))
    return parts


def _walls(walls: pd.DataFrame) -> list[str]:
    parts = []
    values = ["ed_thickness_mm", "es_thickness_mm", "thickening_percent"]
    if walls.empty or walls[values].isna().all(axis=None):
        return parts
    means = walls.groupby(["source", "method", "segment"])[values].mean()
    limits = {
        "mm": (4.0, float(max(14.0, means[values[:2]].max(axis=None)))),
        "%": (0.0, float(max(50.0, means[values[2]].max()))),
    }
    methods = list(walls["method"].unique())
    for name, source, method in (("reference", "reference", methods[0]), *((m, "prediction", m) for m in methods)):
        if (source, method) not in means.index.droplevel("segment"):
            continue  # all references are annotated in part
        mean = means.xs((source, method))
        titles = (("ED thickness", "mm"), ("ES thickness", "mm"), ("Thickening", "%"))
        panels = [(title, mean[column].to_dict(), unit) for column, (title, unit) in zip(values, titles, strict=True)]
        image = svg_image(svg_bytes(bullseye_figure(panels, limits)), f"Bullseye of wall thickness, {name}")
        patients = walls.loc[(walls["source"] == source) & (walls["method"] == method), "patient"].nunique()
        parts.append(_figure(image, f"{name}: mean over {patients} patients, 17 segments of the AHA."))
    return parts


def _curves(curves: pd.DataFrame) -> list[str]:
    parts = []
    for method, own in curves.groupby("method", sort=False) if len(curves) else ():
        image = svg_image(svg_bytes(curve_panels(own)), f"Volume over time, {method}")
        parts.append(_figure(image, f"{method}: prediction solid, reference dashed."))
    return parts


def _comparison(results: Results) -> list[str]:
    if "comparison" not in results.tables:
        return []
    return [tables.ranking_rows(results.table("ranking")), tables.comparison_rows(results.table("comparison"))]


def _figure(image: str, caption: str) -> str:
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _footer(results: Results) -> str:
    versions = " · ".join(f"{escape(k)} {escape(v)}" for k, v in results.facts["versions"].items())
    return f"<footer>{versions}</footer>\n"
