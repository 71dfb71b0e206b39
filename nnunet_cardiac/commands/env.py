"""`nnunet_cardiac env`: the shell lines that let stock nnU-Net commands find this package's trainers."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from nnunet_cardiac.workflow.environment import EXTERNAL_TRAINERS, NNUNET_FOLDERS, with_trainers

HELP = "print the environment variables that nnU-Net needs, for a shell to evaluate"

_logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `env`."""
    parser.epilog = 'bash, zsh: eval "$(nnunet_cardiac env)"   fish: nnunet_cardiac env --shell fish | source'
    parser.add_argument(
        "--base", type=Path, metavar="FOLDER", help="put nnU-Net's three folders below this one where they are not set"
    )
    parser.add_argument(
        "--shell",
        choices=("bash", "fish", "powershell"),
        default="powershell" if os.name == "nt" else "bash",
        help="syntax of the lines (default: %(default)s; zsh reads bash)",
    )


def run(args: argparse.Namespace) -> int:
    """Print one line a variable."""
    for name, value in variables(os.environ, args.base).items():
        print(export_line(args.shell, name, value))
    unset = [name for name in NNUNET_FOLDERS if not os.environ.get(name)]
    if unset and args.base is None:
        _logger.warning("%s not set; add --base FOLDER to set them below one folder.", ", ".join(unset))
    return 0


def variables(environ: Mapping[str, str], base: Path | None = None) -> dict[str, str]:
    """Return the variables to set, name -> value; folders that `environ` already sets are left alone."""
    found = {EXTERNAL_TRAINERS: with_trainers(environ)[EXTERNAL_TRAINERS]}
    if base is not None:
        root = base.expanduser().resolve()
        found |= {name: str(root / name) for name in NNUNET_FOLDERS if not environ.get(name)}
    return found


def export_line(shell: str, name: str, value: str) -> str:
    """Return the line that sets a variable, with the value quoted so that the shell takes it literally."""
    if shell == "fish":
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}'"
    if shell == "powershell":
        escaped = value.replace("'", "''")
        return f"$env:{name} = '{escaped}'"
    return f"export {name}={shlex.quote(value)}"
