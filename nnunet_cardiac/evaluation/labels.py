"""Which structure has which number, from the options of a command or the `dataset.json` beside the label maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.registry import canonical_anatomy


def parse_labels(words: Sequence[str], option: str) -> dict[str, int]:
    """Read `RV=1 MYO=2 LV=3`.

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
    return structure_labels(labels, option)


def find_dataset_json(folder: Path) -> Path | None:
    """`dataset.json` in a folder of label maps (as nnU-Net's predictions have) or beside it (as `labelsTr` has)."""
    return next((path for path in (folder / "dataset.json", folder.parent / "dataset.json") if path.is_file()), None)


def read_labels(path: Path) -> dict[str, int]:
    """Structures of a `dataset.json`.

    Raises:
        UserError: If the file cannot be read or has no labels.
    """
    try:
        labels = read_json(path)["labels"]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: expected nnU-Net's dataset.json with an entry `labels` ({error!r}).") from error
    return structure_labels(labels, str(path))


def structure_labels(labels: Mapping[str, object], where: str) -> dict[str, int]:
    """Structures without the background, in the order of their numbers.

    Known anatomies take their canonical name (`LV`, `MYO`, `RV`, `LA`), others keep their own.

    Raises:
        UserError: If a value is no whole number from 0 to 255 or two names mean one structure.
    """
    if not isinstance(labels, Mapping) or not all(type(v) is int and 0 <= v < 256 for v in labels.values()):
        raise UserError(f"{where}: labels {labels} must be whole numbers from 0 to 255; regions are not supported.")
    found: dict[str, int] = {}
    for name, value in sorted(labels.items(), key=lambda item: item[1]):
        if value == 0 or name == "ignore":
            continue
        structure = canonical_anatomy(name) or name
        if structure in found:
            raise UserError(f"{where}: {structure} is named twice in {dict(labels)}; keep one.")
        found[structure] = value
    if not found:
        raise UserError(f"{where}: labels {dict(labels)} name no structure besides the background.")
    return found
