"""`nnunet_cardiac doctor`: is this machine ready, and if not, what to do."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING

from nnunet_cardiac.systems import TRAINERS

if TYPE_CHECKING:
    from nnunet_cardiac.checks.finding import Finding

HELP = "check the installation, the environment and, with --dataset, a raw data set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `doctor`."""
    parser.add_argument("-d", "--dataset", metavar="ID", help="number or name of a data set in nnUNet_raw to check too")
    parser.add_argument(
        "-tr", "--trainer", choices=tuple(TRAINERS), help="check that the data set names the anatomies of this trainer"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(args: argparse.Namespace) -> int:
    """Print every finding; 1 if one of them is a failure."""
    from nnunet_cardiac.checks.finding import Status

    findings = examine(args)
    if args.json:
        print(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        print("\n".join(map(str, findings)))
    return int(any(finding.status is Status.FAIL for finding in findings))


def examine(args: argparse.Namespace) -> list[Finding]:
    """Run every check; an unset option leaves the check out."""
    from nnunet_cardiac.checks import devices, folders, lookup, threads

    findings = [
        *_requirements(),
        *folders.check_folders(os.environ),
        *lookup.check_lookup(os.environ, tuple(TRAINERS)),
        *devices.check_devices(),
        *threads.check_threads(os.environ),
    ]
    if args.dataset is not None:
        required = TRAINERS[args.trainer].anatomies if args.trainer else ()
        findings += folders.check_dataset(os.environ, args.dataset, required, progress=not args.quiet)
    return findings


def _requirements() -> list[Finding]:
    from nnunet_cardiac.checks.finding import fail

    try:
        from nnunet_cardiac.checks.requirements import check_requirements
    except ModuleNotFoundError as error:  # the one package that reads version ranges may itself be missing
        return [fail(str(error.name), "not installed", f"pip install {error.name}")]
    return check_requirements()
