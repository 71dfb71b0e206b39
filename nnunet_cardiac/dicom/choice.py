"""Which series of a study is the short-axis stack: decided by geometry and acquisition, said for every series.

A study from the scanner holds localisers, long axes, late enhancement, maps, perfusion, flow and screenshots. A cine is
preferred to stacks of one image a slice. Among stacks of several orientations, that one is the short axis whose slices
cut the long axes of the same study at a right angle. Where nothing tells, the study is refused, and the user names
the series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_cardiac.dicom.cycles import CINE, STILL
from nnunet_cardiac.dicom.parts import belong_together
from nnunet_cardiac.dicom.places import same_grid, same_plane, sideways
from nnunet_cardiac.dicom.table import Row

#: Fewer parallel slices are a view, more are a stack.
_STACK = 3

#: A long axis lies within 20 degrees of the direction of a short-axis stack.
_ACROSS = np.sin(np.radians(20))

#: Planes within 10 degrees of the body's planes are transverse, coronal or sagittal; a short axis is oblique.
_ALIGNED = np.cos(np.radians(10))

ALL = "all"


@dataclass(frozen=True)
class Choice:
    """The table with its decisions.

    Attributes:
        rows: All rows.
        refusals: Why nothing can be segmented, one sentence a study; empty if something is.
        warnings: What a reader of the results should know.
    """

    rows: tuple[Row, ...]
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def used(self) -> list[Row]:
        """Rows of the stacks to segment."""
        return [row for row in self.rows if row.used]


def choose(rows: Sequence[Row], series: str = "") -> Choice:
    """Decide which stacks are segmented.

    Args:
        rows: The table.
        series: Number or description of a series, or `all`; empty chooses the short-axis stack.
    """
    if series:
        return _named(rows, series)
    decided: list[Row] = []
    refusals: list[str] = []
    warnings: list[str] = []
    for study in sorted({row.study for row in rows}):
        choice = _choose_of_study([row for row in rows if row.study == study])
        decided += choice.rows
        refusals += choice.refusals
        warnings += choice.warnings
    if any(row.used for row in decided):
        return Choice(tuple(decided), (), (*warnings, *refusals))
    return Choice(tuple(decided), tuple(refusals), tuple(warnings))


def _named(rows: Sequence[Row], series: str) -> Choice:
    """Take what the user names, whatever it looks like."""
    wanted = series.strip().casefold()

    def fits(row: Row) -> bool:
        return wanted in (ALL, row.description.strip().casefold(), *map(str, row.series))

    decided = [
        row.left_out("another series was asked for")
        if not fits(row)
        else row.chosen("asked for")
        if row.stack is not None
        else row.left_out(row.problem)
        for row in rows
    ]
    if any(row.used for row in decided):
        return Choice(tuple(decided))
    found = [f"{row.title.capitalize()}: {row.problem}." for row in rows if fits(row)]
    numbers = ", ".join(str(number) for number in sorted({number for row in rows for number in row.series}))
    refusal = " ".join(found) or f"No series is called or numbered as asked for; there are {numbers}."
    return Choice(tuple(decided), (refusal,))


def _choose_of_study(rows: Sequence[Row]) -> Choice:
    cines, stills = ([row for row in rows if row.type == kind and row.images] for kind in (CINE, STILL))
    plain = [row for row in stills if row.images[0].acquisition.inversion_ms is None]
    for candidates, views in ((cines, cines), (plain, stills), (stills, stills)):
        if candidates:
            return _decide(rows, candidates, views)
    reasons = " ".join(f"{row.title.capitalize()} ({row.count} images): {row.problem or row.type}." for row in rows)
    return Choice(tuple(row.left_out(row.problem or row.type) for row in rows), (reasons,))


def _decide(rows: Sequence[Row], candidates: Sequence[Row], views: Sequence[Row]) -> Choice:
    best = _short_axes(candidates, views)
    if isinstance(best, str):
        return Choice(tuple(row.left_out(_why_not(row, None)) for row in rows), (best,))
    if pieces := _pieces(best, candidates):
        return Choice(tuple(row.left_out(_why_not(row, None)) for row in rows), (pieces,))
    most = max(row.slices for row in best)
    chosen = [row for row in best if row.slices == most and row.stack is not None]
    if not chosen:
        problems = " ".join(f"{row.title.capitalize()}: {row.problem}." for row in best if row.slices == most)
        return Choice(tuple(row.left_out(_why_not(row, None)) for row in rows), (problems,))
    if most < _STACK and (broken := [row for row in rows if row.problem and row.slices >= _STACK and row.frames > 1]):
        problems = " ".join(f"{row.title.capitalize()}: {row.problem}." for row in broken)
        return Choice(tuple(row.left_out(_why_not(row, None)) for row in rows), (problems,))
    reason = f"{chosen[0].type}, {most} parallel slices"
    taken = {id(row) for row in chosen}
    decided = (row.chosen(reason) if id(row) in taken else row.left_out(_why_not(row, chosen[0])) for row in rows)
    return Choice(tuple(decided), (), tuple(_notes(chosen)))


def _notes(chosen: Sequence[Row]) -> list[str]:
    notes = []
    if len(chosen) > 1:
        notes.append(f"{len(chosen)} stacks of this study are alike; each has a result of its own.")
    if chosen[0].images[0].acquisition.inversion_ms is not None:
        notes.append("The images were made after an inversion pulse, as late enhancement is; there is no cine.")
    return notes


def _why_not(row: Row, chosen: Row | None) -> str:
    """Why a row is left out, beside the stack that is used."""
    if row.problem:
        return row.problem
    if chosen is None:
        return row.type
    if row.type != chosen.type:
        return f"{row.type}; {chosen.title} is used"
    if not same_plane(row.images[0], chosen.images[0]):
        return f"another plane than {chosen.title}"
    return f"{row.slices} slices, fewer than {chosen.title}"


def _short_axes(candidates: Sequence[Row], views: Sequence[Row]) -> list[Row] | str:
    """Return the candidates of the one orientation that is the short axis, or why it cannot be told."""
    stacks = [row for row in candidates if row.slices >= _STACK] or list(candidates)
    planes: list[list[Row]] = []
    for row in stacks:
        home = next((plane for plane in planes if _parallel(plane[0], row)), None)
        if home is None:
            planes.append([row])
        else:
            home.append(row)
    for better in (_cut_by_long_axes(views), _oblique, _much_larger(planes)):
        if len(planes) > 1:
            marks = [better(plane) for plane in planes]
            planes = [plane for plane, mark in zip(planes, marks, strict=True) if mark == max(marks)]
    if len(planes) > 1:
        listed = "; ".join(f"{row.title} ({row.slices} slices)" for plane in planes for row in plane)
        return f"Nothing tells which of these is the short axis: {listed}. Name it with --series NUMBER."
    return planes[0]


def _parallel(first: Row, second: Row) -> bool:
    return abs(float(first.normal @ second.normal)) > np.cos(np.radians(2))


def _cut_by_long_axes(views: Sequence[Row]) -> Callable[[Sequence[Row]], float]:
    """How many views of the study stand across the slices of a plane."""
    single = [row.normal for row in views if row.slices < _STACK]

    def across(plane: Sequence[Row]) -> float:
        return sum(abs(float(plane[0].normal @ view)) < _ACROSS for view in single)

    return across


def _oblique(plane: Sequence[Row]) -> float:
    return float(np.abs(plane[0].normal).max() < _ALIGNED)


def _much_larger(planes: Sequence[Sequence[Row]]) -> Callable[[Sequence[Row]], float]:
    """Whether a plane has at least twice the slices of every other one."""
    sizes = sorted((max(row.slices for row in plane) for plane in planes), reverse=True)

    def larger(plane: Sequence[Row]) -> float:
        size = max(row.slices for row in plane)
        return float(len(sizes) > 1 and size == sizes[0] and size >= 2 * sizes[1] and size >= _STACK)

    return larger


def _pieces(best: Sequence[Row], candidates: Sequence[Row]) -> str:
    """Say if parallel stacks are parts of one that do not fit together; each alone would give a wrong volume."""
    for row in best:
        for other in candidates:
            if other is not row and _parallel(row, other) and belong_together(row.images, other.images):
                return (
                    f"{row.title.capitalize()} ({row.slices} slices) and {other.title} ({other.slices} slices) are "
                    f"parallel and may be parts of one stack, but they differ in {_difference(row, other)}. Volumes "
                    "of a part would be wrong. Export them as one stack, or name the complete one with --series NUMBER."
                )
    return ""


def _difference(row: Row, other: Row) -> str:
    first, second = row.images[0], other.images[0]
    if first.shape != second.shape:
        return f"their pixels, {first.shape[0]} x {first.shape[1]} and {second.shape[0]} x {second.shape[1]}"
    if not same_grid(first, second):
        return f"pixel size, {first.pixel_mm} and {second.pixel_mm} mm"
    if not same_plane(first, second):
        return "the direction of their rows and columns"
    shift = sideways([*row.images, *other.images])
    if shift > max(first.pixel_mm):
        return f"place in the plane, by {shift:.1f} mm"
    return "the way they were acquired"
