"""`nnunet_cardiac trainers`: what can be given to `-tr`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from nnunet_cardiac.anatomy import TRAINERS, TrainerFacts

HELP = "list the trainers of this package, their configurations and sizes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `trainers`."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(args: argparse.Namespace) -> int:
    """Print every trainer of the registry."""
    if args.json:
        print(json.dumps({name: asdict(facts) for name, facts in TRAINERS.items()}, indent=2))
    else:
        print("\n\n".join(describe(facts) for facts in TRAINERS.values()))
    return 0


def describe(facts: TrainerFacts) -> str:
    """Return a few lines for a reader; parameters in millions."""
    width = max(map(len, facts.configurations))
    return "\n".join(
        [
            f"{facts.name}  ({facts.system})",
            f"  paper        {facts.paper}",
            f"  anatomies    {_anatomies(facts)}",
            "  parameters   " + ", ".join(f"{network} {size:g} M" for network, size in facts.parameters.items()),
            "  configurations",
            *(f"    {name:<{width}}  {purpose}" for name, purpose in facts.configurations.items()),
        ]
    )


def _anatomies(facts: TrainerFacts) -> str:
    """Structures that a data set must name, and those that it may."""
    required = ", ".join(facts.anatomies) or "any"
    return required if not facts.optional else f"{required}, with or without {', '.join(facts.optional)}"
