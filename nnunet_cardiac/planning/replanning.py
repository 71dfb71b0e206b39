"""Plan again without losing what a user wrote.

`plan` notes in each entry what it wrote and for which options, under `planned`. When it runs again, a value that still
is what was noted follows the new plan; one that is not is the user's and stays. An entry without a note was planned by
an earlier version: all that it says counts as the user's. An option that is given on the command line decides its own
values whoever wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: Key of an entry for the note; nnU-Net hands nothing of it to a network.
NOTE = "planned"

#: Keys of an entry that are no part of a plan: links, entries of other trainers, the note. Data folders are renamed by
#: nnU-Net when plans are moved, so the one in the file counts.
_APART = ("next_stage", "trainers", "planned_for", NOTE, "data_identifier")

#: Keys that belong to the class of a network: together they are the user's or not.
_OF_A_NETWORK = ("network_class_name", "arch_kwargs", "network_kwargs", "_kw_requires_import")

Path = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A value of an entry that planning changed, or that it left although it would have written another.

    Attributes:
        configuration: Name of the configuration.
        path: Keys from the entry down to the value.
        old: Value before, None if there was none.
        new: Value now, or the one that was not written.
    """

    configuration: str
    path: Path
    old: Any
    new: Any

    @property
    def place(self) -> str:
        """Configuration and keys: `2d_crop: architecture.arch_kwargs.window`."""
        return f"{self.configuration}: {'.'.join(self.path)}"


def planned_values(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what `plan` noted as written by itself or by nnU-Net; empty without a note."""
    return entry.get(NOTE, {}).get("values", {})


def planned_options(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options for which an entry was planned; those that were not given are not among them."""
    return entry.get(NOTE, {}).get("options", {})


def planned_kind(entry: Mapping[str, Any]) -> str | None:
    """Return the kind of plans for which an entry was made (`Small`, ... or an empty string), None without a note."""
    return entry[NOTE].get("kind", "") if "options" in entry.get(NOTE, {}) else None


def noted(entry: Mapping[str, Any], fresh: Mapping[str, Any], options: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return an entry with a note of what was planned.

    Args:
        entry: As it goes to the file.
        fresh: As it was planned, without the user's changes.
        options: For which it was planned.
        kind: Of the plans.
    """
    values = {key: value for key, value in as_json(fresh).items() if key not in _APART}
    return {**entry, NOTE: {"options": dict(options), "kind": kind, "values": values}}


def with_noted_batch(entry: dict[str, Any]) -> None:
    """Note the batch size of a configuration of nnU-Net's, in place, so that a later change is known to be the user's.

    Args:
        entry: Of `2d` or `3d_fullres`; one that has a note stays as it is.
    """
    if NOTE not in entry and "batch_size" in entry:
        entry[NOTE] = {"values": {"batch_size": entry["batch_size"]}}


def as_json(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a JSON file would hold: lists for tuples."""
    return json.loads(json.dumps(entry))


def replanned(current: Mapping[str, Any], fresh: Mapping[str, Any], decided: Collection[Path] = ()) -> dict[str, Any]:
    """Put a new plan and the user's own values together.

    Args:
        current: Entry in the file, with its note.
        fresh: New plan of it.
        decided: Keys of values that options on the command line decide.

    Returns:
        The entry without a note.
    """
    own = {key: value for key, value in current.items() if key != NOTE}
    merged = _merged(own, planned_values(current), as_json(fresh), set(decided), ())
    for key in ("next_stage", "trainers"):  # the file's are entered again with the entry
        merged.pop(key, None)
    return {**merged, "next_stage": fresh["next_stage"]} if "next_stage" in fresh else merged


def _merged(
    current: Mapping[str, Any], noted: Mapping[str, Any], fresh: Mapping[str, Any], decided: set[Path], place: Path
) -> dict[str, Any]:
    whole = _OF_A_NETWORK if _has_own_network(current, noted, fresh) else ()
    out = {}
    for key in [*fresh, *(key for key in current if key not in fresh)]:
        path = (*place, key)
        if path in decided:
            chosen = fresh
        elif key in whole:
            chosen = current
        elif isinstance(current.get(key), dict) and isinstance(fresh.get(key), dict):
            before = noted.get(key)
            out[key] = _merged(current[key], before if isinstance(before, dict) else {}, fresh[key], decided, path)
            continue
        elif key in current:
            chosen = fresh if key in noted and noted[key] == current[key] else current
        else:
            chosen = current if key in noted else fresh  # taken out by the user, or new
        if key in chosen:
            out[key] = chosen[key]
    return out


def _has_own_network(current: Mapping[str, Any], noted: Mapping[str, Any], fresh: Mapping[str, Any]) -> bool:
    """Whether a user chose another class of network, whose arguments are the user's, too, and get no others."""
    key = "network_class_name"
    return key in current and current[key] not in (noted.get(key), fresh.get(key))


def changes(configuration: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield every value of an entry that differs, key by key.

    Args:
        configuration: Name of the configuration.
        old: Entry before.
        new: Entry now.
    """
    before, now = (dict(_leaves(entry, ())) for entry in (old, new))
    for path in [*before, *(path for path in now if path not in before)]:
        if path[0] not in _APART[:-1] and before.get(path) != now.get(path):
            yield Change(configuration, path, before.get(path), now.get(path))


def _leaves(entry: Mapping[str, Any], place: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in entry.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*place, key))
        else:
            yield (*place, key), value
