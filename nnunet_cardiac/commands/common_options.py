"""The options that every command and every action of `benchmark` takes."""

from __future__ import annotations

import argparse

DEBUG_VARIABLE = "NNUNET_CARDIAC_DEBUG"


def common_options() -> argparse.ArgumentParser:
    """Return a new parent parser with the common options, which may come before or after the name of a command."""
    # SUPPRESS: a subparser's default would otherwise overwrite what was given before the subcommand. A new parser for
    # each use, because `set_defaults` changes the options it finds.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--quiet", action="store_true", help="log warnings and errors only")
    common.add_argument("--debug", action="store_true", help=f"log more, show tracebacks (also {DEBUG_VARIABLE}=1)")
    return common
