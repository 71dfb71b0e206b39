"""Patients who share an image: one heart under two names, which must not be on both sides of a fold.

Which images are repeated is found elsewhere (:mod:`nnunet_cardiac.images.content`); here are the groups that follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nnunet_cardiac.files import read_json, write_json

#: In a preprocessed data set: which of its cases show the same image, and from which files this is known.
FILE_NAME = "repeated_images.json"

Groups = Mapping[str, str]
Pairs = Sequence[tuple[str, str]]


def patient_groups(pairs: Iterable[Sequence[str]], patients: Mapping[str, str]) -> dict[str, str]:
    """Gather the patients that share images, also by way of others.

    Args:
        pairs: Pairs of cases that show the same image.
        patients: Case -> patient; pairs with an unknown case are left out.

    Returns:
        Patient -> first name of its group, of the patients alone that share an image with another.
    """
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    for first, second in pairs:
        if first in patients and second in patients and patients[first] != patients[second]:
            one, other = sorted((find(patients[first]), find(patients[second])))
            root[other] = one
    return {name: find(name) for name in sorted(root)}


def members(groups: Groups) -> list[list[str]]:
    """Return the names of each group, sorted."""
    by_group: dict[str, list[str]] = {}
    for patient in sorted(groups):
        by_group.setdefault(groups[patient], []).append(patient)
    return [by_group[name] for name in sorted(by_group)]


def shown_groups(groups: Groups, most: int = 5) -> str:
    """Return `patient074 and patient076; p1, p2 and p3`, for messages."""
    named = [f"{', '.join(names[:-1])} and {names[-1]}" for names in members(groups)]
    return "; ".join(named[:most]) + ("; ..." if len(named) > most else "")


def write_pairs(preprocessed: Path, pairs: Pairs, files: Mapping[str, Sequence[int]]) -> None:
    """Note which cases show the same image.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        pairs: Pairs of cases.
        files: File -> size and time, to tell later whether the note still holds.
    """
    write_json(preprocessed / FILE_NAME, {"pairs": [list(pair) for pair in pairs], "files": dict(files)})


def read_pairs(preprocessed: Path, files: Mapping[str, Sequence[int]] | None = None) -> Pairs | None:
    """Read which cases show the same image.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        files: As in :func:`write_pairs`; None takes the note as it is.

    Returns:
        The pairs, or None if there is no such note, or only one of other files.
    """
    try:
        noted = read_json(preprocessed / FILE_NAME)
        pairs = [(str(first), str(second)) for first, second in noted["pairs"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it is only a note of what can be found again
    if files is not None and noted.get("files") != {name: list(facts) for name, facts in files.items()}:
        return None
    return pairs
