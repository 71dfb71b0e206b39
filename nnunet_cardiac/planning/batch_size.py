"""Which batch size a configuration is trained with: what the user wrote, or the recipe of the trainer.

nnU-Net's planner writes a `batch_size` into every configuration that it plans, made for its own networks. So it is the
user's only where nnU-Net or `plan` wrote another number, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnunet_cardiac.planning.links import ancestry
from nnunet_cardiac.planning.replanning import planned_values
from nnunet_cardiac.planning.shared_plans import OWNER, is_derived
from nnunet_cardiac.systems.recipe import PLANS_KEY

_KEY = "batch_size"

#: What `plan` wrote into configurations of whole stacks before it noted what it wrote.
_OF_EARLY_STACKS = 1


def batch_size_for(plans: Mapping[str, Any], configuration: str, usual: int | None, planned: int) -> tuple[int, str]:
    """Return the batch size to train with, and where it comes from.

    Args:
        plans: As one trainer sees them, see :func:`nnunet_cardiac.planning.shared_plans.plans_for`.
        configuration: Its name.
        usual: `batch_size` of the trainer's recipe with the changes of the plans; None leaves it to the plans.
        planned: `batch_size` of the configuration with all that it inherits.

    Returns:
        Samples per step, and the reason for the log.
    """
    name = plans.get("plans_name", "plans")
    chosen = users_batch_size(plans["configurations"], configuration)
    if _of_the_plans_recipe(plans["configurations"], configuration) and usual is not None:
        ignored = "" if chosen is None else f", which goes before {_KEY} {chosen[0]} of {chosen[1]}"
        return usual, f"{PLANS_KEY}.{_KEY} of {configuration} in {name}.json{ignored}"
    if chosen is not None:
        return chosen[0], f"{_KEY} of {chosen[1]} in {name}.json"
    if usual is None:
        return planned, f"nnU-Net's {_KEY} in {name}.json; the recipe has none"
    ignored = "" if usual == planned else f"; {_KEY} {planned} in {name}.json is what nnU-Net planned for its networks"
    return usual, f"the trainer's recipe{ignored}, {PLANS_KEY}.{_KEY} would change it"


def _of_the_plans_recipe(configurations: Mapping[str, Any], name: str | None) -> bool:
    """Whether the recipe that a configuration has or inherits says a batch size."""
    with_recipe = (one for one in ancestry(configurations, name) if PLANS_KEY in configurations[one])
    nearest = next(with_recipe, None)
    return nearest is not None and _KEY in configurations[nearest][PLANS_KEY]


def users_batch_size(configurations: Mapping[str, Any], name: str | None) -> tuple[int, str] | None:
    """Return the batch size that a user wrote into a configuration, and the configuration; None if there is none.

    A configuration that a user added inherits it from its parent; one that `plan` wrote does not, its parent is there
    for the data.

    Args:
        configurations: Those of a plans file, as one trainer sees them.
        name: Which one.
    """
    for one in ancestry(configurations, name):
        entry = configurations[one]
        if _KEY in entry and not _was_planned(entry):
            return entry[_KEY], one
        if not is_derived(entry) or OWNER in entry:
            return None
    return None


def _was_planned(entry: Mapping[str, Any]) -> bool:
    """Whether the batch size of an entry is what nnU-Net or `plan` wrote."""
    noted = planned_values(entry)
    if _KEY in noted:
        return entry[_KEY] == noted[_KEY]
    if not is_derived(entry):
        return True  # nnU-Net writes one, and nobody has noted which
    return OWNER in entry and not noted and entry[_KEY] == _OF_EARLY_STACKS
