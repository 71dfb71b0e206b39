"""`nnunet_cardiac plan`: add the configurations that a trainer needs to nnU-Net's plans file."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_cardiac.files import read_json
from nnunet_cardiac.systems import FIRST_TRAINER, TRAINERS
from nnunet_cardiac.systems.kinds import WholeStack
from nnunet_cardiac.workflow.folders import dataset_number, find_dataset, raw_dataset

if TYPE_CHECKING:
    from nnunet_cardiac.planning.plan import Planned

HELP = "add the configurations that a trainer needs to nnU-Net's plans file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `plan`."""
    parser.epilog = (
        "Run nnUNetv2_plan_and_preprocess -d ID -c 2d first, or -c 3d_fullres for the trainers of 3D networks. A "
        "configuration that needs data of its own is named with the command that makes them. Planned again, an entry "
        "keeps what you wrote into it, and the options of earlier runs hold unless they are given anew."
    )
    parser.add_argument("-d", required=True, metavar="DATASET", help="number or name of the data set")
    parser.add_argument("-tr", choices=tuple(TRAINERS), default=FIRST_TRAINER, help="default: %(default)s")
    parser.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="name of the plans file (%(default)s)")
    parser.add_argument(
        "--anew", action="store_true", help="forget what you wrote into this trainer's entries, and earlier options"
    )
    parser.add_argument(
        "--patients",
        type=Path,
        metavar="CSV",
        help="case, patient: whose the cases are (cases.csv or patients.csv of the raw data set, else the names)",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--short",
        action="store_true",
        help="write PLANSShort: a recipe that learns faster than the papers', 100 epochs unless -tr names a number",
    )
    kind.add_argument(
        "--small",
        action="store_true",
        help="write PLANSSmall: networks of half the width, a recipe for short trainings, for machines without a GPU",
    )
    kind.add_argument(
        "--paper",
        action="store_true",
        help="write PLANSPaper: grid, preprocessing, crop and recipe of the paper, and say what it leaves open",
    )
    _add_crop_arguments(parser.add_argument_group("crop", "how the window is found in the coarse prediction"))


def _add_crop_arguments(crop: argparse._ArgumentGroup) -> None:
    flag = argparse.BooleanOptionalAction
    crop.add_argument("--window", type=int, metavar="PIXELS", help="side of the window (default: from the data set)")
    crop.add_argument("--margin", type=int, metavar="PIXELS", help="margin per side, mm in volumes (default: ours)")
    crop.add_argument("--per-slice", action=flag, help="one box per slice (default: one per stack)")
    crop.add_argument("--mask-outside", action=flag, help="zero the window outside the enlarged box (default: no)")
    crop.add_argument(
        "--whole-coarse", action=flag, help="show all coarse labels in the window (default: the heart alone)"
    )
    crop.add_argument(
        "--jitter", type=int, metavar="PIXELS", help="shift of training windows (default: 8, in volumes 10 mm)"
    )
    crop.add_argument(
        "--localiser", metavar="CONFIGURATION", help="configuration to crop from (default: the system's own)"
    )
    crop.add_argument("--localiser-trainer", metavar="TRAINER", help="its trainer, if it is another one")
    crop.add_argument(
        "--coarse",
        choices=("predicted", "simulated"),
        help="coarse labels of training cases: predicted out of fold by the first stage (all folds have to be "
        "trained), or simulated from the reference where predictions are missing (default: predicted; simulated for "
        "DRUNetTrainer, which is ours: its paper crops from the activation map in training, too)",
    )


def run(args: argparse.Namespace) -> int:
    """Add the configurations and say what they are."""
    from nnunet_cardiac.patients.cohort import read_patients
    from nnunet_cardiac.patients.fold_file import known_cases, raw_tables
    from nnunet_cardiac.planning.options import PAPER, CropOptions
    from nnunet_cardiac.planning.paper import paper_notes
    from nnunet_cardiac.planning.plan import ensure_patient_splits, plan_configurations

    folder = find_dataset(os.environ, "nnUNet_preprocessed", args.d)
    tables = raw_tables(folder.name, os.environ) if args.patients is None else [args.patients]
    cohort = read_patients(known_cases(folder), tables)  # first: a wrong table is said before hearts are measured
    options = CropOptions(
        window=args.window,
        margin=args.margin,
        per_slice=args.per_slice,
        mask_outside=args.mask_outside,
        heart_only=None if args.whole_coarse is None else not args.whole_coarse,
        jitter=args.jitter,
        coarse_labels=args.coarse,
        small=args.small,
        short=args.short,
        paper=args.paper,
        localiser=args.localiser,
        localiser_trainer=args.localiser_trainer,
    )
    raw = raw_dataset(folder.name, os.environ)
    planned = plan_configurations(folder, args.p, args.tr, options, not args.quiet, args.anew, raw)
    splits = ensure_patient_splits(folder, raw, cohort, not args.quiet)
    print("\n".join(_report(planned, args.tr)))
    if planned.kind == PAPER:
        print("\n".join(paper_notes(TRAINERS[args.tr], read_json(folder / "dataset.json")["labels"])))
    print("".join(_to_preprocess(planned, folder)), end="")
    origin = f", by {', '.join(map(str, cohort.tables))}" if cohort.tables else ""
    print(f"Plans: {planned.path}\nFolds: {splits}\nPatients: {cohort}{origin}")
    return 0


def _report(planned: Planned, trainer: str) -> Iterator[str]:
    """What was planned, what changed and what the user wrote."""
    for name, entry in planned.entries.items():
        yield f"{name}: {_facts(entry, isinstance(TRAINERS[trainer].find(name), WholeStack))}"
    for change in planned.changed:
        yield f"Changed: {change.place} {_shown(change.old)} -> {_shown(change.new)}"
    for change in planned.kept:
        yield f"Kept, yours: {change.place} {_shown(change.old)}; planned: {_shown(change.new)}"
    for coarse, name in planned.linked:
        yield f"Linked: {coarse} predicts for {name}; validate folds again that are trained already (--val)"
    for coarse, name in planned.unlinked:
        yield f"Not linked any more: {coarse} predicted for {name}, which is not in the plans"


def _shown(value: Any) -> str:
    return "none" if value is None else json.dumps(value)


def _to_preprocess(planned: Planned, folder: Path) -> Iterator[str]:
    """The commands that make data which are not there yet."""
    named: dict[str, str] = {}  # data folder -> first configuration that needs it
    for name, entry in planned.entries.items():
        if "data_identifier" in entry and not (folder / entry["data_identifier"]).is_dir():
            named.setdefault(entry["data_identifier"], name)
    for name in named.values():
        yield f"To do: nnUNetv2_preprocess -d {dataset_number(folder)} -c {name} -plans_name {planned.path.stem}\n"


def _facts(entry: Mapping[str, Any], whole_stacks: bool) -> str:
    """What a user wants to know of a configuration that was added."""
    stacks = f"stacks up to {' x '.join(map(str, entry['patch_size']))}"
    if entry.get("previous_stage") is None:
        spacing = "" if "spacing" not in entry else f", {' x '.join(f'{s:g}' for s in entry['spacing'])} mm"
        kind = "localiser" if "training_patch_size" in entry and not whole_stacks else "whole images"
        return f"{kind}, {stacks}{spacing}"
    window = " x ".join(map(str, entry["architecture"]["arch_kwargs"]["window"]))
    return (
        f"window {window} pixels around the result of {entry['previous_stage']}, {stacks}, "
        f"coarse labels {entry['coarse_labels']}"
    )
