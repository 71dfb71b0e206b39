"""Which configuration of a plans file crops from which, and the links that nnU-Net needs for it.

A first stage writes coarse predictions for the configurations in its `next_stage`, so one that only names its
`previous_stage`, or inherits it, would never get any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def resolved_entry(configurations: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration with everything that it inherits, as nnU-Net puts it together.

    A parent that does not exist, or that inherits from the configuration, gives nothing; `check_plans` refuses both.

    Args:
        configurations: Those of a plans file.
        name: Which one.
    """
    merged: dict[str, Any] = {}
    for ancestor in reversed(list(ancestry(configurations, name))):
        merged |= configurations[ancestor]
    return merged


def ancestry(configurations: Mapping[str, Any], name: str | None) -> Iterator[str]:
    """Yield a configuration, the one that it inherits from, and so on; those that are not there end it.

    Args:
        configurations: Those of a plans file.
        name: Where to start.
    """
    seen: set[str] = set()
    while name is not None and name in configurations and name not in seen:
        yield name
        seen.add(name)
        name = configurations[name].get("inherits_from")


def missing_links(configurations: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield first stage and follower of every link that is not there.

    Args:
        configurations: Those of a plans file, as one trainer sees them.
    """
    for name in configurations:
        coarse = resolved_entry(configurations, name).get("previous_stage")
        if (
            coarse is not None
            and coarse in configurations
            and coarse != name
            and name not in followers(configurations[coarse])
        ):
            yield coarse, name


def followers(entry: Mapping[str, Any]) -> list[str]:
    """Return the configurations for which a first stage predicts; nnU-Net takes a name or a list of names."""
    following = entry.get("next_stage") or []
    return [following] if isinstance(following, str) else list(following)


def link(coarse: dict[str, Any], follower: str) -> None:
    """Enter a follower into the `next_stage` of a first stage, in place."""
    following = followers(coarse)
    if follower not in following:
        following.append(follower)
    coarse["next_stage"] = following[0] if len(following) == 1 else following


def link_followers(configurations: Mapping[str, dict[str, Any]]) -> None:
    """Add the links that are missing, in place, and take out those to configurations that are not there any more.

    Args:
        configurations: Those of a plans file, as one trainer sees them.
    """
    for coarse, follower in list(missing_links(configurations)):
        link(configurations[coarse], follower)
    for coarse in configurations:
        unlink_missing(configurations, coarse)


def unlink_missing(configurations: Mapping[str, dict[str, Any]], coarse: str) -> list[str]:
    """Take followers out of a first stage that are not in the plans, in place, and return them.

    nnU-Net would stop at them after the training, when it predicts for the next stages.

    Args:
        configurations: Those of a plans file.
        coarse: The first stage.
    """
    following = followers(configurations[coarse])
    gone = [name for name in following if name not in configurations]
    if gone:
        left = [name for name in following if name in configurations]
        configurations[coarse]["next_stage"] = (left[0] if len(left) == 1 else left) if left else None
    return gone
