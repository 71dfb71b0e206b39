"""`nnunet_cardiac phantom`: a synthetic data set with exact ground truth."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write a synthetic cardiac MR data set with exact ground truth, ready for nnU-Net"


#: A process is worth its start for a few patients, and a data set has tens of them.
_MOST_PROCESSES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="nnUNet_raw folder to write into")
    parser.add_argument("-d", "--dataset", type=int, default=901, metavar="ID", help="number of the data set (901)")
    parser.add_argument("--name", default="CardiacPhantom", help="name of the data set (CardiacPhantom)")
    parser.add_argument("--patients", type=int, default=20, metavar="N", help="training patients (20)")
    parser.add_argument("--test-patients", type=int, default=5, metavar="N", help="test patients (5)")
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="folds of splits_final.json (5)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the same seed gives the same data (0)")
    parser.add_argument(
        "--kind", choices=("sax", "lax", "la"), default="sax", help="short axis, 4-chamber or LGE left atrium (sax)"
    )
    parser.add_argument(
        "--structures", nargs="+", metavar="NAME", help="label these alone, such as LV MYO (all of the kind)"
    )
    parser.add_argument("--matrix", type=int, metavar="N", help="pixels along each in-plane axis")
    parser.add_argument("--cine", action="store_true", help="also write every frame of the heart cycle, as 4D files")
    parser.add_argument("--contact-sheet", type=Path, metavar="FILE.png", help="draw a picture of all it makes")


def run(args: argparse.Namespace) -> int:
    from nnunet_cardiac.errors import UserError

    if args.output is None and args.contact_sheet is None:
        raise UserError("Nothing to do: give -o FOLDER for a data set or --contact-sheet FILE.png for a picture.")
    if args.contact_sheet is not None:
        from nnunet_cardiac.phantom.contact_sheet import draw_contact_sheet

        print(draw_contact_sheet(args.contact_sheet, args.seed))
    if args.output is not None:
        from nnunet_cardiac.devices import usable_cores
        from nnunet_cardiac.phantom.raw_dataset import write_nnunet_dataset

        folder = write_nnunet_dataset(
            args.output,
            args.dataset,
            args.name,
            patients=args.patients,
            test_patients=args.test_patients,
            seed=args.seed,
            kind=args.kind,
            cine=args.cine,
            folds=args.folds,
            structures=args.structures,
            matrix=None if args.matrix is None else (args.matrix, args.matrix),
            progress=not getattr(args, "quiet", False),
            processes=min(usable_cores(), _MOST_PROCESSES),
        )
        print(folder)
    return 0
