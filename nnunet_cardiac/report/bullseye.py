"""The bullseye plot of the 17 segments of the American Heart Association (Cerqueira et al. 2002)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from nnunet_cardiac.report.palette import GRID, INK

#: First segment, number of segments, inner and outer radius, angle of the middle of the first segment in degrees.
#: Anterior is on top, the septum on the left, as in the published figure.
_RINGS = ((1, 6, 0.75, 1.0, 90), (7, 6, 0.5, 0.75, 90), (13, 4, 0.25, 0.5, 90), (17, 1, 0.0, 0.25, 90))
_COLOURS = "cividis"  # even in lightness, made for colour-blind readers


def bullseye_figure(
    panels: Sequence[tuple[str, Mapping[int, float], str]], limits: Mapping[str, tuple[float, float]]
) -> Figure:
    """Draw bullseyes side by side.

    Args:
        panels: Title, segment (1 to 17) -> value (NaN is hatched), unit.
        limits: Unit -> range of the colours.

    Returns:
        Figure with a colour bar for each unit that occurs, below its last panel.
    """
    columns = len(panels)
    figure = Figure(figsize=(9.0, 9.0 / columns + 0.45), layout="constrained", facecolor="white")
    grid = np.atleast_1d(figure.subplots(1, columns))
    for unit in dict.fromkeys(unit for _, _, unit in panels):
        scale = Normalize(*limits[unit])
        used = [axes for axes, panel in zip(grid, panels, strict=True) if panel[2] == unit]
        for axes, (title, values, own) in zip(grid, panels, strict=True):
            if own == unit:
                draw_bullseye(axes, values, scale)
                axes.set_title(title, fontsize=9.5, color=INK)
        colours = mpl.cm.ScalarMappable(scale, _COLOURS)
        bar = figure.colorbar(colours, ax=used, orientation="horizontal", shrink=0.5, aspect=30, pad=0.02)
        bar.set_label(unit, fontsize=8, color=INK)
        bar.ax.tick_params(labelsize=7, colors=INK)
    return figure


def draw_bullseye(axes: Axes, values: Mapping[int, float], scale: Normalize) -> None:
    """Draw one bullseye: anterior on top, septum on the left, the numbers in the segments."""
    for first, count, inner, outer, middle in _RINGS:
        width = 360 / count
        for k in range(count):
            value = values.get(first + k, math.nan)
            angle = middle + k * width  # counter-clockwise: anterior, septum, inferior, lateral
            known = not math.isnan(value)
            fill = mpl.colormaps[_COLOURS](scale(value)) if known else "white"
            axes.add_patch(
                mpl.patches.Wedge(
                    (0, 0), outer, angle - width / 2, angle + width / 2, width=outer - inner, facecolor=fill,
                    edgecolor="white" if known else GRID, linewidth=1.5, hatch=None if known else "////",
                )
            )  # fmt: skip
            radius = (inner + outer) / 2 if count > 1 else 0
            place = radius * math.cos(math.radians(angle)), radius * math.sin(math.radians(angle))
            dark = known and scale(value) < 0.55
            words = f"{value:.0f}" if known and abs(value) >= 20 else f"{value:.1f}" if known else "–"
            axes.text(*place, words, ha="center", va="center", fontsize=7, color="white" if dark else INK)
    names = {"anterior": (0, 1.07), "septal": (-1.07, 0), "inferior": (0, -1.07), "lateral": (1.07, 0)}
    for name, (x, y) in names.items():
        axes.text(
            x, y, name, ha="center", va="center", fontsize=6.5, color=INK, rotation={-1.07: 90, 1.07: 270}.get(x, 0)
        )
    axes.set(xlim=(-1.16, 1.16), ylim=(-1.16, 1.16))
    axes.set_aspect("equal")
    axes.set_axis_off()
