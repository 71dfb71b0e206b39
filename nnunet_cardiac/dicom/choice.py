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

from nnunet_cardiac.dicom.cycles import CINE, ONE_MOMENT, STILL
from nnunet_cardiac.dicom.headers import NO_PLACE, DicomImage
from nnunet_cardiac.dicom.parts import belong_together, overlap
from nnunet_cardiac.dicom.places import merged, same_grid, same_plane, sideways
from nnunet_cardiac.dicom.table import Row

#: Fewer parallel slices are a view, more are a stack.
_STACK = 3

#: Two stacks of one image a slice may be end-diastole and end-systole; more are something else.
_ALIKE_STILLS = 2

#: Stacks with this share of their slices in common are one stack measured twice.
_SAME_STACK = 0.75

#: A long axis lies within 20 degrees of the direction of a short-axis stack.
_ACROSS = np.sin(np.radians(20))

#: Planes within 3 degrees of the body's planes are transverse, coronal or sagittal; a short axis is oblique.
_ALIGNED = np.cos(np.radians(3))

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
    decided = _cines_only(decided)
    used = [row for row in decided if row.used]
    if pieces := next((text for row in used if (text := _pieces([row], _of_other_studies(row, used)))), ""):
        return Choice(tuple(row.left_out(_why_not(row, None)) for row in rows), (pieces,))
    if used:
        return Choice(tuple(decided), (), (*warnings, *refusals))
    return Choice(tuple(decided), tuple(refusals), tuple(warnings))


def _cines_only(rows: Sequence[Row]) -> list[Row]:
    """Leave out what was taken of one study for want of a cine if another study has one."""
    if not any(row.used and row.type == CINE and row.slices >= _STACK for row in rows):
        return list(rows)
    return [
        row.left_out(f"{row.type}; another study has a cine") if row.used and row.type != CINE else row for row in rows
    ]


def _of_other_studies(row: Row, rows: Sequence[Row]) -> list[Row]:
    return [other for other in rows if other.study != row.study]


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
    for candidates in (cines, stills):
        if candidates:
            return _decide(rows, candidates)
    reasons = " ".join(f"{row.title.capitalize()} ({row.count} images): {row.problem or row.type}." for row in rows)
    return Choice(tuple(row.left_out(row.problem or row.type) for row in rows), (reasons,))


def _decide(rows: Sequence[Row], candidates: Sequence[Row]) -> Choice:
    best = _short_axes(candidates)
    if isinstance(best, str):
        return _refused(rows, best)
    best = _preferred(best)
    related = [row for row in rows if row.images and (row.type == best[0].type or _may_be_part(row, best))]
    if pieces := _pieces(best, related):
        return _refused(rows, pieces)
    most = max(row.slices for row in best)
    chosen = [row for row in best if row.slices == most and row.stack is not None]
    if not chosen:
        return _refused(rows, _problems([row for row in best if row.slices == most]))
    if chosen[0].type == STILL and len(chosen) > _ALIKE_STILLS:
        listed = ", ".join(row.title for row in chosen)
        return _refused(rows, f"Nothing tells which of these to use: {listed}. Name one with --series NUMBER.")
    if unusable := _instead(rows, chosen):
        return _refused(rows, _problems(unusable))
    reason = f"{chosen[0].type}, {most} parallel slices"
    taken = {id(row) for row in chosen}
    decided = (row.chosen(reason) if id(row) in taken else row.left_out(_why_not(row, chosen[0])) for row in rows)
    return Choice(tuple(decided), (), tuple(_notes(chosen)))


def _refused(rows: Sequence[Row], sentence: str) -> Choice:
    return Choice(tuple(row.left_out(_why_not(row, None)) for row in rows), (sentence,))


def _problems(rows: Sequence[Row]) -> str:
    return " ".join(f"{row.title.capitalize()}: {row.problem or row.type}." for row in rows)


