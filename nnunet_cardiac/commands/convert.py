"""`nnunet_cardiac convert`: a public data set, or one's own, in nnU-Net's raw format."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_cardiac.datasets.catalogue import SOURCES
from nnunet_cardiac.errors import UserError

if TYPE_CHECKING:
    from nnunet_cardiac.datasets.raw_folder import Summary

HELP = "convert a public cardiac data set, or your own, to nnU-Net's raw format"

_SHOWN_REPAIRS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `convert`."""
    parser.epilog = "Expected layouts: docs/datasets.md. " + "; ".join(f"{k}: {s.title}" for k, s in SOURCES.items())
    parser.add_argument("name", choices=tuple(SOURCES), metavar="NAME", help=", ".join(SOURCES))
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of the unpacked archive; generic: CSV file")
    parser.add_argument("-d", type=int, required=True, metavar="ID", help="number of the data set (mnms2: ID and ID+1)")
    parser.add_argument("-o", type=Path, metavar="FOLDER", help="write here instead of nnUNet_raw")
    parser.add_argument("--name", dest="dataset_name", metavar="NAME", help="name after the number")
    parser.add_argument("--cine", action="store_true", help="also write every frame, to imagesCine")
    parser.add_argument(
        "--labels",
        nargs="+",
        metavar="NAME=VALUE",
        help="what the source's label values mean, LV=1 MYO=2,3 RV=4, or a JSON file; needed by generic",
    )
    parser.add_argument(
        "--structures", nargs="+", metavar="NAME", help="keep these alone, such as LV MYO; others become background"
    )
    parser.add_argument("--skip", nargs="+", default=[], metavar="PATIENT", help="leave these patients out")
    parser.add_argument(
        "--trust-voxels", action="store_true", help="labels of the image's size take its header, whatever theirs says"
    )
    parser.add_argument(
        "--orientation",
        choices=("canonical", "as-stored"),
        default="canonical",
        help="canonical: bring all images and labels into one storage (default); as-stored: leave images as they are",
    )
    parser.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="generic: true voxel size of all files in mm, in the order of the header, whatever it says",
    )
    folds = parser.add_argument_group("folds", "by patient and balanced by disease group, unless --splits gives them")
    folds.add_argument("--folds", type=int, default=5, metavar="N", help="number of folds (%(default)s)")
    folds.add_argument("--seed", type=int, default=12345, metavar="S", help="seed of the folds (%(default)s)")
    folds.add_argument("--splits", type=Path, metavar="FILE", help="your own splits_final.json; refused if it leaks")
    special = parser.add_argument_group("single sources")
    special.add_argument("--infarct", action="store_true", help="emidec: infarct and no_reflow as labels of their own")
    special.add_argument("--cavity-only", action="store_true", help="sunnybrook: LV cavity alone, at ED and ES")


def run(args: argparse.Namespace) -> int:
    """Convert and say what came out."""
    from nnunet_cardiac.datasets.conversion import Folds, convert
    from nnunet_cardiac.datasets.subject import ConvertOptions

    raw = args.o if args.o is not None else os.environ.get("nnUNet_raw")
    if not raw:
        raise UserError('nnUNet_raw is not set. Give -o FOLDER, or: eval "$(nnunet_cardiac env --base FOLDER)"')
    # Folds go to nnUNet_preprocessed only for data sets that nnU-Net will find.
    preprocessed = os.environ.get("nnUNet_preprocessed") if args.o is None else None
    summaries = convert(
        args.name,
        args.source,
        args.d,
        Path(raw),
        dataset_name=args.dataset_name,
        options=ConvertOptions(
            parse_labels(args.labels),
            args.infarct,
            args.cavity_only,
            args.cine,
            args.trust_voxels,
            structures=args.structures,
            spacing_mm=_spacing(args),
            as_stored=args.orientation == "as-stored",
        ),
        folds=Folds(args.folds, args.seed, args.splits),
        skip=args.skip,
        preprocessed_root=Path(preprocessed) if preprocessed else None,
        progress=not args.quiet,
    )
    for summary in summaries:
        print(describe(summary))
    return 0


def _spacing(args: argparse.Namespace) -> tuple[float, ...] | None:
    """Return the size that the user gave; public archives mix sizes, so one for all files would be wrong there."""
    if args.spacing is None:
        return None
    from nnunet_cardiac.images.voxel_size import check_given

    if args.name != "generic":
        raise UserError(f"--spacing is for convert generic; the files of {args.name} have sizes of their own.")
    return check_given(args.spacing)


def parse_labels(given: list[str] | None) -> Mapping[str, tuple[int, ...]] | None:
    """Read `--labels`: `LV=1 MYO=2,3`, or one JSON file with name -> value or list of values.

    Raises:
        UserError: If it is neither.
    """
    if given is None:
        return None
    from nnunet_cardiac.datasets.labels import source_values

    if len(given) == 1 and "=" not in given[0]:
        try:
            content = json.loads(Path(given[0]).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"--labels {given[0]}: no JSON file and no NAME=VALUE ({error}).") from error
        if not isinstance(content, dict):
            raise UserError(f'{given[0]}: expected an object such as {{"LV": 1, "MYO": [2, 3]}}.')
        return source_values(content.get("labels", content))
    pairs = [entry.partition("=") for entry in given]
    wrong = [name for name, _, values in pairs if not name or not values.replace(",", "").isdecimal()]
    if wrong:
        raise UserError(f"--labels {' '.join(given)}: expected NAME=VALUE, such as LV=1 MYO=2,3 RV=4.")
    return source_values({name: [int(v) for v in values.split(",") if v] for name, _, values in pairs})


def describe(summary: Summary) -> str:
    """Return what a user wants to know of a data set that was written."""
    labels = ", ".join(f"{value} {name}" for name, value in summary.labels.items())
    counts = ", ".join(f"{part} {summary.patients[part]} patients, {n} cases" for part, n in summary.cases.items())
    lines = [f"{summary.folder}", f"  {counts}", f"  labels {labels}", f"  {summary.folds or 'no'} folds by patient"]
    lines += [f"  corrected: {repair}" for repair in summary.repairs[:_SHOWN_REPAIRS]]
    if len(summary.repairs) > _SHOWN_REPAIRS:
        lines.append(f"  corrected: {len(summary.repairs) - _SHOWN_REPAIRS} more, all in manifest.json")
    return "\n".join([*lines, *(f"  note: {note}" for note in summary.notes)])
