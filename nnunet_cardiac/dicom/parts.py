"""Which images of a study belong to one stack: those of one measurement of parallel slices.

A scanner may store a stack as one series, as a series a slice, or in parts of some slices each, and one series may hold
several measurements. So series numbers alone decide nothing. Images that differ in what they show (part of the signal,
purpose, sequence, inversion, plane, pixels) are never joined. Those that differ otherwise (series, measurement,
echo, image type, flip angle) are told apart only where both lie at one place; elsewhere they are parts of a stack.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from nnunet_cardiac.dicom.headers import DicomImage
from nnunet_cardiac.dicom.places import along, merged, normal_of, places_of, same_grid, same_plane, sideways

#: Times (ms) that differ by less are one moment.
_SAME_TIME_MS = 0.5

#: Slice distances may differ by this fraction within a regular stack.
IRREGULAR = 0.1

#: Steps of time of one cycle may differ by this fraction.
_UNEVEN = 0.3

#: Heart rate changes less between two breath-holds.
_OTHER_CYCLE = 2.5

#: As many moments make a cine series of images that come in a series each.
_MOMENTS = 3

#: Fewer parallel slices are a view, more are a stack.
_STACK = 3

#: A slice that is farther from a stack than so many of its steps is not its next one.
_FAR = 2.5

#: A stack whose step is larger than so many slice distances leaves out slices, which another part may hold.
_SKIPS = 1.5

Images = list[DicomImage]


def find_parts(images: Iterable[DicomImage]) -> list[Images]:
    """Sort images into groups that are one stack each, as far as this can be told."""
    parts: list[Images] = []
    for cluster in _clusters(images):
        found: list[Images] = []
        for same in _adapted_groups(cluster):
            found += [part for take in _takes(same, _series) for part in _takes(take, _measurement)]
        parts += _with_repeated(_joined(found))
    return sorted(parts, key=lambda part: min(image.order for image in part))


def overlap(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> int:
    """Return at how many places both groups of parallel images have some."""
    both = places_of([*first, *second])
    members = {id(image) for image in first}
    return sum(len({id(image) in members for image in found}) == 2 for _, found in both)


def frames_of(images: Sequence[DicomImage]) -> int:
    """Return how many images most places of a group have."""
    counts = Counter(len(found) for _, found in places_of(images))
    return min(counts, key=lambda n: (-counts[n], n))


def is_regular(images: Sequence[DicomImage]) -> bool:
    """Whether parallel images lie at equal distances."""
    steps = np.diff([height for height, _ in places_of(images)])
    return len(steps) < 2 or bool(np.ptp(steps) <= IRREGULAR * np.median(steps))


def _clusters(images: Iterable[DicomImage]) -> list[Images]:
    """Images of one study that show the same in the same plane, on the same pixels."""
    groups: list[Images] = []
    for same in _grouped(images, _shows):
        images_one_by_one = ([image] for image in sorted(same, key=lambda image: image.order))
        groups += merged(images_one_by_one, lambda c, one: same_plane(c[0], one[0]) and same_grid(c[0], one[0]))
    return groups


def _shows(image: DicomImage) -> tuple[Any, ...]:
    how = image.acquisition
    return (image.study, how.component, how.purpose, how.sequence, how.inversion_ms is not None)


def adapted(image: DicomImage) -> tuple[Any, ...]:
    """What a scanner adapts from slice to slice, or writes differently."""
    how = image.acquisition
    if how.purpose:  # a map is made of images that differ in just this
        return (how.purpose, None, None, None)
    return (how.image_type, (how.echo, how.echo_ms), how.flip_degrees, how.inversion_ms)


def _adapted_groups(images: Sequence[DicomImage]) -> list[Images]:
    """Group images by what is adapted; frames of one series that differ in it stay together unless times coincide."""
    return merged(_grouped(images, adapted), _share_a_cycle)


def _share_a_cycle(first: Images, second: Sequence[DicomImage]) -> bool:
    members = {id(image) for image in first}
    shared = [found for _, found in places_of([*first, *second]) if len({id(i) in members for i in found}) == 2]
    return bool(shared) and all(len({image.series for image in found}) == 1 and are_even(found) for found in shared)


def are_even(images: Sequence[DicomImage]) -> bool:
    """Whether images of one place follow each other in equal steps of time, as the frames of one cycle do."""
    moments = sorted(moment for image in images if (moment := moment_of(image)) is not None)
    if len(moments) < len(images) or len(moments) < 2:
        return False
    steps = np.diff(moments)
    return bool(steps.min() > _SAME_TIME_MS and np.ptp(steps) <= _UNEVEN * np.median(steps))


def _series(image: DicomImage) -> str:
    return image.series


def _measurement(image: DicomImage) -> int | None:
    return image.acquisition_number


def _grouped(images: Iterable[DicomImage], key: Callable[[DicomImage], Any]) -> list[Images]:
    groups: dict[Any, Images] = defaultdict(list)
    for image in images:
        groups[key(image)].append(image)
    return sorted(groups.values(), key=lambda group: min(image.order for image in group))


def _takes(images: Sequence[DicomImage], key: Callable[[DicomImage], Any]) -> list[Images]:
    """Separate measurements by an attribute; values of it that do not contradict each other stay together."""
    groups = _grouped(images, key)
    if len(groups) == 1 or _one_cycle(images, key):
        return [list(images)]
    takes = merged(groups, lambda take, group: not _are_two(take, group))
    return [part for take in takes for part in _without_strays(take, key)]


def _without_strays(images: Images, key: Callable[[DicomImage], Any]) -> list[Images]:
    """Take slices out of a stack that lie between its own, as a view that was planned by hand does."""
    places = places_of(images)
    if is_regular(images) or len(places) <= _STACK:
        return [images]
    for _, stray in places[1:-1]:
        values = {key(image) for image in stray}
        rest = [image for image in images if key(image) not in values]
        alone = len(rest) + len(stray) == len(images)
        if alone and is_regular(rest) and abs(_step(rest) - _step(images)) <= IRREGULAR * _step(rest):
            return [rest, list(stray)]
    return [images]


def _are_two(first: Images, second: Sequence[DicomImage]) -> bool:
    """Whether two groups of images are two measurements: of one place at one time, or of stacks that interlace."""
    if sideways([*first, *second]) > max(first[0].pixel_mm):
        return True
    if not overlap(first, second) and not _alike_cycles(first, second):
        return True
    members = {id(image) for image in first}
    for _, found in places_of([*first, *second]):
        ours = [image for image in found if id(image) in members]
        others = [image for image in found if id(image) not in members]
        if ours and others and not _complement(ours, others):
            return True
    return not overlap(first, second) and (_interlace(first, second) or _far(first, second))


def _alike_cycles(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> bool:
    """Whether two groups are both cines or both not, with cycles that one heart may have; unknown ones are alike."""
    frames = {frames_of(first), frames_of(second)}
    if len(frames) == 2 and min(frames) == 1:
        return False
    lengths = [_cycle_ms(images) for images in (first, second)]
    known = [length for length in lengths if length is not None]
    return len(known) < 2 or max(known) <= _OTHER_CYCLE * min(known)


def _cycle_ms(images: Sequence[DicomImage]) -> float | None:
    """Usual length of the cycle at the places of a group."""
    lengths = []
    for _, found in places_of(images):
        times = sorted(image.time_ms for image in found if image.time_ms is not None)
        if len(times) == len(found) > 1:
            lengths.append(times[-1] - times[0] + float(np.median(np.diff(times))))
    return float(np.median(lengths)) if lengths else None


def _one_cycle(images: Sequence[DicomImage], key: Callable[[DicomImage], Any]) -> bool:
    """Whether values of an attribute number the frames: at each place many images, one a value, each at its moment."""
    for _, found in places_of(images):
        if len({key(image) for image in found}) < len(found) or len(found) < _MOMENTS:
            return False
        moments = [moment_of(image) for image in found]
        if None not in moments:
            if not are_even(found):
                return False
        elif any(moment is not None for moment in moments) or not _number_the_frames(found):
            return False
    return True


def _number_the_frames(images: Sequence[DicomImage]) -> bool:
    """Whether acquisition numbers of one series count its images where no file has a time."""
    ordered = sorted(images, key=lambda image: image.number)
    numbers = [image.acquisition_number for image in ordered if image.acquisition_number is not None]
    one_series = len({image.series for image in images}) == 1
    return one_series and len(numbers) == len(images) and set(np.diff(numbers)) == {1}


def moment_of(image: DicomImage) -> float | None:
    """Return the time (ms) of an image in the cycle, or the number of its frame; None if the file says neither."""
    return image.time_ms if image.time_ms is not None else image.temporal_index


def _complement(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> bool:
    """Whether images of one place are moments of one cycle: they are many, follow each other evenly, and do not mix.

    Two measurements both begin at the R wave, so their times overlap.
    """
    ours, others = ([moment_of(image) for image in group] for group in (first, second))
    if len(first) + len(second) < _MOMENTS or not are_even([*first, *second]):
        return False
    known = [[moment for moment in moments if moment is not None] for moments in (ours, others)]
    return min(map(len, known)) == 1 or max(known[0]) < min(known[1]) or max(known[1]) < min(known[0])


def _interlace(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> bool:
    """Whether the ranges of two groups overlap without making one regular stack, one of them being regular."""
    larger = max((first, second), key=lambda images: len(places_of(images)))
    whole = len(places_of(larger)) >= _STACK and is_regular(larger)
    return whole and _gap(first, second) <= 0 and not is_regular([*first, *second])


def belong_together(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> bool:
    """Whether two groups of parallel images lie beside or between each other as parts of one stack do."""
    if overlap(first, second):
        return False
    if _gap(first, second) > 0:
        return not _far(first, second)
    larger = max((first, second), key=lambda images: len(places_of(images)))
    usual = larger[0].distance_mm or larger[0].thickness_mm
    return usual is not None and _step(larger) > _SKIPS * usual


def _far(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> bool:
    """Whether a slice or two lie too far from a stack to be its next ones, as a view of the valves may."""
    sizes = sorted(len(places_of(part)) for part in (first, second))
    step, gap = max(_step(first), _step(second)), _gap(first, second)
    if not sizes[0] < _STACK <= sizes[1] or gap <= _FAR * step:
        return False
    # Slices in line with the stack, some of its steps away, are its own: those between are missing.
    in_line = sideways([*first, *second]) <= max(first[0].pixel_mm)
    return not (in_line and abs(gap / step - round(gap / step)) < IRREGULAR)


def _gap(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> float:
    """Distance (mm) between the ranges of two groups along their normal; 0 or less if the ranges overlap."""
    normal = normal_of([*first, *second])
    ours, others = along(first, normal), along(second, normal)
    return float(max(others.min() - ours.max(), ours.min() - others.max()))


def _step(images: Sequence[DicomImage]) -> float:
    """Usual distance of the slices of a group; 0 for one slice."""
    steps = np.diff([height for height, _ in places_of(images)])
    return float(np.median(steps)) if len(steps) else 0.0


def _joined(parts: Sequence[Images]) -> list[Images]:
    """Join parts that continue each other, whatever the scanner adapted between them."""
    joined = sorted((list(part) for part in parts), key=lambda part: -len(places_of(part)))
    while pair := next((pair for pair in combinations(joined, 2) if _continue_each_other(*pair)), None):
        joined = [part for part in joined if part is not pair[0] and part is not pair[1]]
        joined.insert(0, [*pair[0], *pair[1]])
    return joined


def _continue_each_other(first: Images, second: Images) -> bool:
    both = [*first, *second]
    cine = [frames_of(part) > 1 for part in (first, second)]
    if overlap(first, second) or cine[0] != cine[1] or sideways(both) > max(first[0].pixel_mm):
        return False
    return not _interlace(first, second) and not _far(first, second)


def _with_repeated(parts: Sequence[Images]) -> list[Images]:
    """Put slices that were acquired again into the stack to which they belong; the stack builder takes the last."""
    return merged(sorted(parts, key=lambda part: -len(places_of(part))), _repeats)


def _repeats(stack: Images, part: Sequence[DicomImage]) -> bool:
    """Whether a part repeats a few slices of a stack, acquired in the same way."""
    set_alike = adapted(stack[0])[:3] == adapted(part[0])[:3]
    set_alike = set_alike and stack[0].acquisition.settings == part[0].acquisition.settings
    if not set_alike or frames_of(stack) != frames_of(part):
        return False
    if sideways([*stack, *part]) > max(stack[0].pixel_mm):
        return False
    places, again, shared = len(places_of(stack)), len(places_of(part)), overlap(stack, part)
    few = shared == again and 2 * again <= places
    return few or (0 < 2 * shared <= min(places, again) and is_regular([*stack, *part]))
