"""Boxes, arrows and pictures of slices: the one style of the diagrams in the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch, Rectangle

from nnunet_cardiac.phantom.study import ACDC_LABELS
from nnunet_cardiac.report.palette import structure_colour

Array = np.ndarray[Any, Any]
Point = tuple[float, float]

INK, MUTED, PAPER, WINDOW = "#1c2128", "#5b6570", "#ffffff", "#ffd23f"
#: Fill and border of a box, by what it is.
COLOURS = {
    "data": ("#f4f6f8", "#9aa5b1"),
    "network": ("#e3eefb", "#0b6bcb"),
    "step": ("#fdf1e3", "#c77414"),
    "result": ("#e6f5ee", "#1d8a5a"),
}
#: By label value of the phantom.
STRUCTURES = {value: structure_colour(name) for name, value in ACDC_LABELS.items() if value}
WHITE = 98.0  # percentile of the grey values of a slice that is drawn white
IMAGES = Path(__file__).resolve().parent.parent / "images"

#: Text as outlines, so that every viewer draws the same; names of elements that do not change from run to run.
matplotlib.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "nnunet_cardiac", "font.family": "DejaVu Sans"})


@dataclass(frozen=True)
class Area:
    """A rectangle of a diagram, with the points at which arrows start and end.

    Attributes:
        x, y: Lower left corner, in units of the diagram.
        width, height: Size in the same units.
    """

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> Point:
        """Middle of the left side."""
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> Point:
        """Middle of the right side."""
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> Point:
        """Middle of the upper side."""
        return self.x + self.width / 2, self.y + self.height

    @property
    def bottom(self) -> Point:
        """Middle of the lower side."""
        return self.x + self.width / 2, self.y


class Diagram:
    """A drawing of 100 units in width.

    Args:
        height: Of the drawing, in the same units.
    """

    def __init__(self, height: float) -> None:
        self.figure = plt.figure(figsize=(10, height / 10), facecolor=PAPER)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, 100), ylim=(0, height))
        self.axes.axis("off")
        self.layer = 2.0  # of the next slice: later ones cover earlier ones

    def box(self, area: Area, title: str, detail: str = "", kind: str = "network") -> Area:
        """Draw a box with a title and smaller text below it."""
        fill, border = COLOURS[kind]
        self.axes.add_patch(
            FancyBboxPatch(
                (area.x, area.y), area.width, area.height, boxstyle="round,pad=0,rounding_size=0.8", fc=fill, ec=border
            )
        )
        middle = area.y + area.height / 2
        lines = title.count("\n") + 1
        gap = 0.75 + 0.62 * detail.count("\n") if detail else 0.0
        self._text((area.x + area.width / 2, middle + gap), title, size=9, weight="bold")
        if detail:
            self._text((area.x + area.width / 2, middle + gap - 0.95 * lines - 0.35), detail, size=7.5, va="top")
        return area

    def slice(self, area: Area, image: Array, labels: Array | None = None, window: Array | None = None) -> Area:
        """Draw a slice, with its structures filled and a window framed.

        Args:
            area: Where.
            image: Grey values (Y, X), or colours (Y, X, 3).
            labels: Label map (Y, X) with the values of `STRUCTURES`.
            window: First and last row, first and last column.
        """
        scale = {} if image.ndim == 3 else {"cmap": "gray", "vmin": 0, "vmax": np.percentile(image, WHITE)}
        extent = (area.x, area.x + area.width, area.y, area.y + area.height)
        drawn = {"extent": extent, "aspect": "auto", "interpolation": "nearest", "zorder": self.layer}
        self.axes.imshow(image, **drawn, **scale)
        if labels is not None:
            self.axes.imshow(_painted(labels), **drawn)
        self._frame(area, np.array([0, 1, 0, 1]), PAPER)
        if window is not None:
            self._frame(area, window / np.repeat(image.shape[:2], 2), WINDOW)
        self.layer += 0.01
        if window is not None:
            self._frame(area, window / np.repeat(image.shape[:2], 2), WINDOW)
        return area

    def arrow(self, start: Point, end: Point, text: str = "", *, dashed: bool = False, both: bool = False) -> None:
        """Draw an arrow, with text above its middle."""
        style = {"arrowstyle": "<|-|>" if both else "-|>", "color": INK, "lw": 1.1, "shrinkA": 1, "shrinkB": 1}
        self.axes.annotate("", end, start, arrowprops={**style, "ls": "--" if dashed else "-"}, zorder=4)
        if text:
            self.note(((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.6), text)

    def note(self, point: Point, text: str) -> None:
        """Write small text in the middle of a point, growing upwards."""
        self._text(point, text, size=7.5, va="bottom", color=MUTED)

    def save(self, name: str) -> Path:
        """Write `docs/images/NAME.svg` and return its path."""
        path = IMAGES / f"{name}.svg"
        self.figure.savefig(path, facecolor=PAPER, metadata={"Date": None})
        plt.close(self.figure)
        # Matplotlib leaves blanks at the ends of lines, which git reports.
        path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
        return path

    def _frame(self, area: Area, share: Array, colour: str) -> None:
        """Frame the part of an area that lies between shares of its rows and columns, rows from the top."""
        top, bottom, left, right = share
        self.axes.add_patch(
            Rectangle(
                (area.x + left * area.width, area.y + (1 - bottom) * area.height),
                (right - left) * area.width,
                (bottom - top) * area.height,
                fill=False,
                ec=colour,
                lw=1.6,
                zorder=self.layer,
            )
        )

    def _text(self, point: Point, text: str, **style: Any) -> None:
        self.axes.text(*point, text, **{"ha": "center", "va": "center", "color": INK, "linespacing": 1.3, **style})


def _painted(labels: Array) -> Array:
    """Colours (Y, X, 4) of a label map; the background is transparent."""
    colours = np.zeros((*labels.shape, 4))
    for value, colour in STRUCTURES.items():
        colours[labels == value] = matplotlib.colors.to_rgba(colour, 0.75)
    return colours
