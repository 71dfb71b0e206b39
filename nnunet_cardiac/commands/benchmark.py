"""`nnunet_cardiac benchmark`: measurements that are repeated by one command."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.registry import TRAINERS

HELP = "measure the networks beside nnU-Net's: parameters, arithmetic, time, memory"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `benchmark`."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    _add_speed(actions.add_parser("speed", help="size and speed of networks, without any data", description=HELP))


def _add_speed(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Networks take turns, so that a busy machine slows all of them alike. The ratio compares the training step by "
        "pixel with nnU-Net's 2D network for the same patch."
    )
    parser.add_argument("-tr", nargs="+", metavar="TRAINER", help=f"of {', '.join(TRAINERS)} (default: all)")
    parser.add_argument("-c", nargs="+", metavar="CONFIGURATION", help="default: all of the trainer")
    parser.add_argument("--patch", nargs=2, type=int, default=(256, 224), metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--window", type=int, default=128, metavar="PIXELS", help="side of cropping windows")
    parser.add_argument("--batch", type=int, default=2, metavar="N", help="samples of a step (%(default)s)")
    parser.add_argument("--channels", type=int, default=1, metavar="N", help="image channels (%(default)s)")
    parser.add_argument("--classes", type=int, default=4, metavar="N", help="with background (%(default)s)")
    parser.add_argument("-device", choices=("auto", "cuda", "cpu", "mps"), default="auto", help="default: %(default)s")
    parser.add_argument("--threads", type=int, metavar="N", help="of the processor (default: all)")
    parser.add_argument("--precision", choices=("float32", "bf16", "fp16"), default="float32")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="repetitions (%(default)s)")
    parser.add_argument("--compile", action="store_true", dest="compiled", help="run torch.compile first")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the run to a JSON list")


def run(args: argparse.Namespace) -> int:
    """Measure and print the table."""
    low = [name for name in ("batch", "rounds", "channels", "window") if getattr(args, name) < 1]
    if low or args.classes < 2 or min(args.patch) < 1 or (args.threads or 1) < 1:
        raise UserError("--batch, --rounds, --channels, --window, --patch and --threads start at 1, --classes at 2.")
    if args.batch < 2:
        raise UserError("--batch 1: some networks normalise over the batch and need two samples or more.")
    if args.json is not None:
        from nnunet_cardiac.benchmark.record import check_json_file

        check_json_file(args.json)
    return _speed(args)


def _speed(args: argparse.Namespace) -> int:
    import torch

    from nnunet_cardiac.benchmark.record import append_run, circumstances, table
    from nnunet_cardiac.benchmark.speed import SpeedOptions, measure
    from nnunet_cardiac.benchmark.subjects import check_sizes, nnunet_subject, subjects_of
    from nnunet_cardiac.devices import choose_device, usable_cores

    size, window = tuple(args.patch), (args.window, args.window)
    subjects = []
    for trainer in args.tr or TRAINERS:
        wanted = [c for c in args.c if args.tr or c in TRAINERS[trainer].configurations] if args.c else None
        subjects += [] if wanted == [] else subjects_of(trainer, wanted, args.channels, args.classes, size, window)
    check_sizes(subjects)
    subjects.insert(0, nnunet_subject(args.channels, args.classes, size))
    device = choose_device(args.device)
    torch.set_num_threads(args.threads or usable_cores())
    torch.manual_seed(0)
    options = SpeedOptions(args.batch, args.classes, device, args.precision, args.rounds, args.compiled)
    rows = measure(subjects, options)
    facts = circumstances(device, torch.get_num_threads())
    print(table(rows, [subject.size for subject in subjects]))
    print(f"{facts['hardware']}, {device}, {facts['threads']} threads, batch {args.batch}, {args.precision}")
    if args.json is not None:
        settings = {"batch": args.batch, "precision": args.precision, "compiled": args.compiled, "rounds": args.rounds}
        sized = [{**row.as_json(), "size": list(s.size)} for row, s in zip(rows, subjects, strict=True)]
        append_run(args.json, {**facts, **settings, "networks": sized})
    return 0