def _preferred(rows: Sequence[Row]) -> list[Row]:
    """Of parallel stacks those without inversion, acquired slice by slice, and as the scanner made them."""
    preferences: tuple[Callable[[DicomImage], bool], ...] = (
        lambda image: image.acquisition.inversion_ms is None,
        lambda image: not image.acquisition.volume,
        lambda image: "SECONDARY" not in image.acquisition.image_type[:2],
    )
    kept = list(rows)
    for prefers in preferences:
        kept = [row for row in kept if prefers(row.images[0])] or kept
    return kept


def _may_be_part(row: Row, best: Sequence[Row]) -> bool:
    """Whether images of another type may be slices of a stack all the same: of its series or of its sequence."""
    series = {image.series for other in best for image in other.images}
    same_sequence = any(row.images[0].acquisition.sequence == other.images[0].acquisition.sequence for other in best)
    return row.type != "localiser" and (same_sequence or any(image.series in series for image in row.images))


def _instead(rows: Sequence[Row], chosen: Sequence[Row]) -> list[Row]:
    """Stacks that cannot be used and in whose place something lesser would be: a view, or late enhancement."""
    lesser = chosen[0].slices < _STACK
    return [
        row
        for row in rows
        if (lesser and row.problem and row.slices >= _STACK and row.frames > 1)
        or (lesser and row.problem == NO_PLACE and row.count >= chosen[0].count)
        or (chosen[0].type == STILL and row.type == ONE_MOMENT and row.slices >= _STACK)
    ]


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


def _short_axes(candidates: Sequence[Row]) -> list[Row] | str:
    """Return the candidates of the one orientation that is the short axis, or why it cannot be told."""
    stacks = [row for row in candidates if row.slices >= _STACK] or list(candidates)
    planes = merged(([row] for row in stacks), lambda plane, one: _parallel(plane[0], one[0]))
    views = [row for row in candidates if row.slices < _STACK]
    for better in (_cut_by_long_axes(views), _oblique, _much_larger(planes)):
        if len(planes) > 1:
            marks = [better(plane) for plane in planes]
            planes = [plane for plane, mark in zip(planes, marks, strict=True) if mark == max(marks)]
    if len(planes) > 1:
        listed = "; ".join(f"{row.title} ({row.slices} slices)" for plane in planes for row in plane)
        return f"Nothing tells which of these is the short axis: {listed}. Name it with --series NUMBER."
    if planes[0][0].slices >= _STACK and len(views) > 1 and 2 * _cut_by_long_axes(views)(planes[0]) < len(views):
        listed = "; ".join(f"{row.title} ({row.slices} slices)" for row in planes[0])
        return (
            f"No stack cuts the {len(views)} views of this study as a short axis does; the only one is {listed}. Name "
            "it with --series NUMBER if it is meant."
        )
    return planes[0]


def _parallel(first: Row, second: Row) -> bool:
    return abs(float(first.normal @ second.normal)) > np.cos(np.radians(2))


def _cut_by_long_axes(views: Sequence[Row]) -> Callable[[Sequence[Row]], float]:
    """How many views of the study stand across the slices of a plane."""
    single = [row.normal for row in views]

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
            if other is row or not _parallel(row, other):
                continue
            if belong_together(row.images, other.images) or _overlap_in_part(row, other):
                return (
                    f"{row.title.capitalize()} ({row.slices} slices) and {other.title} ({other.slices} slices) are "
                    f"parallel and may be parts of one stack, but they differ in {_difference(row, other)}. Volumes "
                    "of a part would be wrong. Export them as one stack, or name the complete one with --series NUMBER."
                )
    return ""


def _overlap_in_part(row: Row, other: Row) -> bool:
    """Whether each of two stacks has slices that the other lacks, and too few in common to be the same one twice."""
    if row.type != other.type or min(row.slices, other.slices) < _STACK:
        return False
    shared = overlap(row.images, other.images)
    return 0 < shared < _SAME_STACK * min(row.slices, other.slices)


def _difference(row: Row, other: Row) -> str:
    if row.study != other.study:
        return "the study that they say they are of"
    if shared := overlap(row.images, other.images):
        return f"all but {shared} slices"
    if row.type != other.type:
        return f"their type, {row.type} and {other.type}"
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
