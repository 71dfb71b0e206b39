"""Several trainers in one plans file, without torch.

Trainers share configurations such as `2d_crop` by name, with networks, windows and first stages of their own. The entry
of the trainer that came first stays where nnU-Net looks for it and carries those of the others under `trainers`.

A `recipe` belongs to the configuration and the trainer it was written for:

* A configuration that `plan` wrote takes no recipe from the one whose data it shares. One that a user added takes that
  of its parent, as everything else.
* nnU-Net's own `2d` and `3d_fullres` say of no trainer that they are its own. Their recipe is that of the first system
  of the registry that trains them and is planned in the file; if none is planned, of whoever trains them. Another
  system has its own under `trainers`, where what differs is enough.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.planning.links import link, link_followers
from nnunet_cardiac.systems import FIRST_TRAINER, TRAINERS
from nnunet_cardiac.systems.recipe import PLANS_KEY

#: Key of an entry in the plans of a result folder: the network that was trained, with what its trainer filled in.
RESOLVED = "resolved_architecture"

#: Keys of an entry: the trainer it was planned for, and the entries of other trainers.
OWNER, OTHERS = "planned_for", "trainers"


def put_entry(configurations: dict[str, Any], name: str, entry: Mapping[str, Any], trainer: str) -> None:
    """Enter a trainer's configuration, in place; entries that belong to other trainers stay.

    Args:
        configurations: Those of a plans file.
        name: Name of the configuration.
        entry: Its content.
        trainer: Name of the trainer.
    """
    entry = {**entry, OWNER: trainer}
    current = configurations.get(name)
    if current is None:
        configurations[name] = entry
    elif current.get(OWNER, FIRST_TRAINER) == trainer:
        kept = {key: current[key] for key in (OTHERS, "next_stage") if current.get(key)}
        configurations[name] = {**entry, **kept}
    else:
        current.setdefault(OTHERS, {})[trainer] = entry


def with_configurations(
    plans: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]], trainer: str = FIRST_TRAINER
) -> dict[str, Any]:
    """Return plans with a trainer's configurations added or replaced, and their first stages pointing at them.

    Args:
        plans: Content of a plans file; stays as it is.
        entries: Configuration name -> entry; cropping ones have a `previous_stage`.
        trainer: Trainer they are for. Entries of the same name that are another trainer's stay.

    Returns:
        New plans. Adding the same entries again changes nothing.

    Raises:
        UserError: If a previous stage is not in the plans.
    """
    new = copy.deepcopy(dict(plans))
    configurations = new["configurations"]
    for name, entry in entries.items():
        put_entry(configurations, name, copy.deepcopy(dict(entry)), trainer)
        coarse = entry.get("previous_stage")
        if coarse is None:
            continue
        if coarse not in configurations:
            raise UserError(
                f"plans {plans.get('plans_name')!r}: configuration {coarse!r}, the first stage of {name!r}, is "
                f"missing; it has {', '.join(configurations)}. Plan it first: nnUNetv2_plan_experiment"
            )
        link(configurations[coarse], name)
    return new


def planned_entry(configurations: Mapping[str, Any], name: str, trainer: str) -> dict[str, Any] | None:
    """Return the entry that was planned for a trainer, as it is in the file, or None.

    Args:
        configurations: Those of a plans file.
        name: Name of the configuration.
        trainer: Name of the trainer.
    """
    entry = configurations.get(name)
    if entry is None:
        return None
    if trainer in entry.get(OTHERS, {}):
        return entry[OTHERS][trainer]
    owner = entry.get(OWNER, FIRST_TRAINER if is_derived(entry) else None)
    return {key: value for key, value in entry.items() if key != OTHERS} if owner == trainer else None


def is_derived(entry: Mapping[str, Any]) -> bool:
    """Whether a configuration derives from another one; nnU-Net's own do not."""
    return "inherits_from" in entry


