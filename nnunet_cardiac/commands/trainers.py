"""`nnunet_cardiac trainers`: what can be given to `-tr`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from nnunet_cardiac.systems import TRAINERS, TrainerFacts, system_of

HELP = "list the trainers of this package, their configurations and sizes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `trainers`."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(args: argparse.Namespace) -> int:
    """Print every trainer of the registry."""
    if args.json:
        print(json.dumps({name: _as_json(facts) for name, facts in TRAINERS.items()}, indent=2))
    else:
        print("\n\n".join(describe(facts) for facts in TRAINERS.values()))
    return 0


def describe(facts: TrainerFacts) -> str:
    """Return a few lines for a reader; parameters in millions."""
    width, system = max(map(len, facts.purposes)), system_of(facts.name)
    return "\n".join(
        [
            f"{facts.name}  ({system.title})",
            f"  paper        {system.paper}",
            f"  anatomies    {_anatomies(facts)}",
            "  parameters   " + ", ".join(f"{network} {size:g} M" for network, size in facts.parameters.items()),
            "  configurations",
            *(f"    {name:<{width}}  {purpose}" for name, purpose in facts.purposes.items()),
        ]
    )


def _as_json(facts: TrainerFacts) -> dict[str, Any]:
    """What a program may want to know of a trainer."""
    system = system_of(facts.name)
    return {
        "name": facts.name,
        "system": system.title,
        "paper": system.paper,
        "anatomies": list(facts.anatomies),
        "configurations": facts.purposes,
        "parameters": dict(facts.parameters),
        "optional": list(facts.optional),
    }


def _anatomies(facts: TrainerFacts) -> str:
    """Structures that a data set must name, and those that it may."""
    required = ", ".join(facts.anatomies) or "any"
    return required if not facts.optional else f"{required}, with or without {', '.join(facts.optional)}"
