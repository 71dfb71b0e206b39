"""`nnunet_cardiac quickstart`: from nothing to a result page in some minutes."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nnunet_cardiac.commands.argument_types import positive
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import SYSTEMS

HELP = "make phantom data, train the stages of a system briefly, predict, evaluate, write a result page"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `quickstart`."""
    parser.epilog = "On two processor cores it takes about six minutes, 2 GB of memory a process and 0.2 GB of disk."
    parser.add_argument("-o", type=Path, metavar="FOLDER", help="new folder (default: quickstart, quickstart2, ...)")
    parser.add_argument(
        "--system",
        choices=[key for key, system in SYSTEMS.items() if system.shown],
        default=next(iter(SYSTEMS)),
        help="default: %(default)s",
    )
    parser.add_argument("-device", choices=("auto", "cuda", "cpu", "mps"), default="auto", help="default: %(default)s")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of each stage (default: a few)")
    parser.add_argument("--patients", type=int, metavar="N", help="patients to train and validate on")
    parser.add_argument("--test-patients", type=int, metavar="N", help="unseen patients to evaluate on")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of phantom and training")
    parser.add_argument("--threads", type=positive, metavar="N", help="processor threads (default: the usable cores)")


def run(args: argparse.Namespace) -> int:
    """Run it, print the key numbers and say where the page is."""
    from nnunet_cardiac.devices import choose_device, usable_cores
    from nnunet_cardiac.evaluation.results import read_results
    from nnunet_cardiac.evaluation.summary import mean_dice
    from nnunet_cardiac.quickstart.run import run_quickstart
    from nnunet_cardiac.quickstart.script import peak_memory_bytes
    from nnunet_cardiac.quickstart.steps import QuickstartOptions
    from nnunet_cardiac.report.formats import duration
    from nnunet_cardiac.workflow.other_jobs import warn_of_other_jobs

    chosen = {name: getattr(args, name) for name in ("epochs", "patients", "test_patients", "seed", "threads")}
    folder = (args.o or _new_folder(Path.cwd())).expanduser().absolute()
    options = QuickstartOptions(
        folder=folder,
        device=choose_device(args.device),
        system_name=args.system,
        **{name: value for name, value in chosen.items() if value is not None},
    )
    if options.epochs < 1 or options.patients < 5 or options.test_patients < 1:
        raise UserError(
            f"--epochs {options.epochs} --patients {options.patients} --test-patients {options.test_patients}: "
            "expected at least 1 epoch, 5 patients, one for each fold, and 1 unseen patient."
        )
    if options.device == "cpu":
        warn_of_other_jobs(usable_cores(options.threads))
    seconds = run_quickstart(options, os.environ)
    print(f"Finished in {duration(seconds)}; the largest process took {peak_memory_bytes() / 2**30:.1f} GiB.")
    for name, dice in mean_dice(read_results(options.evaluation).table("summary")).items():
        print(f"Mean Dice of the unseen patients, {name}: {dice:.3f}")
    print(f"Open {options.page} in a browser.")
    return 0


def _new_folder(parent: Path) -> Path:
    """First of `quickstart`, `quickstart2`, ... that does not exist."""
    candidate, number = parent / "quickstart", 1
    while candidate.exists():
        number += 1
        candidate = parent / f"quickstart{number}"
    return candidate
