"""From the images of one measurement to a stack: ordered by place and time, whole or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_cardiac.dicom.headers import DicomImage
from nnunet_cardiac.dicom.parts import IRREGULAR, adapted, frames_of
from nnunet_cardiac.dicom.places import places_of, sideways

#: A frame of one slice belongs to a frame of another if their times differ by less than this share of a frame.
_NEAR = 0.25

#: Cycles whose lengths differ by more than this share have no frames in common.
_SAME_CYCLE = 0.25

#: The shortest step of time in a cycle is at least this share of the longest.
_UNEVEN = 0.62

#: Distances of positions that were rounded to 1 mm in each coordinate differ by less.
_ROUNDED_MM = 1.2

#: Images of one slice that were acquired farther apart (s) are of two breath-holds.
_BREATH_HOLD_S = 3.0


class NotAStackError(Exception):
    """Images that are no regular stack; the message says why, without names, paths and descriptions."""


@dataclass(frozen=True)
class DicomStack:
    """Images of one stack.

    Attributes:
        series_number: Number of the (first) series.
        description: What the scanner called it.
        images: (T, Z) images, None where one is missing.
        slice_mm: Distance of neighbouring slices.
        warnings: What was repeated, missing or joined.
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

    @property
    def times_ms(self) -> list[float | None]:
        """Time of each frame after the R wave, of its first slice; None where the file does not say it."""
        return [next((image.time_ms for image in row if image is not None), None) for row in self.images]


def build_stack(images: Sequence[DicomImage], allow_gaps: bool = False) -> DicomStack:
    """Order the images of one measurement by place and time.

    Args:
        images: Parallel images on equal pixels.
        allow_gaps: Leave missing slices and frames empty instead of refusing the stack.

    Raises:
        NotAStackError: If slices or frames are missing, shifted, repeated in a way that cannot be told, or their order
            in time is unknown.
    """
    first = min(images, key=lambda image: image.order)
    series = len({image.series for image in images})
    warnings = [f"joined from {series} series"] if series > 1 else []
    shift = sideways(images)
    if shift > max(first.pixel_mm):
        raise NotAStackError(f"slices are shifted in-plane by up to {shift:.1f} mm; expected one straight stack")
    places = places_of(images)
    columns = _in_time([found for _, found in places], frames_of(images), warnings, allow_gaps)
    slice_mm, at = _spread([height for height, _ in places], images, warnings, allow_gaps)
    rows: list[list[DicomImage | None]] = [[None] * (at[-1] + 1) for _ in range(len(columns[0]))]
    for place, column in zip(at, columns, strict=True):
        for time, image in enumerate(column):
            rows[time][place] = image
    return DicomStack(
        first.series_number, first.description, tuple(tuple(row) for row in rows), slice_mm, tuple(warnings)
    )


def _in_time(
    places: Sequence[list[DicomImage]], frames: int, warnings: list[str], allow_gaps: bool
) -> list[list[DicomImage | None]]:
    """Return the images of each place in the order of time, as many at one place as at any other."""
    ordered = [_ordered(found) for found in places if len(found) == frames]
    timed = [column for column in ordered if None not in [image.time_ms for image in column]]
    if timed and len(timed) < len(ordered) and any(_disorder(column) for column in timed):
        raise NotAStackError("some slices have no times, and in the others the numbers do not follow the times")
    known = [[image.time_ms for image in column] for column in timed]
    template = np.median(np.array(known, dtype=float), axis=0) if known else None
    columns: list[list[DicomImage | None]] = []
    for number, found in enumerate(places, start=1):
        if len(found) == frames:
            columns.append(list(_ordered(found)))
        elif len(found) > frames:
            columns.append(list(_chosen(found, frames, template, number, warnings)))
        else:
            columns.append(_with_gaps(found, frames, template, number, warnings, allow_gaps))
        if None not in columns[-1]:
            _refuse_two_measurements([image for image in columns[-1] if image is not None], number)
    return columns


def _disorder(column: Sequence[DicomImage]) -> bool:
    numbers = [image.number for image in column]
    return numbers != sorted(numbers)


