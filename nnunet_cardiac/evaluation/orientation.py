"""Hearts that contradict the headers of their images: counted over an evaluation, and told in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from nnunet_cardiac.images.heart_position import AGREES, CONTRADICTIONS, explain

#: Name of the references in counts and words.
REFERENCES = "references"
#: Contradictions that are told one by one.
_TOLD = 3


def orientation_counts(plausibility: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count what label maps say of their headers.

    Args:
        plausibility: Table of an evaluation.

    Returns:
        `references` and `predictions of METHOD` -> verdict -> label maps; without label maps that say nothing.
    """
    found = {whose: part["orientation"].value_counts().to_dict() for whose, part in _parts(plausibility)}
    return {whose: counts for whose, counts in found.items() if counts}


def orientation_words(counts: Mapping[str, Mapping[str, int]], plausibility: pd.DataFrame) -> Iterator[str]:
    """Yield what a reader should know: how many label maps say what, and the first contradictions, one a paragraph.

    Nothing if all agree with their headers, or none says anything.

    Args:
        counts: Of :func:`orientation_counts`.
        plausibility: Table of the same evaluation.
    """
    if all(set(own) <= {AGREES} for own in counts.values()):
        return
    shown = [
        f"{whose} ({', '.join(f'{verdict} {number}' for verdict, number in own.items())})"
        for whose, own in counts.items()
    ]
    yield f"Where the ventricles lie, against the headers: {', '.join(shown)}."
    known: set[str] = set()  # a file whose reference contradicts it does not have to be told again
    for whose, part in _parts(plausibility):
        wrong = part[part["orientation"].isin(CONTRADICTIONS) & ~part["case"].isin(known)].drop_duplicates("case")
        for row in wrong.head(_TOLD).to_dict("records"):
            yield f"{row['case']} ({whose}): {explain(row['orientation'], row['rv_angle_degrees'])}"
        if len(wrong) > _TOLD:
            yield f"Other cases that contradict their headers ({whose}): {', '.join(wrong['case'].iloc[_TOLD:])}."
        known |= set(wrong["case"]) if whose == REFERENCES else set()


def _parts(plausibility: pd.DataFrame) -> Iterator[tuple[str, Any]]:
    """Rows that say something: of the references once, and of each method."""
    if "orientation" not in plausibility:  # made by an earlier version
        return
    said = plausibility[plausibility["orientation"] != ""]
    yield REFERENCES, said[said["source"] == "reference"].drop_duplicates("case")
    predicted = said[said["source"] == "prediction"]
    for method, part in predicted.groupby("method", sort=False):
        yield f"predictions of {method}", part
