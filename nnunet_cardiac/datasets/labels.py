"""One order of label values for every data set, and label maps renumbered to it by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from nnunet_cardiac.anatomy import canonical_anatomy
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.label_values import IGNORE

#: Structures in the order of their values. ACDC's order, so models trained on ACDC read the others without a change.
PROJECT_ORDER = ("RV", "MYO", "LV", "LA")


def project_values(names: Iterable[str]) -> dict[str, int]:
    """Number structures from 1 without gaps: known anatomies in the project's order, then others as given.

    Args:
        names: Names; spellings of known anatomies become the canonical one. `background` is left out, and `ignore`
            comes last, as nnU-Net needs it.

    Returns:
        The `labels` of `dataset.json`, `background` first.
    """
    canonical = list(dict.fromkeys(canonical_anatomy(name) or name for name in names if name != "background"))
    ordered = [name for name in PROJECT_ORDER if name in canonical]
    ordered += [name for name in canonical if name not in (*PROJECT_ORDER, IGNORE)]
    ordered += [IGNORE] if IGNORE in canonical else []
    return {name: value for value, name in enumerate(["background", *ordered])}


def source_values(given: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """Check label values that a user gave: name -> value or list of values.

    Raises:
        UserError: If a value is no whole number, means two structures, or 0 for anything but the background.
    """
    values: dict[str, tuple[int, ...]] = {}
    owner: dict[int, str] = {}
    for name, entry in given.items():
        own = name.lower() in ("background", IGNORE)  # nnU-Net's names, which it writes in small letters
        canonical = name.lower() if own else canonical_anatomy(name) or name
        listed = tuple(entry) if isinstance(entry, (list, tuple)) else (entry,)
        for value in listed:
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise UserError(f"Labels: {name} has the value {value!r}; expected a whole number such as LV=3.")
            if owner.setdefault(value, canonical) != canonical or (value == 0 and canonical != "background"):
                other = owner[value] if owner[value] != canonical else "background"
                raise UserError(f"Labels: value {value} means {other} and {canonical}; expected one structure.")
        values[canonical] = values.get(canonical, ()) + listed
    if not set(values) - {"background", IGNORE}:
        raise UserError('Labels: no structure named; expected names and values such as {"LV": 1, "MYO": 2, "RV": 3}.')
    return values


def keep_structures(values: Mapping[str, tuple[int, ...]], wanted: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Make background of every structure but those wanted, such as LV and MYO for HALSR-Net.

    Args:
        values: Structure -> values in the source.
        wanted: Structures to keep, in any usual spelling.

    Returns:
        Structure -> values; those of the others are added to `background`.

    Raises:
        UserError: If none is wanted, or one is that the source does not have.
    """
    kept = {canonical_anatomy(name) or name for name in wanted}
    has = [name for name in values if name != "background"]
    if not kept or kept - set(has):
        raise UserError(
            f"--structures {' '.join(sorted(kept))}: expected some of {', '.join(has)}, which the label maps have."
        )
    rest = [value for name, listed in values.items() if name not in kept for value in listed]
    found = {name: values[name] for name in has if name in kept}
    return {"background": tuple(rest), **found} if rest else found


def renumber(
    labels: np.ndarray, source: Mapping[str, tuple[int, ...]], target: Mapping[str, int], where: str | Path
) -> np.ndarray:
    """Give each structure its value of the project.

    Args:
        labels: Label map in the values of the source, any shape.
        source: Structure -> values in the source.
        target: Structure -> value in the result.
        where: File, for the message.

    Returns:
        Label map of the same shape, uint8.

    Raises:
        UserError: If a value is unknown or no whole number.
    """
    result = np.zeros(labels.shape, np.uint8)
    known = labels == 0
    for name, values in source.items():
        chosen = np.isin(labels, values)
        result[chosen] = target[name]
        known |= chosen
    if not known.all():
        foreign = ", ".join(f"{value:g}" for value in np.unique(labels[~known])[:8])
        raise UserError(
            f"{where}: label values {foreign} found; expected {describe(source)}. Name them with --labels, or fix the "
            "file; fractions come from resampling without nearest neighbour."
        )
    return result


def describe(values: Mapping[str, tuple[int, ...]]) -> str:
    """Show label values: `0 background, 1 RV, 2 MYO, 3 LV`."""
    names = {0: "background"} | {value: name for name, listed in values.items() for value in listed}
    return ", ".join(f"{value} {names[value]}" for value in sorted(names))
