"""What is unusual in a source but no reason to refuse it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from nnunet_cardiac.datasets.anatomy import MIN_ENCLOSED
from nnunet_cardiac.datasets.tables import Written
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.content import find_repeated
from nnunet_cardiac.patients.repeated import Groups, shown_groups


def notes_of(cases: Sequence[Written]) -> Iterator[str]:
    """Yield one sentence a peculiarity, with the number of cases and the first of them."""
    labelled = [item for item in cases if item.case.label is not None]
    kinds = (
        (
            [i for i in labelled if np.isfinite(i.enclosed) and i.enclosed < MIN_ENCLOSED],
            f"less than {100 * MIN_ENCLOSED:.0f} % of the border of the LV cavity touches the myocardium",
        ),
        ([i for i in labelled if not any(i.volumes_ml.values())], "an empty label map"),
        ([i for i in cases if set(i.spacing_mm) == {1.0}], "a spacing of 1 x 1 x 1 mm, as of a header without spacing"),
        ([i for i in labelled if i in _larger_systole(labelled)], "an LV that is larger at ES than at ED; swapped?"),
    )
    for found, sentence in kinds:
        if found:
            yield f"{len(found)} of {len(cases)} cases (first {found[0].case.name}): {sentence}"
    yield from _copied_labels(labelled)


def _copied_labels(cases: Sequence[Written]) -> Iterator[str]:
    """Yield a sentence if two patients have the same label map: no two hearts are drawn alike."""
    first: dict[str, Written] = {}
    copies = []
    for item in cases:
        original = first.setdefault(item.label_digest, item)
        if item.label_digest and original.subject.patient != item.subject.patient:
            copies.append((original.case.name, item.case.name))
    if copies:
        yield (
            f"{len(copies)} label map{'s' if len(copies) > 1 else ''} with the voxels of another patient's (first "
            f"{' and '.join(copies[0])}); copied under a wrong name?"
        )


def shared_images(cases: Sequence[Written]) -> list[tuple[Written, Written]]:
    """Return pairs of cases of different patients that show the same image, however it is stored."""
    by_name = {item.case.name: item for item in cases}
    prints = {name: item.content for name, item in by_name.items() if item.content is not None}
    pairs = find_repeated(prints, {name: by_name[name].subject.patient for name in prints})
    return [(by_name[pair.first], by_name[pair.second]) for pair in pairs]


def refuse_leak(pairs: Sequence[tuple[Written, Written]], where: str) -> None:
    """Refuse patients of different parts who share an image.

    Raises:
        UserError: With all of them.
    """
    leaks = {
        f"{first.subject.patient} ({first.subject.split}) and {second.subject.patient} ({second.subject.split})"
        for first, second in pairs
        if first.subject.split != second.subject.split
    }
    if leaks:
        raise UserError(
            f"{where}: patients of different parts show the same images: {'; '.join(sorted(leaks))}; expected every "
            "heart in one part, or the test results are too good. Leave one of each pair out with --skip PATIENT."
        )


def group_notes(groups: Groups, pairs: Sequence[tuple[Written, Written]], given: bool) -> Iterator[str]:
    """Yield a sentence on patients who share an image: one heart under two names leaks through any split.

    Args:
        groups: Patient -> group.
        pairs: As of :func:`shared_images`.
        given: The folds are the user's own.
    """
    if not groups:
        return
    first, second = (item.case.name for item in pairs[0])
    training = any(item.subject.split == "train" for pair in pairs for item in pair)
    done = "the given folds have them on one side" if given else "the folds keep them together"
    yield (
        f"{shown_groups(groups)} show the same images (first {first} and {second})" + (f"; {done}" if training else "")
    )


def _larger_systole(cases: Sequence[Written]) -> list[Written]:
    by_patient: dict[str, dict[str, Written]] = defaultdict(dict)
    for item in cases:
        if item.case.phase and item.volumes_ml.get("LV"):
            by_patient[item.subject.patient][item.case.phase] = item
    return [
        phases["ES"]
        for phases in by_patient.values()
        if {"ED", "ES"} <= set(phases) and phases["ES"].volumes_ml["LV"] > phases["ED"].volumes_ml["LV"]
    ]
