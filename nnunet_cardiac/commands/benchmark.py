"""`nnunet_cardiac benchmark`: measurements of networks, one action for each kind."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_cardiac.benchmark.speed.options import slice_trainers
from nnunet_cardiac.commands import accuracy, training
from nnunet_cardiac.commands.argument_types import classes, positive
from nnunet_cardiac.commands.common_options import common_options
from nnunet_cardiac.errors import UserError

if TYPE_CHECKING:
    from nnunet_cardiac.benchmark.speed.options import MeasuredNetwork, SpeedOptions

HELP = "compare systems: speed and memory of their networks without a data set, accuracy on one"

#: Timed rounds by device: a round takes seconds on a processor and fractions of one on a GPU.
_ROUNDS = {"cpu": 5, "cuda": 30, "mps": 15}

_SPEED = "parameters, operations, time and memory of each network, beside nnU-Net's 2d network for the same input"

_STAGES = "time and memory of the two stages of the 3D DR-UNet against one pass of its network over the whole volume"

_STACKS = (
    "time, memory and operations of a stack in one pass of the classifier-guided network, beside nnU-Net's networks"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `benchmark`."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    _add_action(actions, "speed", _SPEED, _add_speed_arguments, _run_speed)
    _add_action(actions, "stages", _STAGES, _add_stages_arguments, _run_stages)
    _add_action(actions, "stacks", _STACKS, _add_stacks_arguments, _run_stacks)
    _add_action(actions, "accuracy", accuracy.ACCURACY, accuracy.add_accuracy_arguments, accuracy.run_accuracy)
    _add_action(actions, "training", training.TRAINING, training.add_training_arguments, training.run_training)
    _add_action(actions, "table", accuracy.TABLE, accuracy.add_table_arguments, accuracy.run_table)


def run(args: argparse.Namespace) -> int:
    """Run the chosen action."""
    return args.run_action(args)


def _add_action(
    actions: argparse._SubParsersAction,
    name: str,
    purpose: str,
    add: Callable[[argparse.ArgumentParser], None],
    run_action: Callable[[argparse.Namespace], int],
) -> None:
    parser = actions.add_parser(name, help=purpose, description=purpose, parents=[common_options()])
    add(parser)
    parser.set_defaults(run_action=run_action)


def _add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Every network has the same batch, loss, optimiser and precision; all take turns in every round. With the "
        "default sizes it takes a few minutes on one processor core."
    )
    parser.add_argument("-tr", nargs="+", metavar="TRAINER", help=f"of {', '.join(slice_trainers())} (default: all)")
    parser.add_argument("-c", nargs="+", metavar="CONFIGURATION", help="configurations (default: all of each trainer)")
    parser.add_argument("-device", choices=("auto", "cuda", "cpu", "mps"), default="auto", help="default: %(default)s")
    parser.add_argument("--threads", type=positive, metavar="N", help="processor threads (default: the usable cores)")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bf16", "fp16"),
        default="auto",
        help="of training and prediction; auto takes that of the trainers of slices: fp16 on CUDA, bf16 on processors "
        "that compute in it, else float32 (default: %(default)s)",
    )
    size = parser.add_argument_group("input")
    size.add_argument(
        "--patch", nargs=2, type=positive, default=(256, 224), metavar=("H", "W"), help="image, in pixels (256 224)"
    )
    size.add_argument(
        "--window", type=positive, default=128, metavar="PIXELS", help="side of the window of crops (%(default)s)"
    )
    size.add_argument("--batch", type=positive, default=2, metavar="N", help="images in a batch (%(default)s)")
    size.add_argument("--channels", type=positive, default=1, metavar="N", help="image channels (%(default)s)")
    size.add_argument("--classes", type=classes, default=4, metavar="N", help="with the background (%(default)s)")
    rounds = ", ".join(f"{number} on {device}" for device, number in _ROUNDS.items())
    parser.add_argument("--rounds", type=positive, metavar="N", help=f"timed rounds (default: {rounds})")
    parser.add_argument("--compile", action="store_true", help="compile the networks, as nnU-Net does on CUDA")
    parser.add_argument("--no-memory", action="store_true", help="do not measure the peak memory")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and images (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the run to a list of runs in this file")


def _run_speed(args: argparse.Namespace) -> int:
    """Measure, print the tables and add the run to the file."""
    from nnunet_cardiac.benchmark.speed.options import choose

    pairs = choose(args.tr, args.c)
    if args.json is not None:
        from nnunet_cardiac.benchmark.speed.run_file import read_runs

        read_runs(args.json)  # what is wrong with the file is said before a minute of measuring
    from nnunet_cardiac.benchmark.speed.networks_from_plans import make_subject
    from nnunet_cardiac.benchmark.speed.run_file import append_run, describe_run
    from nnunet_cardiac.benchmark.speed.speed import measure_speed
    from nnunet_cardiac.benchmark.speed.table import speed_tables

    options = _options(args)
    subjects = _with_references([make_subject(*pair, options) for pair in pairs])
    measured = {m.subject: m for m in measure_speed(subjects, options, progress=not args.quiet)}
    results = [m.as_dict(measured[m.subject.reference]) for m in measured.values()]
    described = describe_run("speed", asdict(options), results, options.device)
    print(f"{_conditions(described)}\n\n{speed_tables(results)}")
    if args.json is not None:
        append_run(args.json, described)
    return 0


def _add_stages_arguments(parser: argparse.ArgumentParser) -> None:
    _add_pass_arguments(parser)
    size = parser.add_argument_group("input", "slices, rows and columns; rows and columns multiples of 8")
    for name, default, what in (
        ("--volume", (16, 256, 256), "volume"),
        ("--low", (16, 128, 128), "grid of the localiser"),
        ("--window", (16, 128, 128), "window"),
    ):
        shown = " ".join(map(str, default))
        text = f"{what} ({shown})"
        size.add_argument(name, nargs=3, type=positive, default=default, metavar=("Z", "Y", "X"), help=text)
    size.add_argument("--filters", type=positive, default=32, metavar="N", help="of the network (%(default)s)")
    size.add_argument("--classes", type=classes, default=4, metavar="N", help="with the background (%(default)s)")


def _add_pass_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every comparison of forward passes."""
    parser.add_argument("-device", choices=("auto", "cuda", "cpu", "mps"), default="auto", help="default: %(default)s")
    parser.add_argument("--threads", type=positive, metavar="N", help="processor threads (default: the usable cores)")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="timed rounds (%(default)s)")
    parser.add_argument("--no-memory", action="store_true", help="do not measure the peak memory")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and images (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the run to a list of runs in this file")


def _add_stacks_arguments(parser: argparse.ArgumentParser) -> None:
    _add_pass_arguments(parser)
    size = parser.add_argument_group("input")
    size.add_argument(
        "--slices", nargs="+", type=positive, default=(10,), metavar="N", help="slices of the stacks, one or more (10)"
    )
    size.add_argument(
        "--patch", nargs=2, type=positive, default=(256, 224), metavar=("H", "W"), help="slice, in pixels (256 224)"
    )
    size.add_argument("--classes", type=classes, default=4, metavar="N", help="with the background (%(default)s)")


def _run_stacks(args: argparse.Namespace) -> int:
    """Measure each length of a stack, print the tables and add the runs to the file."""
    if any(side % 16 for side in args.patch):
        raise UserError(f"--patch {' '.join(map(str, args.patch))}: expected sides that are multiples of 16.")
    from nnunet_cardiac.benchmark.speed.passes import passes_table
    from nnunet_cardiac.benchmark.speed.run_file import append_run, describe_run, read_runs
    from nnunet_cardiac.benchmark.speed.stacks import StacksOptions, measure_stacks

    if args.json is not None:
        read_runs(args.json)
    for slices in args.slices:
        options = StacksOptions(slices, tuple(args.patch), args.classes, **_pass_options(args))
        results = measure_stacks(options, progress=not args.quiet)
        operations = ", ".join(f"{result['way']} {result['gflop']:.0f}" for result in results)
        print(f"{slices} slices of {' x '.join(map(str, args.patch))}\n{passes_table(results)}\nGFLOP: {operations}\n")
        if args.json is not None:
            append_run(args.json, describe_run("stacks", asdict(options), results, options.device))
    return 0


def _pass_options(args: argparse.Namespace) -> dict[str, Any]:
    """What a comparison of forward passes is told of the machine."""

    from nnunet_cardiac.devices import choose_device, usable_cores

    return {
        "device": choose_device(args.device),
        "threads": usable_cores(args.threads),
        "rounds": args.rounds,
        "memory": not args.no_memory,
        "seed": args.seed,
    }


def _run_stages(args: argparse.Namespace) -> int:
    """Measure, print the table and add the run to the file."""
    if any(side % 8 for size in (args.volume, args.low, args.window) for side in size[1:]):
        raise UserError("--volume, --low and --window: expected rows and columns that are multiples of 8.")
    if any(a > b for a, b in zip(args.window, args.volume, strict=True)):
        raise UserError(f"--window {args.window}: expected no side larger than that of --volume {args.volume}.")
    from nnunet_cardiac.benchmark.speed.localise_and_crop import StagesOptions, measure_stages
    from nnunet_cardiac.benchmark.speed.passes import passes_table
    from nnunet_cardiac.benchmark.speed.run_file import append_run, describe_run, read_runs

    if args.json is not None:
        read_runs(args.json)
    options = StagesOptions(
        volume=tuple(args.volume),
        low=tuple(args.low),
        window=tuple(args.window),
        filters=args.filters,
        classes=args.classes,
        **_pass_options(args),
    )
    results = measure_stages(options, progress=not args.quiet)
    print(passes_table(results))
    if args.json is not None:
        append_run(args.json, describe_run("stages", asdict(options), results, options.device))
    return 0


def _options(args: argparse.Namespace) -> SpeedOptions:

    from nnunet_cardiac.benchmark.speed.options import SpeedOptions
    from nnunet_cardiac.devices import choose_device, usable_cores

    device = choose_device(args.device)
    return SpeedOptions(
        patch=tuple(args.patch),
        window=args.window,
        batch=args.batch,
        channels=args.channels,
        classes=args.classes,
        device=device,
        threads=usable_cores(args.threads),
        precision=_precision(device) if args.precision == "auto" else args.precision,
        rounds=args.rounds or _ROUNDS[device],
        compile=args.compile,
        memory=not args.no_memory,
        seed=args.seed,
    )


def _precision(device: str) -> str:
    """Type in which the trainers of slices compute on a device; all networks of a table get the same."""
    from nnunet_cardiac.cpu_precision import cpu_computes_bf16

    if device == "cuda":
        return "fp16"
    return "bf16" if device == "cpu" and cpu_computes_bf16() else "float32"


def _with_references(subjects: list[MeasuredNetwork]) -> list[MeasuredNetwork]:
    """Put nnU-Net's network for the same input before the networks of each input."""
    ordered = dict.fromkeys(subject.reference for subject in subjects)
    return [s for reference in ordered for s in (reference, *(s for s in subjects if s.reference == reference))]


def _conditions(described: dict) -> str:
    """One line on where and how it was measured."""
    arguments, machine = described["arguments"], described["hardware"]
    where = machine["gpu"] or f"{machine['processor']}, threads {arguments['threads']}"
    compiled = ", compiled" if arguments["compile"] else ""
    return (
        f"{where}, {arguments['precision']}{compiled}, batch {arguments['batch']}, {arguments['rounds']} rounds, "
        f"torch {described['versions']['torch']}"
    )
