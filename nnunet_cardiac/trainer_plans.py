"""Several trainers in one plans file, without torch.

Trainers share configurations such as `2d_crop` by name, with networks, windows and first stages of their own. The entry
of the trainer that came first stays where nnU-Net looks for it and carries those of the others under `trainers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Owner of entries that do not say.
FIRST_TRAINER = "CroCNetTrainer"

#: Key of an entry in the plans of a result folder: the network that was trained, with what its trainer filled in.
RESOLVED = "resolved_architecture"

#: Keys of an entry: the trainer it was planned for, and the entries of other trainers.
_OWNER, _OTHERS = "planned_for", "trainers"


def put_entry(configurations: dict[str, Any], name: str, entry: Mapping[str, Any], trainer: str) -> None:
    """Enter a trainer's configuration, in place; entries that belong to other trainers stay.

    Args:
        configurations: Those of a plans file.
        name: Name of the configuration.
        entry: Its content.
        trainer: Name of the trainer.
    """
    entry = {**entry, _OWNER: trainer}
    current = configurations.get(name)
    if current is None:
        configurations[name] = entry
    elif current.get(_OWNER, FIRST_TRAINER) == trainer:
        kept = {key: current[key] for key in (_OTHERS, "next_stage") if current.get(key)}
        configurations[name] = {**entry, **kept}
    else:
        current.setdefault(_OTHERS, {})[trainer] = entry


def plans_for(trainers: Sequence[str], plans: Mapping[str, Any]) -> dict[str, Any]:
    """Return plans in which the configurations planned for a trainer are its own.

    Args:
        trainers: Name of the trainer, then of those that it derives from; the first that has an entry wins.
        plans: Content of a plans file; stays as it is.
    """
    configurations = dict(plans["configurations"])
    for name, entry in configurations.items():
        others = entry.get(_OTHERS, {})
        own = next((others[trainer] for trainer in trainers if trainer in others), entry)
        configurations[name] = {key: value for key, value in own.items() if key != _OTHERS}
        if entry.get("next_stage"):
            configurations[name]["next_stage"] = entry["next_stage"]
    return {**plans, "configurations": configurations}
