"""`nnunet_cardiac train`: nnU-Net's own training command with the environment set, one stage or all of them."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_cardiac.commands.argument_types import fold, positive
from nnunet_cardiac.devices import choose_device, thread_variables
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import FIRST_TRAINER
from nnunet_cardiac.workflow.folders import find_dataset

if TYPE_CHECKING:
    from nnunet_cardiac.planning.stages import TrainingSetup

logger = logging.getLogger(__name__)

HELP = "train with nnU-Net's own command, one stage or all stages"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `train`."""
    parser.epilog = "Each nnUNetv2_train command is printed before it runs; it works alone after `nnunet_cardiac env`."
    parser.add_argument("-d", required=True, metavar="DATASET", help="number or name of the data set")
    parser.add_argument("-c", default="2d", metavar="CONFIGURATION", help="configuration in the plans (%(default)s)")
    parser.add_argument(
        "-f",
        nargs="+",
        type=fold,
        default=["0"],
        metavar="FOLD",
        help="folds of splits_final.json, or all: one network trained on all cases (0)",
    )
    parser.add_argument(
        "-tr", default=FIRST_TRAINER, metavar="TRAINER", help="also NAME_20epochs, NAME_nnUNetRecipe (%(default)s)"
    )
    parser.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="name of the plans file (%(default)s)")
    parser.add_argument("-device", choices=("auto", "cuda", "cpu", "mps"), default="auto", help="default: %(default)s")
    parser.add_argument(
        "--all-stages",
        action="store_true",
        help="train every stage before this configuration, too: in all numbered folds, also for -f all, unless coarse "
        "labels are simulated",
    )
    parser.add_argument("--c", dest="resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument("--val", action="store_true", help="validate only")
    parser.add_argument("--npz", action="store_true", help="save the probabilities of the validation cases")
    parser.add_argument("--seed", type=int, metavar="N", help="make training repeatable (slower on a GPU)")
    parser.add_argument("--threads", type=positive, metavar="N", help="processor threads (default: the usable cores)")
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")


def run(args: argparse.Namespace) -> int:
    """Run the trainings one after the other."""
    from nnunet_cardiac.files import read_json
    from nnunet_cardiac.label_values import refuse_regions
    from nnunet_cardiac.planning.stages import TrainingSetup
    from nnunet_cardiac.workflow.runner import run_command, shown

    preprocessed = find_dataset(os.environ, "nnUNet_preprocessed", args.d)
    description = preprocessed / "dataset.json"
    if description.is_file():
        refuse_regions(read_json(description).get("labels", {}), str(description))
    if not os.environ.get("nnUNet_results"):
        raise UserError('nnUNet_results is not set. Set it: eval "$(nnunet_cardiac env --base FOLDER)"')
    results = Path(os.environ["nnUNet_results"]) / preprocessed.name
    setup = TrainingSetup(preprocessed, results, args.tr, args.p, choose_device(args.device))
    environ = {**os.environ, **thread_variables(os.environ, args.threads, setup.device)}
    if args.seed is not None:
        environ["NNUNET_CARDIAC_SEED"] = str(args.seed)
    commands = _commands(setup, args)
    _say_what_is_wrong(setup, args)
    for number, command in enumerate(commands, 1):
        print(f"[{number}/{len(commands)}] {shown(command)}", flush=True)
        if not args.dry_run:
            run_command(command, environ)
    if not commands:
        print("Nothing to do: every stage and fold is trained and validated.")
    return 0


def _say_what_is_wrong(setup: TrainingSetup, args: argparse.Namespace) -> None:
    """Refuse what cannot be trained, or only say it if nothing is to run; warn of folds that are unusual."""
    from nnunet_cardiac.patients.fold_file import fold_warnings, read_cohort

    try:
        setup.check(setup.chain(args.c) if args.all_stages else [args.c], args.f)
    except UserError as error:
        if not args.dry_run:
            raise
        logger.warning("%s", error)
    try:
        warnings = list(fold_warnings(setup.preprocessed, read_cohort(setup.preprocessed, os.environ)))
    except UserError as error:  # a table of patients; the folds that there are do not depend on it
        warnings = [str(error)]
    for warning in warnings:
        logger.warning("%s", warning)


def _commands(setup: TrainingSetup, args: argparse.Namespace) -> list[list[str]]:
    options = ["--npz"] if args.npz else []
    setup.chain(args.c)
    setup.check_folds(args.f)
    if args.resume and args.val:
        raise UserError("--c continues training and --val only validates; give one of them.")
    if args.all_stages:
        if args.resume or args.val:
            raise UserError("--all-stages finds out by itself what to continue or validate; leave --c and --val out.")
        return setup.all_stages(args.c, args.f, options)
    options += ["--c"] if args.resume else ["--val"] if args.val else []
    return [setup.command(args.c, fold, *options) for fold in args.f]