def planned_trainers(configurations: Mapping[str, Any]) -> list[str]:
    """Return the trainers for which configurations of a file were planned, in the order of the registry."""
    owners = set()
    for entry in configurations.values():
        owners |= set(entry.get(OTHERS, {})) | {entry.get(OWNER)}
    if any(_of_an_early_version(name, entry) for name, entry in configurations.items()):
        owners.add(FIRST_TRAINER)
    return [trainer for trainer in TRAINERS if trainer in owners]


def _of_an_early_version(name: str, entry: Mapping[str, Any]) -> bool:
    """Whether an entry was planned before entries named their trainer."""
    return is_derived(entry) and OWNER not in entry and TRAINERS[FIRST_TRAINER].find(name) is not None


def plans_for(trainers: Sequence[str], plans: Mapping[str, Any]) -> dict[str, Any]:
    """Return plans in which the configurations planned for a trainer are its own.

    First stages point at every configuration that crops from them, whether `plan` has linked it or not.

    Args:
        trainers: Name of the trainer, then of those that it derives from; the first that has an entry wins.
        plans: Content of a plans file; stays as it is.
    """
    picked = entries_for(trainers, plans["configurations"])
    for name, entry in picked.items():
        if foreign_recipe(trainers, plans, name) is not None:
            entry.pop(PLANS_KEY, None)
        if PLANS_KEY not in entry and _is_planned(name, entry):
            entry[PLANS_KEY] = {}  # or nnU-Net would put that of the parent here
    link_followers(picked)
    return {**plans, "configurations": picked}


def entries_for(trainers: Sequence[str], configurations: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return configurations as they are in the file, those planned for a trainer in its own version.

    Args:
        trainers: Name of the trainer, then of those that it derives from; the first that has an entry wins.
        configurations: Those of a plans file; they stay as they are.
    """
    return {name: _picked(trainers, entry) for name, entry in configurations.items()}


def _picked(trainers: Sequence[str], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Entry of a configuration for a trainer, without those of the others."""
    others = entry.get(OTHERS, {})
    trainer = next((name for name in trainers if name in others), None)
    if trainer is None:
        return {key: value for key, value in entry.items() if key != OTHERS}
    own = dict(others[trainer])
    if not is_derived(own):  # one of nnU-Net's own configurations, or what a user wrote: the difference may be all
        own = {**{key: value for key, value in entry.items() if key not in (OTHERS, OWNER, PLANS_KEY)}, **own}
        own |= {OWNER: trainer} if OWNER in entry else {}
    if entry.get("next_stage"):
        own["next_stage"] = entry["next_stage"]
    return with_data_of(entry, own)


def with_data_of(entry: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trainer's entry with the preprocessed data of the configuration.

    nnU-Net preprocesses what the configuration says and knows nothing of entries within. When plans are moved to
    another data set or name, it renames the data of the configurations alone.

    Args:
        entry: Of the configuration.
        own: Of one trainer within it.
    """
    kept = {key: value for key, value in own.items() if key != "data_identifier"}
    return {**kept, "data_identifier": entry["data_identifier"]} if "data_identifier" in entry else kept


def _is_planned(name: str, entry: Mapping[str, Any]) -> bool:
    """Whether `plan` wrote a configuration that derives from another one."""
    return is_derived(entry) and (OWNER in entry or _of_an_early_version(name, entry))


def foreign_recipe(trainers: Sequence[str], plans: Mapping[str, Any], name: str) -> str | None:
    """Return the trainer to which the recipe of a configuration belongs, if it is another one than asked for.

    Args:
        trainers: Name of the trainer, then of those that it derives from.
        plans: Content of a plans file, with the entries of all trainers.
        name: Configuration.
    """
    entry = plans["configurations"].get(name, {})
    asking = next((trainer for trainer in trainers if trainer in TRAINERS), None)
    within = next((trainer for trainer in trainers if trainer in entry.get(OTHERS, {})), None)
    read = entry if within is None else entry[OTHERS][within]
    if asking is None or not read.get(PLANS_KEY):
        return None
    owner = within or entry.get(OWNER)
    if owner is None and not is_derived(entry):
        planned = planned_trainers(plans["configurations"])
        owner = next((trainer for trainer in planned if TRAINERS[trainer].find(name) is not None), None)
    return owner if owner in TRAINERS and owner != asking else None
