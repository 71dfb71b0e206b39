"""The sections of a page that come from the tables of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from nnunet_cardiac.evaluation.agreement_statistics import agreement_statistics
from nnunet_cardiac.evaluation.indices import SIDES
from nnunet_cardiac.evaluation.results import Results
from nnunet_cardiac.evaluation.slice_levels import LEVELS
from nnunet_cardiac.evaluation.summary import ALL
from nnunet_cardiac.report import tables
from nnunet_cardiac.report.bullseye import bullseye_figure
from nnunet_cardiac.report.figure import png_bytes
from nnunet_cardiac.report.overlay import overlay_figure
from nnunet_cardiac.report.overlay_case import OverlayCase
from nnunet_cardiac.report.palette import structure_colour
from nnunet_cardiac.report.parts import Legend, Paragraph, Part, Picture, Section
from nnunet_cardiac.report.plots import agreement_figure, box_figure, curve_panels, level_figure, svg_bytes

#: Indices with a plot of their own; the others are in the table.
PLOTTED = ("LV EDV", "LV ESV", "LV EF", "LV mass", "RV EDV", "RV ESV", "RV EF")
_DPI = 130


def evaluation_sections(results: Results, overlays: Mapping[str, OverlayCase]) -> list[Section]:
    """Everything that an evaluation shows, from pictures to what should be looked at again.

    Args:
        results: Finished evaluation.
        overlays: Badge -> case to draw.
    """
    summary, cases = results.table("summary"), results.table("cases")
    tolerance = results.facts["surface_dice_tolerance_mm"]
    plausibility = results.table("plausibility")
    review = [tables.review_table(cases, plausibility), tables.plausibility_table(plausibility)]
    return [
        Section("cases", "Lowest, median and highest Dice", _overlays(overlays)),
        Section("overlap", "Overlap and distances", [tables.metric_table(summary, tolerance), _boxes(cases)]),
        Section("levels", "Base, mid and apex", _levels(results)),
        Section("slices", "Slice by slice", tables.slice_table(results.table("slice_summary"))),
        Section("groups", "Disease groups", _groups(summary)),
        Section("function", "Volumes and function", [*_agreement_table(results), *_agreement_plots(results)]),
        Section("wall", "Wall thickness", _walls(results.table("walls"))),
        Section("curves", "Volume over time", _curves(results.table("curves"))),
        Section("comparison", "Comparison of methods", _comparison(results)),
        Section("review", "To review first", review),
    ]


def _overlays(overlays: Mapping[str, OverlayCase]) -> Sequence[Part]:
    if not overlays:
        return []
    names = dict.fromkeys(name for overlay in overlays.values() for name in overlay.structures)
    last = list(next(iter(overlays.values())).predictions)[-1]
    return [
        Paragraph(f"Chosen by the mean Dice over the structures, {last}.", css="muted"),
        Legend({name: structure_colour(name) for name in names}),
        *(_overlay(badge, overlay) for badge, overlay in overlays.items()),
    ]


def _overlay(badge: str, overlay: OverlayCase) -> Picture:
    return Picture(
        data=png_bytes(overlay_figure([overlay], headings=False, max_slices=9), _DPI),
        alternative=f"{overlay.case}: slices from base to apex, outlines of reference and prediction",
        caption=" · ".join(word for word in (overlay.phase, overlay.group) if word),
        name=overlay.case,
        badge=badge,
        css="film",
    )


def _boxes(cases: pd.DataFrame) -> Picture:
    means = cases.groupby(["method", "case", "structure"], sort=False).mean(numeric_only=True).reset_index()
    shown = {"dice": "Dice", "hd95_pooled_mm": "HD95 pooled (mm)", "assd_mean_of_means_mm": "ASSD mean of means (mm)"}
    caption = "Every point is a case. Boxes: quartiles and median; whiskers: up to 1.5 interquartile ranges."
    return Picture(svg_bytes(box_figure(means, shown)), "Box plots of Dice, HD95 and ASSD", caption)


def _levels(results: Results) -> Sequence[Part]:
    levels = results.table("levels")
    inside = levels[levels["level"].isin(LEVELS)] if len(levels) else levels
    caption = "Mean by slice level; distances within slices."
    found = tables.group_table(results.table("summary"), "level", LEVELS, caption)
    if inside.empty:
        return found
    caption = "Dice by slice level: mean over cases and its 95 % interval."
    return [Picture(svg_bytes(level_figure(inside)), "Bars of Dice by slice level", caption), *found]


def _groups(summary: pd.DataFrame) -> Sequence[Part]:
    groups = [name for name in summary["group"].unique() if name != ALL]
    return tables.group_table(summary, "group", groups, "Mean by disease group; 3D.")


def _agreement_table(results: Results) -> Sequence[Part]:
    found = results.table("agreement")
    if found.empty:
        return [Paragraph("No patient has a frame at ED and one at ES.")]
    return [tables.agreement_table(found)]


def _agreement_plots(results: Results) -> Sequence[Part]:
    clinical, parts = results.table("indices"), []
    if clinical.empty:
        return []
    groups = results.table("cases").drop_duplicates("patient").set_index("patient")["group"]
    for method, own in clinical.groupby("method", sort=False):
        for index in PLOTTED:
            rows = own[own["index"] == index].dropna(subset=list(SIDES))
            if len(rows) < 3:
                continue
            rows = rows.assign(group=rows["patient"].map(groups).fillna(""))
            found = agreement_statistics(rows["reference"], rows["prediction"])
            figure = agreement_figure(rows, found, index, rows["unit"].iloc[0])
            caption = f"{index}, {method}: grey bands are 95 % intervals of bias and limits."
            alternative = f"Bland-Altman plot and correlation of {index}, {method}"
            parts.append(Picture(svg_bytes(figure), alternative, caption))
    return parts


def _walls(walls: pd.DataFrame) -> Sequence[Part]:
    values = ["ed_thickness_mm", "es_thickness_mm", "thickening_percent"]
    if walls.empty or walls[values].isna().all(axis=None):
        return []
    means = walls.groupby(["source", "method", "segment"])[values].mean()
    limits = {
        "mm": (4.0, float(max(14.0, means[values[:2]].max(axis=None)))),
        "%": (0.0, float(max(50.0, means[values[2]].max()))),
    }
    methods = list(walls["method"].unique())
    parts = []
    for name, source, method in (("reference", "reference", methods[0]), *((m, "prediction", m) for m in methods)):
        if (source, method) not in means.index.droplevel("segment"):
            continue  # all references are annotated in part
        mean = means.xs((source, method))
        titles = (("ED thickness", "mm"), ("ES thickness", "mm"), ("Thickening", "%"))
        panels = [(title, mean[column].to_dict(), unit) for column, (title, unit) in zip(values, titles, strict=True)]
        patients = walls.loc[(walls["source"] == source) & (walls["method"] == method), "patient"].nunique()
        caption = f"{name}: mean over {patients} patients, 17 segments of the AHA."
        parts.append(
            Picture(svg_bytes(bullseye_figure(panels, limits)), f"Bullseye of wall thickness, {name}", caption)
        )
    return parts


def _curves(curves: pd.DataFrame) -> Sequence[Part]:
    parts: list[Part] = []
    for method, own in curves.groupby("method", sort=False) if len(curves) else ():
        known = own.dropna(subset=["volume_ml_prediction", "volume_ml_reference"], how="all")
        if known.empty:
            parts.append(Paragraph(f"{method}: no volume of any frame is known, as of images of one slice."))
            continue
        caption = f"{method}: prediction solid, reference dashed."
        parts.append(Picture(svg_bytes(curve_panels(known)), f"Volume over time, {method}", caption))
    return parts


def _comparison(results: Results) -> Sequence[Part]:
    if "comparison" not in results.tables:
        return []
    return [tables.ranking_table(results.table("ranking")), tables.comparison_table(results.table("comparison"))]
