"""`nnunet_cardiac benchmark training`: training steps of the systems on a data set, beside nnU-Net 2d."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from nnunet_cardiac.benchmark.accuracy.budgets import BUDGETS, find_budget
from nnunet_cardiac.benchmark.accuracy.rows import REFERENCE, find_row, recipes_of
from nnunet_cardiac.commands.argument_types import positive
from nnunet_cardiac.errors import UserError

TRAINING = "time of a training step and of an epoch of each system's networks on a data set, beside nnU-Net 2d"

#: One row of each family, with all its stages.
_SYSTEMS = ("nnunet-3d", "crocnet", "halsr", "guided", "dr-unet", "dr-unet-full", "dr-unet-end-to-end")


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `training`."""
    parser.epilog = (
        "Plans, preprocessed data and settings are those of `benchmark accuracy`; with the same -o they are shared. "
        "Networks take turns within each round. Nothing that was trained is touched."
    )
    parser.add_argument(
        "--system",
        nargs="+",
        default=_SYSTEMS,
        metavar="ROW",
        help=f"rows of benchmark accuracy ({' '.join(_SYSTEMS)})",
    )
    parser.add_argument(
        "--budget", default="cpu-small", metavar="BUDGET", help=f"of {', '.join(BUDGETS)} (%(default)s)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="data set in nnU-Net's raw format, copied into -o the first time"
    )
    parser.add_argument(
        "-o", type=Path, default=Path("accuracy"), metavar="FOLDER", help="folder of the runs (%(default)s)"
    )
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="turns of each network (%(default)s)")
    parser.add_argument(
        "--steps", type=positive, default=4, metavar="N", help="steps of a turn, the first not counted (%(default)s)"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="processor threads (default: the usable cores)")
    parser.add_argument(
        "--profile", type=Path, metavar="FOLDER", help="takes a table of torch's operations in a step of each network"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the run to a list of runs in this file")


def run_training(args: argparse.Namespace) -> int:
    """Measure, print the table and add the run to the file."""
    budget = find_budget(args.budget)
    rows = {system: find_row(system) for system in dict.fromkeys((REFERENCE, *args.system))}
    if args.steps < 2:
        raise UserError("--steps 1: the first step of a turn is not counted; give at least 2.")
    from nnunet_cardiac.benchmark.accuracy.data import prepare_data
    from nnunet_cardiac.benchmark.accuracy.training_time import Timing, measure_training, training_table
    from nnunet_cardiac.benchmark.accuracy.workspace import Run
    from nnunet_cardiac.benchmark.speed.run_file import append_run, describe_run, read_runs
    from nnunet_cardiac.commands.accuracy import hardware_class_of
    from nnunet_cardiac.devices import usable_cores
    from nnunet_cardiac.workflow.other_jobs import warn_of_other_jobs

    hardware_class_of(budget.device)  # refuses a budget of a GPU without one
    if args.json is not None:
        read_runs(args.json)  # what is wrong with the file is said before minutes of measuring
    folder = args.o.expanduser().absolute()
    data = prepare_data(args.data, folder / "nnUNet_raw", progress=not args.quiet)
    threads = usable_cores(args.threads, device=budget.device)
    if budget.device == "cpu":
        warn_of_other_jobs(threads)
    runs = {
        system: Run(folder, system, args.budget, recipes_of(row)[0], budget.coarse_labels, 0, 0, threads)
        for system, row in rows.items()
    }
    timing = Timing(args.rounds, args.steps, args.profile)
    results = measure_training(list(args.system), runs, data, timing, os.environ, progress=not args.quiet)
    arguments = {**asdict(timing), "profile": None, "budget": args.budget, "threads": threads}
    described = describe_run("training", arguments, results, budget.device)
    machine = described["hardware"]["gpu"] or f"{described['hardware']['processor']}, threads {threads}"
    print(f"{machine}, budget {args.budget}, torch {described['versions']['torch']}\n\n{training_table(results)}")
    if args.json is not None:
        append_run(args.json, described)
    return 0
