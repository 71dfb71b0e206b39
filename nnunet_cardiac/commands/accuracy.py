"""`nnunet_cardiac benchmark accuracy` and `benchmark table`: one row of the table of all systems, and the table."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from nnunet_cardiac.benchmark.accuracy.budgets import BUDGETS, find_budget
from nnunet_cardiac.benchmark.accuracy.rows import RECIPES, ROWS, choose_recipe, find_row, heading
from nnunet_cardiac.commands.argument_types import natural, positive
from nnunet_cardiac.errors import UserError

logger = logging.getLogger(__name__)

ACCURACY = "one row of the table of all systems: plan, train, predict patients kept apart, evaluate, write it down"
TABLE = "make the table of all systems from the file of results"

#: Name of the file of results in the folder of the runs.
_RESULTS = "results.jsonl"


def add_accuracy_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `accuracy`."""
    parser.epilog = (
        "docs/accuracy.md has the protocol. Every stage that was finished with the same settings in the same folder is "
        "used again, so a run that was cut off goes on, and rows share their first stages."
    )
    parser.add_argument("--list", action="store_true", help="list rows, budgets and recipes, and do nothing")
    parser.add_argument("--system", metavar="ROW", help="which row, see --list")
    parser.add_argument("--budget", metavar="BUDGET", help=f"of {', '.join(BUDGETS)}")
    parser.add_argument(
        "--recipe", metavar="RECIPE", help=f"of {', '.join(RECIPES)} (default: short; nnunet for nnU-Net's own)"
    )
    parser.add_argument(
        "-f", nargs="+", type=int, default=[0], choices=range(5), metavar="FOLD", help="folds to train on (0)"
    )
    parser.add_argument("--seeds", nargs="+", type=natural, default=[0], metavar="N", help="repetitions (0)")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="data set in nnU-Net's raw format, copied into -o the first time"
    )
    parser.add_argument(
        "-o", type=Path, default=Path("accuracy"), metavar="FOLDER", help="takes all runs (%(default)s)"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help=f"one run a line, added to ({_RESULTS} in the folder of -o)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a run that is in the file of results")
    parser.add_argument(
        "--coarse", choices=("simulated", "predicted"), help="coarse labels of training cases (the budget's)"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="processor threads (default: the usable cores)")


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `table`."""
    parser.add_argument("results", type=Path, help="file of results, as `benchmark accuracy` writes it")
    parser.add_argument(
        "-o",
        type=Path,
        action="append",
        metavar="FILE",
        help="page whose tables are replaced, once for each page (default: print every table)",
    )
    parser.epilog = (
        "Two lines in a page say which tables go there: between <!-- summary: begin --> and <!-- summary: end --> one "
        "table of all rows, between <!-- results: begin --> and <!-- results: end --> every table."
    )


def run_accuracy(args: argparse.Namespace) -> int:
    """Run a row for each seed and fold and write it down."""
    if args.list:
        print(_listing())
        return 0
    if args.system is None or args.budget is None:
        raise UserError("benchmark accuracy: name a row with --system and a budget with --budget; --list shows them.")
    row, budget = find_row(args.system), find_budget(args.budget)
    recipe = choose_recipe(row, args.recipe)
    hardware_class = hardware_class_of(budget.device)
    from nnunet_cardiac.benchmark.accuracy.data import prepare_data
    from nnunet_cardiac.benchmark.accuracy.result_line import describe, identity, key_of, read_records, shown_key, store
    from nnunet_cardiac.benchmark.accuracy.run import run_row
    from nnunet_cardiac.benchmark.accuracy.workspace import Run
    from nnunet_cardiac.devices import usable_cores
    from nnunet_cardiac.workflow.other_jobs import warn_of_other_jobs

    folder = args.o.expanduser().absolute()
    results = args.results or folder / _RESULTS
    there = {key_of(record) for record in read_records(results)} if args.results or results.exists() else set()
    data = prepare_data(args.data, folder / "nnUNet_raw", progress=not args.quiet)
    threads, coarse = usable_cores(args.threads, device=budget.device), args.coarse or budget.coarse_labels
    if budget.device == "cpu":
        warn_of_other_jobs(threads)
    runs = [
        Run(folder, args.system, args.budget, recipe, coarse, fold, seed, threads)
        for seed in dict.fromkeys(args.seeds)
        for fold in dict.fromkeys(args.f)
    ]
    known = [key for run in runs if key_of(key := identity(run, data, hardware_class)) in there]
    if known and not args.overwrite:
        if len(known) == len(runs):
            raise UserError(f"{results}: {shown_key(known[0])} is there already; --overwrite replaces it.")
        runs = [run for run in runs if key_of(identity(run, data, hardware_class)) not in there]
        logger.warning("%d of the runs are in %s already and left as they are.", len(known), results)
    for run in runs:
        logger.info("%s, %s, fold %d, seed %d; log: %s", row.title, recipe, run.fold, run.seed, run.log)
        outcome = run_row(run, data, os.environ, progress=not args.quiet)
        record = describe(run, data, outcome, progress=not args.quiet)
        store(results, record, args.overwrite)
        print(_summary(record))
    print(f"Written to {results}; the table: nnunet_cardiac benchmark table {results}")
    return 0


def run_table(args: argparse.Namespace) -> int:
    """Make the tables."""
    from nnunet_cardiac.benchmark.accuracy import page
    from nnunet_cardiac.benchmark.accuracy.result_line import read_records
    from nnunet_cardiac.benchmark.accuracy.table import make_summary, make_tables

    if not args.results.is_file():
        raise UserError(f"{args.results}: no such file; nnunet_cardiac benchmark accuracy writes it (--results).")
    records = read_records(args.results)
    if args.o is None:
        print(make_tables(records))
        return 0
    parts = {page.SUMMARY: make_summary(records), page.RESULTS: make_tables(records)}
    for path in args.o:
        page.replace_tables(path, parts)
        print(f"Table of {args.results} written to {path}")
    return 0


def hardware_class_of(device: str) -> str:
    """What is ranked together: the GPU's name, or `CPU`.

    Raises:
        UserError: If the device is missing.
    """
    if device == "cpu":
        return "CPU"
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            "--budget: this budget is one of a GPU, and torch finds none here. Rows of different devices are never "
            "ranked together; choose a budget of a processor, see --list."
        )
    return torch.cuda.get_device_name()


def _listing() -> str:
    width = max(map(len, ROWS))
    lines = ["rows (--system)", *(f"  {name:{width}}  {heading(row)}: {row.title}" for name, row in ROWS.items())]
    lines += ["budgets (--budget)", *(f"  {name:{width}}  {budget.purpose}" for name, budget in BUDGETS.items())]
    return "\n".join([*lines, "recipes (--recipe)", *(f"  {name:{width}}  {text}" for name, text in RECIPES.items())])


def _summary(record: dict) -> str:
    dice, distance = record["means"]["dice"], record["means"]["hd95_pooled_mm"]
    parts = [f"{name} {dice[name]:.3f}" for name in dice if dice[name] is not None]
    far = [f"{name} {distance[name]:.1f}" for name in distance if distance[name] is not None]
    return (
        f"{record['system']}, fold {record['fold']}, seed {record['seed']}: Dice {', '.join(parts)}; HD95 in mm "
        f"{', '.join(far) or 'none'}; {record['slices']} slices, training {record['training_seconds'] / 60:.1f} min"
    )
