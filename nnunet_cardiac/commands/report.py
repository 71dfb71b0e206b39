"""`nnunet_cardiac report`: the page of an evaluation."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import split_name

HELP = "make one HTML page, without network or script, of an evaluation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    parser.add_argument("-i", type=Path, required=True, metavar="FOLDER", help="result of nnunet_cardiac evaluate")
    parser.add_argument("-o", type=Path, metavar="FILE.html", help="page to write (FOLDER/report.html)")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="images to draw on (imagesTs beside labelsTs)")
    parser.add_argument("--title", default="Evaluation", help="heading of the page (%(default)s)")
    more = parser.add_argument_group("more to show")
    more.add_argument("--note", default="", metavar="TEXT", help="a paragraph below the heading")
    more.add_argument(
        "--training",
        nargs="+",
        default=(),
        metavar="[NAME=]FOLDER",
        help="learning curves of trained folds (.../fold_0)",
    )
    more.add_argument(
        "--text", nargs="+", default=(), metavar="[HEADING=]FILE", help="text files to show as they are, e.g. commands"
    )
    more.add_argument("--picture", type=Path, metavar="FILE.png", help="write the drawn cases as one picture, too")


def run(args: argparse.Namespace) -> int:
    """Read the tables, draw and write the page."""
    from nnunet_cardiac.evaluation.results import read_results
    from nnunet_cardiac.report.chosen_cases import overlay_cases
    from nnunet_cardiac.report.figure import write_overlay_figure
    from nnunet_cardiac.report.page import Additions, write_page

    trainings = _named(args.training, "--training")
    texts = {heading: _read(path) for heading, path in _named(args.text, "--text").items()}
    results = read_results(args.i)
    overlays = overlay_cases(results, args.images)
    path = args.o or args.i / "report.html"
    write_page(path, results, overlays, args.title, Additions(args.note, trainings, texts))
    print(path)
    if args.picture is not None:
        if not overlays:
            raise UserError(f"--picture {args.picture}: no case could be drawn; see the warnings above.")
        write_overlay_figure(args.picture, list(overlays.values()))
        print(args.picture)
    return 0


def _named(words: Sequence[str], option: str) -> dict[str, Path]:
    """Read `NAME=PATH` or `PATH`, whose name is then that of the folder above it and its own."""
    found: dict[str, Path] = {}
    for word in words:
        name, path = split_name(word)
        name = name or f"{path.resolve().parent.name}/{path.resolve().name}"
        if name in found:
            raise UserError(f"{option}: {found[name]} and {path} are both called {name}; give them different names.")
        found[name] = path
    return found


def _read(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"--text: {path} is no file. Write [HEADING=]FILE with the path of a text file.")
    return path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
