"""Draw the rooms of this package and what they import: `python docs/figures/house.py` writes docs/images/house.svg.

The rooms come from docs/imports.json, the table that tests/test_packaging.py holds every import against. A room lies
one floor above the highest room that it imports. An arrow that follows from two others is left out.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

DOCS = Path(__file__).resolve().parent.parent

#: Text as outlines, so that every viewer draws the same; names of elements that do not change from run to run.
matplotlib.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "nnunet_cardiac", "font.family": "DejaVu Sans"})

#: Last room of the table; drawn as the ground of the house, without arrows.
GROUND = "ground"

#: First word of a room -> colour of its box; the three folders beside `nnunet_cardiac/` at the top of the repository.
COLOURS = {"architectures": "#e3eefb", "cascade": "#e6f5ee", "trainers": "#fdf1e3"}
_USUAL = "#f4f6f8"

_WIDTH, _HEIGHT, _FLOOR, _ACROSS = 2.7, 0.98, 1.45, 9.0


def read_rooms(path: Path = DOCS / "imports.json") -> tuple[dict[str, set[str]], dict[str, str]]:
    """Return room -> rooms that it may import, without the ground, and room -> what it holds."""
    table = json.loads(path.read_text("utf-8"))
    order = [room for room in table if room != GROUND]
    listed = {room: table[room]["imports"] for room in order}
    allowed = {
        room: set(order[order.index(room) + 1 :] if isinstance(names, str) else names) for room, names in listed.items()
    }
    return allowed, {room: entry["holds"] for room, entry in table.items()}


def floors(allowed: dict[str, set[str]]) -> dict[str, int]:
    """Return room -> floor, 1 for rooms that import nothing but the ground."""
    found: dict[str, int] = {}
    for room in reversed(allowed):  # the table goes from the top down
        found[room] = 1 + max((found[below] for below in allowed[room]), default=0)
    return found


def without_detours(allowed: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out what a room reaches through another one."""
    reached: dict[str, set[str]] = {}
    for room in reversed(allowed):
        reached[room] = set().union(*(reached[below] | {below} for below in allowed[room]))
    return {
        room: {below for below in names if not any(below in reached[other] for other in names)}
        for room, names in allowed.items()
    }


def places(arrows: dict[str, set[str]], floor: dict[str, int]) -> dict[str, tuple[float, float]]:
    """Return room -> centre of its box: each floor spread evenly, rooms above what they import."""
    found: dict[str, tuple[float, float]] = {}
    for level in range(1, max(floor.values()) + 1):
        row = [room for room in reversed(arrows) if floor[room] == level]
        centres = {
            room: sum(found[below][0] for below in arrows[room]) / len(arrows[room]) if arrows[room] else 0.0
            for room in row
        }
        row.sort(key=centres.__getitem__)
        for position, room in enumerate(row):
            found[room] = ((position + 0.5) * _ACROSS / len(row), level * _FLOOR)
    return found


def draw(axes: Axes) -> None:
    """Draw all rooms and arrows."""
    allowed, holds = read_rooms()
    arrows = without_detours(allowed)
    place = places(arrows, floors(allowed))
    for room, names in arrows.items():
        for below in sorted(names):
            _arrow(axes, place[room], place[below])
    for room, centre in place.items():
        _box(axes, centre, room, holds[room], COLOURS.get(room.split(".")[0], _USUAL))
    _box(axes, (_ACROSS / 2, 0.25), GROUND, holds[GROUND], "#e4ddd3", width=_ACROSS - 0.4)
    axes.set(xlim=(0, _ACROSS), ylim=(-0.4, max(y for _, y in place.values()) + 0.7))
    axes.set_axis_off()


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    tip = (end[0], end[1] + _HEIGHT / 2)
    axes.add_patch(
        FancyArrowPatch(
            (start[0], start[1] - _HEIGHT / 2),
            tip,
            arrowstyle="-|>",
            mutation_scale=11,
            color="#b8b8b8" if start[1] - end[1] > 1.5 * _FLOOR else "#666666",  # those that pass behind other rooms
            shrinkA=0,
            shrinkB=0,
            zorder=1,
        )
    )


def _box(axes: Axes, centre: tuple[float, float], room: str, text: str, colour: str, width: float = _WIDTH) -> None:
    left, bottom = centre[0] - width / 2, centre[1] - _HEIGHT / 2
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom), width, _HEIGHT, boxstyle="round,pad=0,rounding_size=0.08", fc=colour, ec="#555555", zorder=2
        )
    )
    lines = textwrap.fill(text.replace("`", ""), int(width * 11.5))
    axes.text(centre[0], centre[1] + 0.42, room, ha="center", va="top", weight="bold", size=11.5, zorder=3)
    axes.text(centre[0], centre[1] + 0.19, lines, ha="center", va="top", size=9, zorder=3, linespacing=1.15)


def main() -> None:
    """Write the picture."""
    figure, axes = plt.subplots(figsize=(9, 14.5), layout="constrained")
    draw(axes)
    figure.savefig(DOCS / "images" / "house.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