def _refuse_two_measurements(column: Sequence[DicomImage], number: int) -> None:
    """Refuse frames of one slice that may be of two measurements, one appended to the other or mixed with it."""
    for what, of in (("series or acquisitions", _measured), ("kinds of acquisition", adapted)):
        found = Counter(map(of, column))
        if len(found) > 1 and min(found.values()) > 1:
            raise NotAStackError(
                f"the images of slice {number} are of {len(found)} {what}, and nothing tells whether they are one cycle"
            )
    acquired = sorted(image.acquired_s for image in column if image.acquired_s is not None)
    if len(acquired) == len(column) > 1 and max(np.diff(acquired)) > _BREATH_HOLD_S:
        raise NotAStackError(
            f"the images of slice {number} were acquired up to {max(np.diff(acquired)):.0f} s apart: perhaps two "
            "measurements"
        )
    times = [image.time_ms for image in column if image.time_ms is not None]
    if len(times) == len(column) > 2 and len(set(times)) == len(times):
        steps = np.diff(sorted(times))
        if steps.min() < _UNEVEN * steps.max():
            raise NotAStackError(f"the times of slice {number} are uneven: perhaps two measurements are mixed")


def _chosen(
    found: list[DicomImage], frames: int, template: np.ndarray | None, number: int, warnings: list[str]
) -> list[DicomImage]:
    """The frames of a slice that has more images than the others: acquired again, or in finer steps of time."""
    takes = _takes(found, frames)
    told_apart = template is not None or len({_measured(take[0]) for take in takes}) == len(takes)
    if takes and told_apart and all(_fits(take, template) for take in takes):
        warnings.append(f"slice {number} was acquired {len(takes)} times; the last is used")
        return _ordered(takes[-1])
    finer = None if template is None or frames == 1 else _nearest(found, template)
    if finer is not None and None not in finer:
        warnings.append(f"slice {number} has {len(found)} frames, the others {frames}; the nearest in time are used")
        return [image for image in finer if image is not None]
    raise NotAStackError(f"slice {number} has {len(found)} images, the others have {frames}")


def _takes(found: Sequence[DicomImage], frames: int) -> list[list[DicomImage]]:
    """The images of one place by measurement, if each has as many as it should have."""
    newest = sorted(found, key=lambda image: (image.series_number, image.acquisition_number or 0, image.number))
    if len(newest) % frames:
        return []
    return [newest[start : start + frames] for start in range(0, len(newest), frames)]


def _measured(image: DicomImage) -> tuple[str, int | None]:
    return (image.series, image.acquisition_number)


def _fits(take: Sequence[DicomImage], template: np.ndarray | None) -> bool:
    """Whether a measurement covers the same times as the other slices do.

    Where no file has times, only what says that there were several measurements is left: another series or number.
    """
    if template is None or len(take) == 1:
        return len({_measured(image) for image in take}) == 1
    return None not in (_nearest(take, template) or [None])


def _nearest(found: Sequence[DicomImage], template: np.ndarray) -> list[DicomImage | None] | None:
    """Images nearest to the times of the other slices; None if times are unknown or one image serves two frames."""
    times = [image.time_ms for image in found if image.time_ms is not None]
    if len(times) < len(found) or len(template) < 2:
        return None
    step = float(np.median(np.diff(template)))
    lengths = [float(np.ptp(all_times) + np.median(np.diff(np.sort(all_times)))) for all_times in (times, template)]
    if abs(lengths[0] - lengths[1]) > _SAME_CYCLE * lengths[1] + step:
        return None
    chosen: list[DicomImage | None] = []
    for time in template:
        nearest = int(np.argmin(np.abs(np.array(times) - time)))
        chosen.append(found[nearest] if abs(times[nearest] - time) < _NEAR * step else None)
    present = [id(image) for image in chosen if image is not None]
    return chosen if len(set(present)) == len(present) else None


