"""Which images of a study belong to one stack: those of one measurement of parallel slices.

A scanner may store a stack as one series, as a series a slice, or in parts of some slices each, and one series may hold
several measurements. So series numbers alone decide nothing. Images that differ in what they show (part of the signal,
purpose, sequence, inversion, plane, pixels) are never joined. Those that differ otherwise (series, measurement,
echo, image type, flip angle) are told apart only where both lie at one place; elsewhere they are parts of a stack.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from nnunet_cardiac.dicom.headers import DicomImage
from nnunet_cardiac.dicom.places import along, normal_of, places_of, same_grid, same_plane, sideways

#: Times (ms) that differ by less are one moment.
_SAME_TIME_MS = 0.5

#: Slice distances may differ by this fraction within a regular stack.
IRREGULAR = 0.1

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
        clusters: list[Images] = []
        for image in sorted(same, key=lambda image: image.order):
            home = next((c for c in clusters if same_plane(c[0], image) and same_grid(c[0], image)), None)
            if home is None:
                clusters.append([image])
            else:
                home.append(image)
        groups += clusters
    return groups


def _shows(image: DicomImage) -> tuple[Any, ...]:
    how = image.acquisition
    return (image.study, how.component, how.purpose, how.sequence, how.inversion_ms is not None)


def _adapted(image: DicomImage) -> tuple[Any, ...]:
    """What a scanner adapts from slice to slice, or writes differently."""
    how = image.acquisition
    if how.purpose:  # a map is made of images that differ in just this
        return (how.purpose, None, None, None)
    return (how.image_type, (how.echo, how.echo_ms), how.flip_degrees, how.inversion_ms)


def _adapted_groups(images: Sequence[DicomImage]) -> list[Images]:
    """Group images by what is adapted; frames of one series that differ in it stay together unless times coincide."""
    groups: list[Images] = []
    for group in _grouped(images, _adapted):
        home = next((other for other in groups if _share_a_cycle(other, group)), None)
        if home is None:
            groups.append(list(group))
        else:
            home.extend(group)
    return groups


def _share_a_cycle(first: Images, second: Images) -> bool:
    members = {id(image) for image in first}
    shared = [found for _, found in places_of([*first, *second]) if len({id(i) in members for i in found}) == 2]
    return bool(shared) and all(
        len({image.series for image in found}) == 1 and _have_moments_of_their_own(found) for found in shared
    )


def _have_moments_of_their_own(images: Sequence[DicomImage]) -> bool:
    moments = sorted(moment for image in images if (moment := moment_of(image)) is not None)
    return len(moments) == len(images) and bool(np.all(np.diff(moments) > _SAME_TIME_MS))


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
    takes: list[list[Images]] = []
    for group in groups:
        home = next((take for take in takes if not any(_are_two(other, group) for other in take)), None)
        if home is None:
            takes.append([group])
        else:
            home.append(group)
    return [[image for group in take for image in group] for take in takes]


def _are_two(first: Images, second: Images) -> bool:
    """Whether two groups of images are two measurements: of one place at one time, or of stacks that interlace."""
    members = {id(image) for image in first}
    for _, found in places_of([*first, *second]):
        ours = [image for image in found if id(image) in members]
        others = [image for image in found if id(image) not in members]
        if ours and others and not _complement(ours, others):
            return True
    return not overlap(first, second) and (_interlace(first, second) or _far(first, second))


def _one_cycle(images: Sequence[DicomImage], key: Callable[[DicomImage], Any]) -> bool:
    """Whether values of an attribute number the frames: at each place many images, one a value, each at its moment."""
    for _, found in places_of(images):
        if len({key(image) for image in found}) < len(found) or len(found) < _MOMENTS:
            return False
        if not _have_moments_of_their_own(found):
            return False
    return True


def moment_of(image: DicomImage) -> float | None:
    """Return the time (ms) of an image in the cycle, or the number of its frame; None if the file says neither."""
    return image.time_ms if image.time_ms is not None else image.temporal_index


def _complement(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> bool:
    """Whether images of one place are moments of one cycle: each has a time, no two the same, and they are many.

    Two measurements both begin at the R wave, so their times overlap.
    """
    ours = [moment for image in first if (moment := moment_of(image)) is not None]
    others = [moment for image in second if (moment := moment_of(image)) is not None]
    if len(ours) < len(first) or len(others) < len(second) or len(first) + len(second) < _MOMENTS:
        return False
    apart = min(len(ours), len(others)) == 1 or max(ours) < min(others) or max(others) < min(ours)
    return apart and bool(np.all(np.diff(sorted([*ours, *others])) > _SAME_TIME_MS))


def _interlace(first: Images, second: Images) -> bool:
    """Whether the ranges of two stacks overlap without making one regular stack."""
    both_are_stacks = min(len(places_of(first)), len(places_of(second))) > 1
    return both_are_stacks and _gap(first, second) <= 0 and not is_regular([*first, *second])


def belong_together(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> bool:
    """Whether two groups of parallel images lie beside or between each other as parts of one stack do."""
    if overlap(first, second):
        return False
    if _gap(first, second) > 0:
        return not _far(first, second)
    image = max((first, second), key=lambda images: len(places_of(images)))[0]
    usual = image.distance_mm or image.thickness_mm
    return usual is not None and max(_step(first), _step(second)) > _SKIPS * usual


def _far(first: Sequence[DicomImage], second: Sequence[DicomImage]) -> bool:
    """Whether a slice or two lie too far from a stack to be its next ones, as a view of the valves may."""
    sizes = sorted(len(places_of(part)) for part in (first, second))
    return sizes[0] < _STACK <= sizes[1] and _gap(first, second) > _FAR * max(_step(first), _step(second))


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
    joined: list[Images] = []
    for part in sorted(parts, key=lambda part: -len(places_of(part))):
        home = next((other for other in joined if _continue_each_other(other, part)), None)
        if home is None:
            joined.append(list(part))
        else:
            home.extend(part)
    return joined


def _continue_each_other(first: Images, second: Images) -> bool:
    both = [*first, *second]
    cine = [frames_of(part) > 1 for part in (first, second)]
    if overlap(first, second) or cine[0] != cine[1] or sideways(both) > max(first[0].pixel_mm):
        return False
    return not _interlace(first, second) and not _far(first, second)


def _with_repeated(parts: Sequence[Images]) -> list[Images]:
    """Put slices that were acquired again into the stack to which they belong; the stack builder takes the last."""
    stacks: list[Images] = []
    for part in sorted(parts, key=lambda part: -len(places_of(part))):
        home = next((stack for stack in stacks if _repeats(stack, part)), None)
        if home is None:
            stacks.append(list(part))
        else:
            home.extend(part)
    return stacks


def _repeats(stack: Images, part: Images) -> bool:
    """Whether a part repeats a few slices of a stack, acquired in the same way."""
    if _adapted(stack[0])[:3] != _adapted(part[0])[:3] or frames_of(stack) != frames_of(part):
        return False
    if sideways([*stack, *part]) > max(stack[0].pixel_mm):
        return False
    places, again, shared = len(places_of(stack)), len(places_of(part)), overlap(stack, part)
    few = shared == again and 2 * again <= places
    return few or (0 < 2 * shared <= min(places, again) and is_regular([*stack, *part]))
