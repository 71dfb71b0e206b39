"""What the images at one place are: moments of a heart cycle, or something else that has several images a slice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from nnunet_cardiac.dicom.headers import DicomImage
from nnunet_cardiac.dicom.parts import are_even, frames_of
from nnunet_cardiac.dicom.places import merged, places_of, same_plane

CINE, STILL, DYNAMIC = "cine", "one image a slice", "images over several heart cycles"
ONE_MOMENT = "several images at one time"
MAPPING, ECHOES, DIFFUSION = "several inversion times", "several echo times", "diffusion"

#: No heart cycle takes longer (ms): 20 beats a minute.
_LONGEST_CYCLE_MS = 3000.0

#: No cine has shorter frames (ms); times that differ by less belong to images of one phase of several beats.
_SHORTEST_FRAME_MS = 8.0

#: Echo times (ms) that differ by less are one, with other settings of the scanner.
_SAME_ECHO_MS = 0.5

#: Images of one cycle that have no trigger time follow each other faster than this (s).
_NEXT_BEAT_S = 0.4


def with_purpose_of_series(images: Iterable[DicomImage]) -> list[DicomImage]:
    """Mark images whose purpose shows only beside the others of their series at one place.

    Inversion times that differ at one place are a map or a search for the inversion time (MOLLI, TI scout), echo times
    are a map of T2*, and an image without diffusion weighting is part of the diffusion series in which it lies.
    """
    series: dict[tuple[str, str], list[DicomImage]] = defaultdict(list)
    for image in images:
        series[image.study, image.series].append(image)
    return [image for same in series.values() for image in _marked(same)]


def _marked(images: Sequence[DicomImage]) -> list[DicomImage]:
    weighted = any(image.acquisition.purpose == DIFFUSION for image in images)
    marked: list[DicomImage] = []
    for plane in _planes(images):
        for _, found in places_of(plane):
            purpose = DIFFUSION if weighted else _beside_each_other(found)
            marked += [
                replace(image, acquisition=replace(image.acquisition, purpose=image.acquisition.purpose or purpose))
                for image in found
            ]
    return marked


def _planes(images: Sequence[DicomImage]) -> list[list[DicomImage]]:
    return merged(([image] for image in images), lambda plane, one: same_plane(plane[0], one[0]))


def _beside_each_other(found: Sequence[DicomImage]) -> str:
    """What images of one place are for, by what differs between them."""
    if len({image.acquisition.inversion_ms for image in found} - {None}) > 1:
        return MAPPING
    # Parts of the signal may differ in echo time; a map has the magnitude of each echo.
    how = [image.acquisition for image in found if image.acquisition.component == "magnitude"]
    times = sorted({one.echo_ms for one in how if one.echo_ms is not None})
    several = times[-1] - times[0] > _SAME_ECHO_MS if times else len({one.echo for one in how} - {""}) > 1
    return ECHOES if several else ""


def type_of(images: Sequence[DicomImage]) -> str:
    """Return what the images of a stack are.

    Args:
        images: Images of one measurement of parallel slices.

    Returns:
        Their purpose or part of the signal if it is not anatomy, or `cine`, `one image a slice`, or `images over
        several heart cycles`, as in perfusion.
    """
    how = images[0].acquisition
    if how.purpose:
        return how.purpose
    if how.component != "magnitude":
        return f"{how.component} image"
    at_places = [found for _, found in places_of(images)]
    if frames_of(images) == 1:
        return STILL
    half = len(at_places) / 2
    if sum(map(_takes_several_beats, at_places)) > half:
        return DYNAMIC
    return ONE_MOMENT if sum(map(_is_one_moment, at_places)) > half else CINE


def _is_one_moment(found: Sequence[DicomImage]) -> bool:
    """Whether all images of a place have one trigger time, more or less; 0 is what scanners write that know none."""
    times = [image.time_ms for image in found if image.time_ms is not None]
    if len(times) < max(len(found), 2) or not any(times):
        return False
    distinct = sorted(set(times))
    return len(distinct) == 1 or float(np.median(np.diff(distinct))) < _SHORTEST_FRAME_MS


def _takes_several_beats(found: Sequence[DicomImage]) -> bool:
    times = [image.time_ms for image in found if image.time_ms is not None]
    if len(times) == len(found) and len(set(times)) > 1:
        cycle = max(times) - min(times) + float(np.median(np.diff(sorted(times))))
        return cycle > _LONGEST_CYCLE_MS or (_slow(found) and not are_even(found))
    return _slow(found)


def _slow(found: Sequence[DicomImage]) -> bool:
    """Whether images of one place were acquired a heart beat or more apart."""
    acquired = sorted(image.acquired_s for image in found if image.acquired_s is not None)
    return len(acquired) == len(found) > 2 and float(np.median(np.diff(acquired))) > _NEXT_BEAT_S