def _with_gaps(
    found: list[DicomImage],
    frames: int,
    template: np.ndarray | None,
    number: int,
    warnings: list[str],
    allow_gaps: bool,
) -> list[DicomImage | None]:
    """The frames of a slice that lacks some."""
    message = f"slice {number} has {len(found)} frames, the others have {frames}"
    row = _nearest(found, template) if allow_gaps and template is not None else None
    if row is None or sum(image is not None for image in row) < len(found):
        advice = "" if allow_gaps else "; --allow-gaps leaves the missing frames without labels"
        raise NotAStackError(message + advice)
    warnings.append(f"{message}; the missing ones have no labels")
    return row


def _ordered(images: Sequence[DicomImage]) -> list[DicomImage]:
    """Images of one place in the order of time."""
    return sorted(images, key=_time_key(images))


def _time_key(images: Sequence[DicomImage]) -> Callable[[DicomImage], Any]:
    """Order by trigger time if it tells the images apart, else by frame number, else by instance number."""
    times = [image.time_ms for image in images if image.time_ms is not None]
    if len(times) == len(images) and 1 < len(set(times)) < len(times):
        raise NotAStackError(f"several of the {len(images)} images of one slice have the same time")
    for name in ("time_ms", "temporal_index", "instance"):
        values = [getattr(image, name) for image in images]
        if None not in values and len(set(values)) == len(values):
            if name == "instance" and len(set(np.diff(sorted(values)))) > 1:
                raise NotAStackError(
                    f"images of one slice have no times, and their numbers {_shown(sorted(values))} leave some out: "
                    "perhaps frames are missing, or the slice was acquired twice"
                )
            return lambda image: getattr(image, name)
    if len(images) == 1:
        return lambda image: 0
    raise NotAStackError(
        f"nothing says the order of {len(images)} images of one slice: trigger time, temporal position and instance "
        "number are missing or equal"
    )


def _shown(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:12])) + (", ..." if len(numbers) > 12 else "")


def _spread(
    heights: Sequence[float], images: Sequence[DicomImage], warnings: list[str], allow_gaps: bool
) -> tuple[float, list[int]]:
    """Return the slice distance and the number of each place in a regular stack."""
    first = images[0]
    if len(heights) == 1:
        distance = first.distance_mm or first.thickness_mm
        if distance is None:
            warnings.append("one slice without a thickness: 1 mm is written, and there is no volume")
        return distance or 1.0, [0]
    steps = np.diff(heights)
    step = float(np.median(steps))
    rounded = all(float(value).is_integer() for image in images for value in image.position)
    tolerance = max(IRREGULAR * step, _ROUNDED_MM if rounded else 0.0)
    if first.distance_mm and abs(step - first.distance_mm) > IRREGULAR * first.distance_mm:
        said = f"slices are {step:.1f} mm apart, and the files say {first.distance_mm:.1f} mm"
        message = f"{said}: perhaps some are missing"
        # A distance below the thickness is none: some scanners write the gap between slices there.
        whole = abs(step / first.distance_mm - round(step / first.distance_mm)) < IRREGULAR
        if whole and step > first.distance_mm >= (first.thickness_mm or np.inf) and not allow_gaps:
            raise NotAStackError(f"{message}; --allow-gaps takes them as they are")
        warnings.append(message)
    digits = 1 if np.ptp(np.round(steps, 1)) else 2  # unequal ones must not look equal
    shown = ", ".join(f"{value:.{digits}f}" for value in steps)
    counts = np.rint(steps / step).astype(int)
    if (counts < 1).any() or (np.abs(steps - counts * step) > tolerance).any():
        raise NotAStackError(f"slice distances are {shown} mm; expected equal ones")
    if (counts > 1).any():
        after = int(np.argmax(counts > 1)) + 1
        message = f"{int(counts.sum()) - len(steps)} slices are missing, the first after slice {after}"
        if not allow_gaps:
            raise NotAStackError(
                f"{message} (distances {shown} mm), and volumes would be too small; --allow-gaps leaves the missing "
                "slices without labels"
            )
        warnings.append(f"{message}; they have no labels, and volumes are too small")
    step = float((heights[-1] - heights[0]) / counts.sum())
    return step, [0, *(int(n) for n in np.cumsum(counts))]
