"""Which structure has which number, from the options of a command or the `dataset.json` beside the label maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_cardiac.anatomy import canonical_anatomy
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import beside, read_json
from nnunet_cardiac.label_values import ignore_label, refuse_regions, structure_values


@dataclass(frozen=True)
class Labels:
    """What the values of label maps mean.

    Attributes:
        structures: Structure -> value, without the background.
        ignore: Value of voxels without a reference, or None if there are none.
    """

    structures: dict[str, int]
    ignore: int | None = None


def parse_labels(words: Sequence[str], option: str) -> Labels:
    """Read `RV=1 MYO=2 LV=3`, and `ignore=4` for voxels without a reference.

    Args:
        words: Arguments.
        option: Name of the option for messages.

    Raises:
        UserError: If a word has no name and number, or a name or number repeats.
    """
    labels: dict[str, int] = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name or not value.isdecimal():
            raise UserError(f"{option}: {word!r} is no NAME=NUMBER; write for example {option} RV=1 MYO=2 LV=3.")
        if name in labels or int(value) in labels.values():
            raise UserError(f"{option}: {word!r} repeats a name or a number; give each structure one number.")
        labels[name] = int(value)
    return _checked(labels, option)


def find_dataset_json(folder: Path) -> Path | None:
    """`dataset.json` in a folder of label maps (as nnU-Net's predictions have) or beside it (as `labelsTr` has)."""
    return next((path for where in (folder, beside(folder)) if (path := where / "dataset.json").is_file()), None)


def read_labels(path: Path) -> Labels:
    """Structures and ignore label of a `dataset.json`.

    Raises:
        UserError: If the file cannot be read or has no labels.
    """
    try:
        labels = read_json(path)["labels"]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: expected nnU-Net's dataset.json with an entry `labels` ({error!r}).") from error
    if not isinstance(labels, Mapping):
        raise UserError(f"{path}: `labels` is {labels!r}; expected names and values.")
    return _checked(labels, str(path))


def _checked(labels: Mapping[str, int], where: str) -> Labels:
    """Structures in the order of their numbers.

    Known anatomies take their canonical name (`LV`, `MYO`, `RV`, `LA`), others keep their own.

    Raises:
        UserError: If a value is no whole number from 0 to 255, two names mean one structure, or there is none.
    """
    refuse_regions(labels, where)
    if not all(0 <= value < 256 for value in labels.values()):
        raise UserError(f"{where}: labels {dict(labels)}; expected whole numbers from 0 to 255.")
    found: dict[str, int] = {}
    for name, value in sorted(structure_values(labels).items(), key=lambda item: item[1]):
        structure = canonical_anatomy(name) or name
        if structure in found:
            raise UserError(f"{where}: {structure} is named twice in {dict(labels)}; keep one.")
        found[structure] = value
    if not found:
        raise UserError(f"{where}: labels {dict(labels)} name no structure besides the background.")
    return Labels(found, ignore_label(labels))
