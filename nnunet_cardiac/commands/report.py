"""`nnunet_cardiac report`: the page of an evaluation."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make one HTML page, without network or script, of an evaluation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    parser.add_argument("-i", type=Path, required=True, metavar="FOLDER", help="result of nnunet_cardiac evaluate")
    parser.add_argument("-o", type=Path, metavar="FILE.html", help="page to write (FOLDER/report.html)")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="images to draw on (imagesTs beside labelsTs)")
    parser.add_argument("--title", default="Evaluation", help="heading of the page (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Read the tables, draw and write the page."""
    from nnunet_cardiac.evaluation.results import read_results
    from nnunet_cardiac.report.evaluation_overlays import overlay_cases
    from nnunet_cardiac.report.evaluation_page import write_evaluation_page

    results = read_results(args.i)
    path = args.o or args.i / "report.html"
    write_evaluation_page(path, results, overlay_cases(results, args.images), args.title)
    print(path)
    return 0
