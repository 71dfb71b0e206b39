"""Plans that `plan` writes under a name of their own (`Small`, `Short`, `Paper`), and how it knows them again."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.checks.plans import check_plans
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.planning.options import KINDS
from nnunet_cardiac.planning.replanning import planned_kind
from nnunet_cardiac.planning.shared_plans import OTHERS, OWNER, planned_entry
from nnunet_cardiac.systems.recipe import PLANS_KEY
from nnunet_cardiac.workflow.folders import dataset_number


@dataclass(frozen=True)
class Target:
    """The plans that are written and those they derive from.

    Attributes:
        path: File that is written.
        kind: One of `KINDS`, or empty for configurations that are added to nnU-Net's own plans.
        plans: Content to add to: that of the file, or of the source under the new name.
        source: Content of the plans to derive from; that of the file itself where nothing else is known.
    """

    path: Path
    kind: str
    plans: dict[str, Any]
    source: dict[str, Any]

    @property
    def derives_from_itself(self) -> bool:
        """Whether plans of a kind are planned again and those they came from are not there."""
        return bool(self.kind) and self.source["plans_name"] == self.plans["plans_name"]

    @property
    def data_prefix(self) -> str:
        """Start of the names of data folders that are shared with the source."""
        name = self.source["plans_name"]
        return name.removesuffix(self.kind) if self.derives_from_itself else name


def find_target(preprocessed: Path, plans_name: str, asked: str, base: str) -> Target:
    """Find out which plans to write.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        plans_name: Name of the plans file that the user gave, without ending.
        asked: Kind that the user asked for, or empty.
        base: Configuration of nnU-Net's that has to be planned, for the message.

    Raises:
        UserError: If there is no such file, it is of another kind than asked for, or no plans of nnU-Net v2.
    """
    path = preprocessed / f"{plans_name}.json"
    if not path.is_file():
        raise UserError(
            f"{path}: no such plans file. Plan and preprocess first: "
            f"nnUNetv2_plan_and_preprocess -d {dataset_number(preprocessed)} -c {base}"
        )
    given = _read(path)
    kind = kind_of(given)
    if kind and asked and asked != kind:
        raise UserError(
            f"{path}: these are plans of --{kind.lower()}, and --{asked.lower()} starts from nnU-Net's own. Give "
            f"-p {plans_name.removesuffix(kind)}, or leave --{asked.lower()} out to plan these again."
        )
    if kind:
        return Target(path, kind, copy.deepcopy(given), _source_of(given, path, kind))
    if not asked:
        return Target(path, "", copy.deepcopy(given), given)
    derived = path.with_name(f"{given['plans_name']}{asked}.json")
    plans = _read(derived) if derived.is_file() else {**copy.deepcopy(given), "plans_name": derived.stem}
    return Target(derived, asked, plans, given)


def _read(path: Path) -> dict[str, Any]:
    plans = read_json(path)
    check_plans(plans, path)
    return plans


def _source_of(plans: Mapping[str, Any], path: Path, kind: str) -> dict[str, Any]:
    """Plans from which others of a kind were made, if they are still there and of the same data; else these."""
    source = path.with_name(f"{path.stem.removesuffix(kind)}.json")
    if source != path and source.is_file():
        found = _read(source)
        if _data_of(found) == _data_of(plans):
            return found
    return dict(plans)


def _data_of(plans: Mapping[str, Any]) -> Any:
    return plans["configurations"]["2d"].get("data_identifier")


def kind_of(plans: Mapping[str, Any]) -> str:
    """Return the kind of plans: what their entries say or, of plans of an earlier version, name and recipes."""
    kinds = [planned_kind(entry) for entry in _entries(plans)]
    known = next((kind for kind in kinds if kind), None)
    if known is not None:
        return known
    ending = next((kind for kind in KINDS if str(plans.get("plans_name", "")).endswith(kind)), "")
    early = any(kind is None and PLANS_KEY in entry for kind, entry in zip(kinds, _entries(plans), strict=True))
    return ending if early else ""


def _entries(plans: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Entries that `plan` wrote, of all trainers."""
    for entry in plans["configurations"].values():
        yield from (other for other in (entry, *entry.get(OTHERS, {}).values()) if OWNER in other)


def current_entries(target: Target, trainer: str) -> dict[str, dict[str, Any]]:
    """Return the entries of a trainer in the plans that are written; those of another kind are planned anew.

    Args:
        target: The plans.
        trainer: Name of the trainer.
    """
    configurations = target.plans["configurations"]
    entries = ((name, planned_entry(configurations, name, trainer)) for name in configurations)
    return {name: entry for name, entry in entries if entry is not None and _kind_of(entry, target) == target.kind}


def _kind_of(entry: Mapping[str, Any], target: Target) -> str:
    """Kind of an entry; one of an earlier version has a recipe of its own if it is of a kind."""
    kind = planned_kind(entry)
    if kind is not None:
        return kind
    return target.kind if PLANS_KEY in entry else ""
