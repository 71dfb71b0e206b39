"""Slices from base to apex with the outlines of reference and prediction."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import ndimage
from skimage.measure import find_contours

from nnunet_cardiac.evaluation.overlap import dice_per_label
from nnunet_cardiac.evaluation.slice_levels import base_is_last
from nnunet_cardiac.report.overlay_case import OverlayCase
from nnunet_cardiac.report.palette import FILM, FILM_TEXT, structure_colour

PANEL_IN, LABEL_IN, HEAD_IN, LEGEND_IN = 1.12, 0.98, 0.5, 0.36
LABEL_CHARACTERS = 14  # of a line of a row's name, as many as fit in LABEL_IN
MARGIN_MM = 12.0
#: Each pixel is cut into this many before its outline is traced, so that the line follows pixel edges.
_OUTLINE_OVERSAMPLING = 4


@dataclass(frozen=True)
class Window:
    """Square part of a slice, in pixel coordinates (pixel centres are whole numbers)."""

    y: tuple[float, float]
    x: tuple[float, float]


def slices_base_to_apex(case: OverlayCase, max_slices: int) -> list[int]:
    """Choose slices that hold any reference or predicted structure.

    The header's direction says nothing reliable about which end is the base; the end whose cavities are larger is.

    Args:
        case: Case to draw.
        max_slices: Most slices to return; more are thinned evenly, the first and last stay.

    Returns:
        Slice indices, base first. The middle slice alone if nothing is labelled.
    """
    maps = np.stack([case.reference, *case.predictions.values()])
    used = np.flatnonzero((maps > 0).any(axis=(0, 2, 3)))
    if used.size == 0:
        return [len(case.reference) // 2]
    if base_is_last(case.reference, case.structures):
        used = used[::-1]
    picked = np.linspace(0, len(used) - 1, min(max_slices, len(used))).round().astype(int)
    return used[picked].tolist()


def heart_window(case: OverlayCase, margin_mm: float = MARGIN_MM) -> Window:
    """Square in mm around all labels of the case, reference and predictions, so that no false positive is cut off.

    Args:
        case: Case to draw.
        margin_mm: Added on each side.

    Returns:
        Limits in pixels, possibly beyond the image. The whole slice, squared, if nothing is labelled.
    """
    used = np.any(np.stack([case.reference, *case.predictions.values()]), axis=(0, 1))
    used = used if used.any() else np.ones_like(used)
    ends = [np.flatnonzero(used.any(axis=axis))[[0, -1]] + np.array([-0.5, 0.5]) for axis in (1, 0)]
    spacing = case.spacing_mm[1:]
    half_mm = max((end[1] - end[0]) * step for end, step in zip(ends, spacing, strict=True)) / 2 + margin_mm
    limits = [
        (float(e.mean() - half_mm / s), float(e.mean() + half_mm / s)) for e, s in zip(ends, spacing, strict=True)
    ]
    return Window(*limits)


def outlines(mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.float64]]:
    """Closed outlines of a 2D mask along its pixel edges, as (N, 2) arrays of (y, x) in pixel coordinates."""
    if not mask.any():
        return []
    k = _OUTLINE_OVERSAMPLING
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    start = [side.start for side in box]
    fine = np.kron(np.pad(mask[box], 1), np.ones((k, k), np.uint8))
    return [(line + 0.5) / k - 1.5 + start for line in find_contours(fine, 0.5)]


def overlay_figure(cases: Sequence[OverlayCase], *, max_slices: int = 8, headings: bool = True) -> Figure:
    """Draw cases below each other: a row for the reference and one for each stage, slices from base to apex.

    Args:
        cases: At least one case.
        max_slices: Most slices in a row.
        headings: Name each case and add a legend; without, the surrounding page does both.

    Returns:
        Figure on a dark film, about 1.1 inch for each slice.

    Raises:
        ValueError: If `cases` is empty or `max_slices` below 1.
    """
    if not cases or max_slices < 1:
        raise ValueError(f"expected at least one case and one slice, got {len(cases)} and {max_slices}.")
    chosen = [slices_base_to_apex(case, max_slices) for case in cases]
    columns = max(len(slices) for slices in chosen)
    head = HEAD_IN if headings else HEAD_IN / 2
    heights = [head + PANEL_IN * (1 + len(case.predictions)) for case in cases]
    legend = LEGEND_IN if headings else 0.0
    size = (LABEL_IN + PANEL_IN * columns, sum(heights) + legend)
    figure = Figure(figsize=size, facecolor=FILM)
    count = len(cases) + headings
    parts = figure.subfigures(count, 1, squeeze=False, height_ratios=[*heights, legend][:count])[:, 0]
    for part, case, slices, height in zip(parts, cases, chosen, heights, strict=False):
        _draw_case(part, case, slices, columns, head / height, headings)
    if headings:
        _draw_legend(parts[-1], cases)
    return figure


def _draw_case(
    part: SubFigure, case: OverlayCase, slices: Sequence[int], columns: int, head: float, heading: bool
) -> None:
    part.set_facecolor(FILM)
    rows = {"Reference": case.reference, **case.predictions}
    left = LABEL_IN / (LABEL_IN + PANEL_IN * columns)
    grid = part.subplots(
        len(rows), columns, squeeze=False,
        gridspec_kw={"left": left, "right": 1, "bottom": 0, "top": 1 - head, "wspace": 0.02, "hspace": 0.02},
    )  # fmt: skip
    window, grey = heart_window(case), _grey_window(case, slices)
    for axes_row, (name, labels) in zip(grid, rows.items(), strict=True):
        for axes, z in zip(axes_row, slices, strict=False):
            _draw_slice(axes, case, labels, z, name != "Reference", grey)
            axes.set(xlim=window.x, ylim=window.y[::-1])
        for axes in axes_row:
            axes.set_axis_off()
        _label_row(axes_row[0], name, case, labels)
    _label_columns(grid[0], slices)
    if heading:
        text = " · ".join(word for word in (case.case, case.phase, case.group) if word)
        part.text(0.06 * left, 1 - 0.22 * head, text, color="white", fontsize=9, fontweight="bold", va="top")


def _draw_slice(
    axes: Axes, case: OverlayCase, labels: npt.NDArray[np.integer], z: int, predicted: bool, grey: tuple[float, float]
) -> None:
    aspect = case.spacing_mm[1] / case.spacing_mm[2]
    axes.imshow(case.image[z], cmap="gray", vmin=grey[0], vmax=grey[1], interpolation="bilinear", aspect=aspect)
    tint = np.zeros((*labels.shape[1:], 4))
    for name, value in case.structures.items():
        tint[labels[z] == value] = to_rgba(structure_colour(name), 0.16)
    axes.imshow(tint, interpolation="nearest", aspect=aspect)
    for name, value in case.structures.items():
        for line in outlines(labels[z] == value):
            axes.plot(line[:, 1], line[:, 0], color=structure_colour(name), linewidth=1.1)
        for line in outlines(case.reference[z] == value) if predicted else ():
            axes.plot(line[:, 1], line[:, 0], color="white", linewidth=0.6, dashes=(2.5, 1.8))


def _grey_window(case: OverlayCase, slices: Sequence[int]) -> tuple[float, float]:
    window = heart_window(case)
    rows, columns = (slice(max(0, int(low)), int(high) + 1) for low, high in (window.y, window.x))
    low, high = np.percentile(case.image[list(slices), rows, columns], (0.5, 99.5))
    return float(low), float(high) if high > low else float(low) + 1.0


def _label_row(axes: Axes, name: str, case: OverlayCase, labels: npt.NDArray[np.integer]) -> None:
    place: dict[str, Any] = {"transform": axes.transAxes, "x": -0.08, "ha": "right", "color": FILM_TEXT}
    axes.text(y=0.5, s=textwrap.fill(name, LABEL_CHARACTERS), va="bottom", fontsize=8, **place)
    if name != "Reference":
        scores = list(dice_per_label(case.reference, labels, case.structures).values())
        if not np.isnan(scores).all():
            axes.text(y=0.46, s=f"Dice {np.nanmean(scores):.3f}", va="top", fontsize=7, **place)


def _label_columns(axes_row: Sequence[Axes], slices: Sequence[int]) -> None:
    for position, (axes, z) in enumerate(zip(axes_row, slices, strict=False)):
        end = "base · " if position == 0 else "apex · " if position == len(slices) - 1 else ""
        axes.set_title(f"{end if len(slices) > 1 else ''}slice {z + 1}", color=FILM_TEXT, fontsize=7, pad=3)


def _draw_legend(part: SubFigure, cases: Sequence[OverlayCase]) -> None:
    part.set_facecolor(FILM)
    names = dict.fromkeys(name for case in cases for name in case.structures)
    handles: list[Artist] = [
        Patch(facecolor=to_rgba(structure_colour(n), 0.3), edgecolor=structure_colour(n), label=n) for n in names
    ]
    handles.append(Line2D([], [], color="white", linewidth=0.9, dashes=(2.5, 1.8), label="reference"))
    part.legend(
        handles=handles, loc="center", ncols=len(handles), frameon=False, labelcolor=FILM_TEXT, fontsize=8
    )  # fmt: skip
