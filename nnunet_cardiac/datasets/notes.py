"""What is unusual in a source but no reason to refuse it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nnunet_cardiac.datasets.anatomy import MIN_ENCLOSED
from nnunet_cardiac.datasets.tables import Written


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


def duplicates(files: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield a sentence if two patients share an image: one heart under two names leaks through any split.

    Args:
        files: Patient -> image file -> hash.
    """
    owners: dict[str, dict[str, str]] = defaultdict(dict)
    for patient, hashed in files.items():
        for path, digest in hashed.items():
            owners[digest].setdefault(patient, path)
    shared = [paths for paths in owners.values() if len({*paths.values()}) > 1]
    if shared:
        names = " and ".join(shared[0].values())
        yield f"{len(shared)} images occur under two patients (first {names}); folds by patient cannot keep them apart"


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
