"""From the 2D images of a study to stacks: grouped by series and orientation, ordered by place and time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_cardiac.dicom.headers import DicomImage
from nnunet_cardiac.dicom.places import places_of, plane_of, sideways
from nnunet_cardiac.errors import UserError

#: Slice distances may differ by this fraction before the stack counts as irregular.
_IRREGULAR = 0.1


@dataclass(frozen=True)
class DicomStack:
    """Images of one stack.

    Attributes:
        series_number: Number of the (first) series.
        description: What the scanner called it.
        images: (T, Z) images, None where one is missing.
        slice_mm: Distance of neighbouring slices.
        warnings: What was repeated, missing or merged.
    """

    series_number: int
    description: str
    images: tuple[tuple[DicomImage | None, ...], ...]
    slice_mm: float
    warnings: tuple[str, ...]

    @property
    def first(self) -> DicomImage:
        """An image that is there."""
        return next(image for row in self.images for image in row if image is not None)


def find_stacks(images: Iterable[DicomImage], allow_gaps: bool = False) -> tuple[list[DicomStack], list[str]]:
    """Sort images into stacks.

    Args:
        images: All images of a study.
        allow_gaps: Leave missing slices and frames empty instead of refusing the stack.

    Returns:
        Stacks by series number, and messages on what could not be used: planning images, and stacks with gaps.
    """
    images = list(images)
    messages = [
        f"Series {number} ({n} images) is a localiser and was left out."
        for number, n in sorted(Counter(image.series_number for image in images if image.localiser).items())
    ]
    groups: dict[tuple, list[DicomImage]] = defaultdict(list)
    for image in images:
        if not image.localiser:
            groups[_key(image)].append(image)
    stacks = []
    for group in _merge_single_slices(list(groups.values())):
        try:
            stacks.append(_stack(group, allow_gaps))
        except UserError as error:
            messages.append(f"not segmented: {error}")
    return sorted(stacks, key=lambda stack: stack.series_number), messages


def _key(image: DicomImage) -> tuple:
    return (image.series, image.kind, *plane_of(image))


def _merge_single_slices(groups: Sequence[list[DicomImage]]) -> list[list[DicomImage]]:
    """Join series that hold one slice each: many scanners store a cine stack as one series a slice."""
    merged: list[list[DicomImage]] = []
    single: dict[tuple, list[list[DicomImage]]] = defaultdict(list)
    for group in groups:
        if len(places_of(group)) == 1:
            single[(group[0].kind, len(group), *plane_of(group[0]))].append(group)
        else:
            merged.append(group)
    for same in single.values():
        joined = [image for group in same for image in group]
        # Slices of one stack follow each other along the normal, within a pixel; parallel views elsewhere do not.
        if len(same) > 2 and sideways(joined) <= max(joined[0].pixel_mm):
            merged.append(joined)
        else:
            merged += same
    return merged


def _stack(images: Sequence[DicomImage], allow_gaps: bool) -> DicomStack:
    first = min(images, key=lambda image: (image.series_number, image.instance))
    where = f"{first.path.parent}, series {first.series_number} ({first.description or 'no description'})"
    series = sorted({image.series_number for image in images})
    warnings = [f"joined from {len(series)} series, one slice each"] if len({i.series for i in images}) > 1 else []
    shift = sideways(images)
    if shift > max(first.pixel_mm):
        raise UserError(
            f"{where}: slices are shifted in-plane by up to {shift:.1f} mm, expected one straight stack. Export the "
            "stacks as series of their own."
        )
    places = places_of(images)
    counts = Counter(len(found) for _, found in places)
    frames = min(counts, key=lambda n: (-counts[n], n))
    ordered = [_in_time(found, frames, place, warnings) for place, (_, found) in enumerate(places)]
    columns = _complete(ordered, frames, where, warnings, allow_gaps)
    slice_mm, at = _spread([along for along, _ in places], first, where, warnings, allow_gaps)
    rows: list[list[DicomImage | None]] = [[None] * (at[-1] + 1) for _ in range(frames)]
    for place, column in zip(at, columns, strict=True):
        for time, image in enumerate(column):
            rows[time][place] = image
    return DicomStack(
        first.series_number, first.description, tuple(tuple(row) for row in rows), slice_mm, tuple(warnings)
    )


def _in_time(found: list[DicomImage], frames: int, place: int, warnings: list[str]) -> list[DicomImage]:
    """The images of one place in the order of time, without what was repeated."""
    if len(found) > frames and len(found) % frames == 0:
        # A repeated acquisition: the technician was not content with the earlier one.
        warnings.append(f"slice {place + 1} was acquired {len(found) // frames} times; the last is used")
        found = sorted(found, key=lambda image: (image.series_number, image.instance))[-frames:]
    elif len(found) > frames and None not in (times := [image.time_ms for image in found]):
        warnings.append(
            f"slice {place + 1} has {len(found)} images for {frames} frames; of equal times the last is used"
        )
        newest = dict(sorted(zip(times, found, strict=True), key=lambda item: item[1].instance))
        found = list(newest.values())
    return sorted(found, key=_time_key(found))


def _complete(
    columns: Sequence[list[DicomImage]], frames: int, where: str, warnings: list[str], allow_gaps: bool
) -> list[list[DicomImage | None]]:
    """Refuse places with other numbers of frames than the rest, or leave out what they lack."""
    times = [image.time_ms for image in next(column for column in columns if len(column) == frames)]
    complete: list[list[DicomImage | None]] = []
    for place, column in enumerate(columns):
        if len(column) == frames:
            complete.append(list(column))
            continue
        message = f"slice {place + 1} has {len(column)} frames, the others have {frames}"
        row = _at_their_times(column, times) if allow_gaps and len(column) < frames else None
        if row is None:
            raise UserError(
                f"{where}: {message}. Export the series again"
                + ("." if allow_gaps else "; --allow-gaps leaves the missing frames without labels.")
            )
        warnings.append(f"{message}; the missing ones have no labels")
        complete.append(row)
    return complete


def _at_their_times(column: Sequence[DicomImage], times: Sequence[float | None]) -> list[DicomImage | None] | None:
    """Put images at the frames nearest in time; None if times are unknown or two images claim one frame."""
    known = [time for time in times if time is not None]
    own = [image.time_ms for image in column if image.time_ms is not None]
    if len(known) < len(times) or len(own) < len(column):
        return None
    nearest = [int(np.argmin([abs(mine - time) for time in known])) for mine in own]
    row: list[DicomImage | None] = [None] * len(times)
    for frame, image in zip(nearest, column, strict=True):
        row[frame] = image
    return row if len(set(nearest)) == len(column) else None


def _time_key(images: Sequence[DicomImage]) -> Callable[[DicomImage], Any]:
    """Order by trigger time if it tells the images apart, else by frame number, else by instance number."""
    for name in ("time_ms", "temporal_index"):
        values = [getattr(image, name) for image in images]
        if None not in values and len(set(values)) == len(values):
            return lambda image: getattr(image, name)
    return lambda image: (image.series_number, image.instance)


def _spread(
    along: Sequence[float], first: DicomImage, where: str, warnings: list[str], allow_gaps: bool
) -> tuple[float, list[int]]:
    """Return the slice distance and the number of each place in a regular stack."""
    if len(along) == 1:
        return first.distance_mm or first.thickness_mm or 1.0, [0]
    steps = np.diff(along)
    step = float(np.median(steps))
    if first.distance_mm and abs(step - first.distance_mm) > _IRREGULAR * first.distance_mm:
        warnings.append(
            f"slices are {step:.1f} mm apart, and the files say {first.distance_mm:.1f} mm: perhaps some are missing"
        )
    counts = np.rint(steps / step).astype(int)
    if (counts < 1).any() or (np.abs(steps - counts * step) > _IRREGULAR * step).any():
        shown = ", ".join(f"{value:.1f}" for value in steps)
        raise UserError(f"{where}: slice distances are {shown} mm, expected equal ones. Export one stack only.")
    if (counts > 1).any():
        after = int(np.argmax(counts > 1)) + 1
        message = f"{int(counts.sum()) - len(steps)} slices are missing, the first after slice {after}"
        if not allow_gaps:
            raise UserError(
                f"{where}: {message} (distances {', '.join(f'{value:.1f}' for value in steps)} mm). Volumes would be "
                "too small. Export the series again; --allow-gaps leaves the missing slices without labels."
            )
        warnings.append(f"{message}; they have no labels, and volumes are too small")
    return step, [0, *(int(n) for n in np.cumsum(counts))]
