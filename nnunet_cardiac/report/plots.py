"""Statistical plots of an evaluation as SVG: every point is a case or a patient, and every colour has a marker beside
it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnunet_cardiac.evaluation.agreement_statistics import AgreementStatistics
from nnunet_cardiac.evaluation.slice_levels import LEVELS
from nnunet_cardiac.report.palette import GRID, INK, METHOD_COLOURS, structure_colour

#: Told apart without colour.
MARKERS = ("o", "s", "^", "D", "v", "P")
_WIDTH = 9.0
_JITTER = 0.09


def svg_bytes(figure: Figure) -> bytes:
    """Render a figure as SVG with text as paths, so that it looks the same everywhere, and without a date."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "nnunet_cardiac"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def box_figure(cases: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """Box plots of metrics by structure and method.

    Args:
        cases: `cases` of an evaluation, runs averaged.
        metrics: Column -> title.

    Returns:
        One panel for each metric: box from quartile to quartile, whiskers to 1.5 times that, median, every case as a
        point.
    """
    figure = Figure(figsize=(_WIDTH, 3.0), layout="constrained", facecolor="white")
    structures, methods = list(cases["structure"].unique()), list(cases["method"].unique())
    for axes, (metric, title) in zip(np.atleast_1d(figure.subplots(1, len(metrics))), metrics.items(), strict=True):
        for i, structure in enumerate(structures):
            for k, method in enumerate(methods):
                rows = cases[(cases["structure"] == structure) & (cases["method"] == method)]
                place = i + (k - (len(methods) - 1) / 2) * 0.8 / len(methods)
                colour = structure_colour(structure) if len(methods) == 1 else METHOD_COLOURS[k % len(METHOD_COLOURS)]
                _box(
                    axes, rows[metric].dropna().to_numpy(), place, 0.6 / len(methods), colour, MARKERS[k % len(MARKERS)]
                )
        axes.set_xticks(range(len(structures)), structures)
        _finish(axes, title)
    if len(methods) > 1:
        _method_legend(figure, methods)
    return figure


def level_figure(levels: pd.DataFrame) -> Figure:
    """Bars of the mean Dice by slice level with 95 % intervals over cases, a panel for each structure."""
    structures, methods = list(levels["structure"].unique()), list(levels["method"].unique())
    figure = Figure(figsize=(_WIDTH, 2.6), layout="constrained", facecolor="white")
    for axes, structure in zip(
        np.atleast_1d(figure.subplots(1, len(structures), sharey=True)), structures, strict=True
    ):
        for k, method in enumerate(methods):
            part = levels[(levels["structure"] == structure) & (levels["method"] == method)]
            grouped = part.groupby("level")["dice"]
            mean, error = grouped.mean().reindex(LEVELS), 1.96 * grouped.sem().reindex(LEVELS)
            width = 0.75 / len(methods)
            places = np.arange(len(LEVELS)) + (k - (len(methods) - 1) / 2) * width
            colour = structure_colour(structure) if len(methods) == 1 else METHOD_COLOURS[k % len(METHOD_COLOURS)]
            style = {"color": colour, "error_kw": {"ecolor": INK, "capsize": 2}}
            known = mean.notna().to_numpy()
            for place in places[~known]:
                _say_none(axes, place)
            bars = axes.bar(places[known], mean[known], width * 0.92, yerr=error[known], **style)
            axes.bar_label(
                bars, fmt="%.2f", label_type="center", fontsize=7, color="white" if k == 0 and len(methods) > 1 else INK
            )
        axes.set_xticks(range(len(LEVELS)), LEVELS)
        axes.set_ylim(0, 1.02)
        _finish(axes, structure)
    if len(methods) > 1:
        _method_legend(figure, methods)
    return figure


def agreement_figure(rows: pd.DataFrame, found: AgreementStatistics, index: str, unit: str) -> Figure:
    """Bland-Altman plot and correlation of one clinical index, side by side.

    Args:
        rows: Columns `reference`, `prediction` and `group`, one row a patient.
        found: Their agreement; differences are reference − prediction.
        index: For example `LV EDV`.
        unit: For example `mL`.
    """
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    x, y = rows["reference"].to_numpy(), rows["prediction"].to_numpy()
    for value, low, high, name in (
        (found.bias, found.bias_ci95_low, found.bias_ci95_high, "bias"),
        (found.limit_low, found.limit_low_ci95_low, found.limit_low_ci95_high, "−1.96 SD"),
        (found.limit_high, found.limit_high_ci95_low, found.limit_high_ci95_high, "+1.96 SD"),
    ):
        left.axhspan(low, high, color=GRID, linewidth=0)
        left.axhline(value, color=INK, linewidth=1.2, linestyle="-" if name == "bias" else "--")
        left.annotate(
            f"{name} {value:+.1f}".replace("-", "−"), (1, value), xycoords=("axes fraction", "data"), fontsize=7,
            xytext=(-3, 2), textcoords="offset points", ha="right", va="bottom", color=INK,
        )  # fmt: skip
    left.axhline(0, color="#9aa5b1", linewidth=0.8, linestyle=":")
    groups = list(dict.fromkeys(rows["group"]))
    for k, group in enumerate(groups):
        chosen = (rows["group"] == group).to_numpy()
        style = {"marker": MARKERS[k % len(MARKERS)], "s": 20, "linewidths": 0.5, "edgecolors": "white"}
        colour = METHOD_COLOURS[k % len(METHOD_COLOURS)]
        left.scatter((x + y)[chosen] / 2, (x - y)[chosen], color=colour, zorder=3, label=group, **style)
        right.scatter(x[chosen], y[chosen], color=colour, zorder=3, **style)
    if any(groups) and len(groups) > 1:
        left.legend(fontsize=7, frameon=False, ncols=len(groups), loc="lower left", handletextpad=0.1, columnspacing=1)
    _finish(left, f"{index}: reference − prediction ({unit})", f"mean of both ({unit})")
    ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())]) + np.array([-0.04, 0.04]) * max(np.ptp(x), 1)
    right.plot(ends, ends, color="#9aa5b1", linewidth=0.8, linestyle=":")
    right.set(xlim=ends, ylim=ends)
    right.set_aspect("equal", adjustable="box")
    _finish(right, f"prediction against reference ({unit})", f"reference ({unit})")
    words = f"r = {found.pearson_r:.3f}\nCCC = {found.lin_ccc:.3f}\nICC(A,1) = {found.icc_a1:.3f}\nn = {found.n}"
    right.text(0.04, 0.96, words, transform=right.transAxes, va="top", fontsize=7.5, color=INK)
    return figure


def curve_panels(curves: pd.DataFrame) -> Figure:
    """Volume over the frames of a cine series: reference dashed, prediction solid, six patients at most."""
    patients = list(curves["patient"].unique())[:6]
    rows = -(-len(patients) // 3)
    figure = Figure(figsize=(_WIDTH, 2.5 * rows), layout="constrained", facecolor="white")
    grid = figure.subplots(rows, min(3, len(patients)), squeeze=False).ravel()
    for axes, patient in zip(grid, patients, strict=False):
        for structure, part in curves[curves["patient"] == patient].groupby("structure", sort=False):
            colour = structure_colour(structure)
            axes.plot(part["frame"], part["volume_ml_prediction"], color=colour, label=structure)
            axes.plot(part["frame"], part["volume_ml_reference"], color=colour, linestyle="--", linewidth=1)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _finish(axes, f"{patient} (mL)", "frame")
    for axes in grid[len(patients) :]:
        axes.set_axis_off()
    grid[0].legend(fontsize=7, frameon=False)
    return figure


def _box(axes: Axes, values: np.ndarray, place: float, width: float, colour: str, marker: str) -> None:
    if not len(values):
        axes.axvline(place, alpha=0)  # the place counts for the limits of the axis
        _say_none(axes, place)
        return
    line = {"color": INK, "linewidth": 1}
    axes.boxplot(
        [values], positions=[place], widths=width, showfliers=False, patch_artist=True, manage_ticks=False,
        boxprops={"facecolor": colour, "alpha": 0.35, "edgecolor": INK}, medianprops={**line, "linewidth": 1.8},
        whiskerprops=line, capprops=line,
    )  # fmt: skip
    # deterministic scatter, so that the same data give the same page
    offsets = np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(values)) * width / 0.3
    axes.scatter(place + offsets, values, s=7, marker=marker, color=colour, edgecolors=INK, linewidths=0.25, zorder=3)


def _say_none(axes: Axes, place: float) -> None:
    """Write that there is no value where a box or a bar would be."""
    axes.text(
        place, 0.5, "no value", transform=axes.get_xaxis_transform(), rotation=90, ha="center", va="center",
        fontsize=7, color=INK,
    )  # fmt: skip


def _method_legend(figure: Figure, methods: Sequence[str]) -> None:
    handles = [
        mpl.lines.Line2D(
            [], [], marker=MARKERS[k % len(MARKERS)], color=METHOD_COLOURS[k % len(METHOD_COLOURS)], label=m
        )
        for k, m in enumerate(methods)
    ]
    for handle in handles:
        handle.set_linestyle("")
    figure.legend(handles=handles, loc="outside upper center", ncols=len(methods), frameon=False, fontsize=8)


def _finish(axes: Axes, title: str, x_label: str = "") -> None:
    axes.set_title(title, fontsize=9.5, loc="left", color=INK)
    axes.set_xlabel(x_label, fontsize=8, color=INK)
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
