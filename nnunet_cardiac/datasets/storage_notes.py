"""In which ways the images of a source were stored, and what was done about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nnunet_cardiac.datasets.grid import MAX_DIRECTION_DIFFERENCE, MAX_SPACING_RATIO
from nnunet_cardiac.datasets.tables import Written
from nnunet_cardiac.images.same_body import way_onto
from nnunet_cardiac.images.stored_ways import StoredWays, stored_ways


def ways_of(cases: Sequence[Written]) -> StoredWays:
    """Return how the images lie in the source."""
    return stored_ways({item.case.name: item.stored for item in cases if item.stored is not None})


def notes_of_storage(cases: Sequence[Written], as_stored: bool) -> Iterator[str]:
    """Yield what was changed, and what nobody can know, one sentence each.

    Args:
        cases: What was written.
        as_stored: Nothing was to be changed.
    """
    found, changed = ways_of(cases), _changed(cases)
    if changed:
        first = changed[0]
        yield (
            f"{len(changed)} of {len(cases)} images were stored otherwise (first {first.case.name}, {first.way.code}); "
            "their axes, and those of their labels, are exchanged or turned round into canonical storage"
        )
    elif as_stored and len(found.names) > 1:
        yield f"the images are stored in {len(found.names)} ways and stay so (--orientation as-stored)"
    if found.without_direction:
        yield (
            f"{len(found.without_direction)} of {found.total} images (first {found.without_direction[0]}) do not say "
            "how they lie in the patient; they are left as stored"
        )
    if found.lost:
        yield (
            "all headers lie parallel to the axes of the body, although the voxels are those of short-axis stacks: a "
            "program lost the directions, and it cannot be known how the images lie"
        )
    if differing := list(_differing_frames(cases)):
        names = " and ".join(item.case.name for item in differing[0])
        yield (
            f"{len(differing)} patients (first {names}) have volumes of different voxel sizes or directions, which "
            "frames of one series never have; is one another patient's, or another view?"
        )


def _differing_frames(cases: Sequence[Written]) -> Iterator[tuple[Written, Written]]:
    """Yield the first two volumes of each patient that cannot be frames of one series."""
    by_patient: dict[str, list[Written]] = {}
    for item in cases:
        by_patient.setdefault(item.subject.patient, []).append(item)
    for first, *others in by_patient.values():
        other = next((item for item in others if not _one_series(first, item)), None)
        if other is not None:
            yield first, other


def _one_series(first: Written, second: Written) -> bool:
    if first.stored is None or second.stored is None:
        return True
    one, two = first.stored, way_onto(second.stored, first.stored).moved(second.stored)
    alike = np.allclose(one.spacing, two.spacing, rtol=MAX_SPACING_RATIO, atol=0)
    return bool(alike and np.allclose(one.direction, two.direction, rtol=0, atol=MAX_DIRECTION_DIFFERENCE))


def record(cases: Sequence[Written], as_stored: bool) -> dict[str, object]:
    """Return what the manifest says of it.

    Args:
        cases: What was written.
        as_stored: Nothing was to be changed.

    Returns:
        `written`, the kind of storage; `ways`, the number of images of the source for each way; `without_direction`;
        `directions_lost`; and `changed`, the way that each changed image took.
    """
    found = ways_of(cases)
    return {
        "written": "as-stored" if as_stored else "canonical",
        "ways": found.counts,
        "without_direction": len(found.without_direction),
        "directions_lost": found.lost,
        "changed": {item.case.name: item.way.code for item in _changed(cases)},
    }


def _changed(cases: Sequence[Written]) -> list[Written]:
    return [item for item in cases if not item.way.changes_nothing]
