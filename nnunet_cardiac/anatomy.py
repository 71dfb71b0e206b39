"""Names of anatomies.

Data sets number the anatomies differently (ACDC: 1 RV, 2 MYO, 3 LV; M&Ms: 1 LV, 2 MYO, 3 RV), so every part of this
package looks a structure up by name with :func:`anatomy_labels` and never by number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.label_values import check_ignore_is_highest, refuse_regions, structure_values

#: Canonical name -> accepted spellings (compared in lower case without blanks, dashes and underscores).
ANATOMIES: dict[str, tuple[str, ...]] = {
    "LV": ("lv", "lvc", "lvbp", "lvcavity", "lvbloodpool", "leftventricle", "leftventricularcavity", "lvendo"),
    "MYO": ("myo", "mlv", "lvm", "lvmyo", "lvmyocardium", "myocardium", "leftventricularmyocardium", "lvwall"),
    "RV": ("rv", "rvc", "rvbp", "rvcavity", "rvbloodpool", "rightventricle", "rightventricularcavity"),
    "LA": ("la", "leftatrium", "lacavity", "leftatrialcavity", "laendo"),
}


def canonical_anatomy(name: str) -> str | None:
    """Return the canonical name of a label, or None if it is no known anatomy."""
    key = "".join(c for c in name.lower() if c.isalnum())
    return next((anatomy for anatomy, spellings in ANATOMIES.items() if key in spellings), None)


def anatomy_labels(labels: Mapping[str, Any], required: Iterable[str] = ()) -> dict[str, int]:
    """Map canonical anatomy names to label values.

    Args:
        labels: The `labels` entry of a `dataset.json`, name -> value.
        required: Canonical names that must be there.

    Returns:
        Canonical name -> label value, in the order of the values.

    Raises:
        UserError: If values are not consecutive integers from 0, a name is unknown, a structure is named twice, a
            required one is missing, or nnU-Net's `ignore` is not the highest value.
    """
    refuse_regions(labels, "dataset.json")
    shown = ", ".join(f"{name}: {value}" for name, value in labels.items())
    values = sorted(labels.values())
    if values != list(range(len(values))):
        raise UserError(
            f"dataset.json: label values {values} have gaps or repeat; nnU-Net needs 0, 1, 2, ... without gaps. "
            "Renumber the label files and dataset.json."
        )
    check_ignore_is_highest(labels, "dataset.json")
    found: dict[str, int] = {}
    for name, value in sorted(structure_values(labels).items(), key=lambda item: item[1]):
        anatomy = canonical_anatomy(name)
        if anatomy is None:
            raise UserError(
                f"dataset.json: label name {name!r} is no known anatomy; expected one of {', '.join(ANATOMIES)} or a "
                f"spelling such as {ANATOMIES['LV'][5]!r}. Rename it in dataset.json (values stay as they are)."
            )
        if anatomy in found:
            raise UserError(f"dataset.json: {anatomy} is named twice in {{{shown}}}; keep one.")
        found[anatomy] = value
    missing = [anatomy for anatomy in required if anatomy not in found]
    if missing:
        raise UserError(
            f"dataset.json: labels {{{shown}}} do not name {', '.join(missing)}; this system needs "
            f"{', '.join(required)}. Name the structures in dataset.json, or use another trainer."
        )
    return found
