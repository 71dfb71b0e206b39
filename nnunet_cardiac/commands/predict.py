"""`nnunet_cardiac predict`: from images or DICOM studies to label maps and indices, every stage in one process."""

from __future__ import annotations

import argparse
import logging
import math
import os
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import FIRST_TRAINER

if TYPE_CHECKING:
    from nnunet_cardiac.inference.indices import Row
    from nnunet_cardiac.inference.results import PredictOptions, Result
    from nnunet_cardiac.inference.running_table import RunningTable
    from nnunet_cardiac.inference.sources import Source
    from nnunet_cardiac.inference.workspace import Workspace

logger = logging.getLogger(__name__)

HELP = "segment images, cine series and DICOM studies with a trained system, all stages in one process"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `predict`."""
    parser.epilog = (
        "Writes NAME.nii.gz and NAME.json for each stack or series. The JSON file holds nothing of the patient; names "
        "of image files are kept, names of DICOM folders only if they do not hold the patient's."
    )
    parser.add_argument(
        "-i", required=True, type=Path, metavar="INPUT", help="image, DICOM study, DICOMDIR, zip archive, or a folder"
    )
    parser.add_argument("-o", type=Path, metavar="FOLDER", help="folder for the results")
    model = parser.add_argument_group("model", "a result folder (-m), or what nnUNetv2_predict takes")
    model.add_argument(
        "-m", type=Path, metavar="FOLDER", help="result folder of the last stage; earlier ones are found"
    )
    model.add_argument("-d", metavar="DATASET", help="number or name of the data set")
    model.add_argument("-c", metavar="CONFIGURATION", help="last stage, such as 2d_crop")
    model.add_argument("-tr", default=FIRST_TRAINER, metavar="TRAINER", help="default: %(default)s")
    model.add_argument("-p", default="nnUNetPlans", metavar="PLANS", help="default: %(default)s")
    model.add_argument("-f", nargs="+", metavar="FOLD", help="folds to average (default: all that are trained)")
    model.add_argument("-chk", default="checkpoint_final.pth", metavar="FILE", help="default: %(default)s")
    model.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="load checkpoints that hold more than plain data; loading them can run code",
    )
    compute = parser.add_argument_group("computation")
    compute.add_argument("-device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps (%(default)s)")
    compute.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="fp32 gives the stock commands' label map; auto is the fastest of the device (%(default)s)",
    )
    compute.add_argument("--mirroring", action="store_true", help="average over mirror images, up to four times slower")
    compute.add_argument("--threads", type=int, metavar="N", help="processor threads (default: the cores we may use)")
    images = parser.add_argument_group("input and output")
    images.add_argument(
        "--dimensions", choices=("auto", "3d", "4d"), default="auto", help="refuse other files (%(default)s)"
    )
    images.add_argument(
        "--spacing", nargs=3, type=float, metavar=("X", "Y", "Z"), help="voxel size in mm, whatever the files say"
    )
    images.add_argument(
        "--orientation",
        choices=("auto", "canonical", "as-stored"),
        default="auto",
        help="bring images to lie as the training images do (auto), canonically, or leave them as stored (%(default)s)",
    )
    images.add_argument(
        "--series",
        default="",
        metavar="SERIES",
        help="number or description of a series of a DICOM study, or all (default: its short-axis stack)",
    )
    images.add_argument("--list", action="store_true", help="show what a DICOM study holds and what would be used")
    images.add_argument("--ed", type=int, metavar="FRAME", help="end-diastole, counted from 1 (default: largest LV)")
    images.add_argument("--es", type=int, metavar="FRAME", help="end-systole, counted from 1 (default: smallest LV)")
    images.add_argument(
        "--indices", action="store_true", help="write and print EDV, ESV, SV, EF and mass (indices.csv)"
    )
    images.add_argument("--dicom-seg", action="store_true", help="also write DICOM segmentation objects")
    images.add_argument("--allow-gaps", action="store_true", help="leave missing slices and frames without labels")
    images.add_argument("--keep-identifiers", action="store_true", help="write the patient's ID and name into the JSON")
    cohort = parser.add_argument_group("many cases")
    existing = cohort.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace results that exist")
    existing.add_argument("--resume", action="store_true", help="keep finished results, segment the rest")
    cohort.add_argument("--num-parts", type=int, default=1, metavar="N", help="share the cases among N processes")
    cohort.add_argument("--part-id", type=int, default=0, metavar="I", help="which part this one is, from 0")
    cohort.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="share the cases among the machines of a Ray cluster, HOST:PORT; auto: RAY_ADDRESS, or this machine",
    )
    cohort.add_argument(
        "--ray-actors",
        type=int,
        metavar="N",
        help="processes on the cluster, each with the model (default: one for each GPU, without GPUs for each machine)",
    )


def run(args: argparse.Namespace) -> int:
    """Segment the input; 1 if a case failed."""
    _check_counts(args)
    from nnunet_cardiac.inference.workspace import Workspace

    if args.list:
        with Workspace() as workspace:
            return _show_studies(args, workspace)
    if args.o is None:
        raise UserError("Nowhere to write: give a folder for the results with -o.")
    model = {
        "folder": _model_folder(args),
        "folds": args.f,
        "checkpoint": args.chk,
        "device": args.device,
        "precision": args.precision,
        "mirroring": args.mirroring,
        "trust_checkpoint": args.trust_checkpoint,
        "orientation": args.orientation,
    }
    _check_output(args)
    # The machines of a cluster share the disk of the results, and perhaps no other.
    with Workspace(None if args.ray is None else args.o.absolute()) as workspace:
        segment = _segment_here if args.ray is None else _segment_on_ray
        results, table = segment(args, model, workspace)
    if table is not None:
        _print_indices(table.finish(results))
    _print_summary(results)
    return 1 if any(result.status == "failed" for result in results) else 0


def _show_studies(args: argparse.Namespace, workspace: Workspace) -> int:
    """Print what the input holds, and read no pixel; 1 if a study cannot be read or has nothing to segment."""
    from nnunet_cardiac.dicom.table import shown
    from nnunet_cardiac.inference.dicom import read_table
    from nnunet_cardiac.inference.sources import find_sources

    status = 0
    for source in find_sources(args.i, 1, workspace):
        print(source.name)
        if source.problem:
            print(f"  {source.problem}")
            status = 1
            continue
        if not source.is_dicom:
            print("\n".join(f"  image file {path.name}" for path in source.paths))
            continue
        try:
            _, choice = read_table(source.paths, allow_gaps=args.allow_gaps, series=args.series)
        except Exception as error:  # whatever is in a file, the other studies are shown
            print(f"  {error if isinstance(error, UserError) else f'{type(error).__name__}: {error}'}")
            status = 1
            continue
        print(indent(shown(choice.rows), "  "))
        for sentence in (*choice.refusals, *choice.warnings):
            print(f"  {sentence}")
        status = status if choice.used else 1
    return status


def _segment_here(
    args: argparse.Namespace, model: dict[str, Any], workspace: Workspace
) -> tuple[list[Result], RunningTable | None]:
    import torch

    from nnunet_cardiac.devices import choose_device, usable_cores
    from nnunet_cardiac.inference.cohort import segment
    from nnunet_cardiac.inference.predictor import CardiacPredictor
    from nnunet_cardiac.workflow.other_jobs import warn_of_other_jobs

    torch.set_num_threads(usable_cores(args.threads))
    if choose_device(args.device) == "cpu":
        warn_of_other_jobs(torch.get_num_threads())
    predictor = CardiacPredictor.from_folder(**model)
    sources, options = _cases(args, predictor.channels, workspace)
    table = _table(args, sources, options)
    results = segment(predictor, sources, options, progress=not args.quiet, report=table.add if table else None)
    return results, table


def _segment_on_ray(
    args: argparse.Namespace, model: dict[str, Any], workspace: Workspace
) -> tuple[list[Result], RunningTable | None]:
    """The model stays unread here, but for what says which input it takes."""
    from nnunet_cardiac.files import read_json
    from nnunet_cardiac.inference.model_folder import find_stages, image_channels
    from nnunet_cardiac.inference.on_ray import segment_on_ray
    from nnunet_cardiac.inference.ray_cluster import import_ray
    from nnunet_cardiac.inference.training_storage import find_training_storage

    import_ray(args.ray)
    stages = find_stages(model["folder"], model["folds"], model["checkpoint"])
    storage = find_training_storage(stages, args.orientation)
    if storage.warning:
        logger.warning("%s", storage.warning)
    model = {**model, "orientation": storage.record}  # what this machine knows of the training set holds on all
    sources, options = _cases(args, image_channels(read_json(stages[-1].folder / "dataset.json")), workspace)
    table = _table(args, sources, options)
    results = segment_on_ray(
        args.ray,
        model,
        sources,
        options,
        workers=args.ray_actors,
        threads=args.threads,
        progress=not args.quiet,
        report=table.add if table else None,
    )
    return results, table


def _cases(args: argparse.Namespace, channels: int, workspace: Workspace) -> tuple[list[Source], PredictOptions]:
    """The cases of this part, and options that know the inputs of all parts."""
    from nnunet_cardiac.inference.output_names import input_names, refuse_shared_files
    from nnunet_cardiac.inference.sources import find_sources

    sources = find_sources(args.i, channels, workspace)
    args.o.mkdir(parents=True, exist_ok=True)
    refuse_shared_files(sources, args.o, args.dicom_seg)
    return sources[args.part_id :: args.num_parts], _options(args, input_names(sources, args.o))


def _table(args: argparse.Namespace, sources: list[Source], options: PredictOptions) -> RunningTable | None:
    if not args.indices:
        return None
    from nnunet_cardiac.inference.existing import finished_before
    from nnunet_cardiac.inference.running_table import RunningTable

    return RunningTable(_table_path(args), finished_before(sources, options) if args.resume else ())


def _table_path(args: argparse.Namespace) -> Path:
    return args.o / ("indices.csv" if args.num_parts == 1 else f"indices_part{args.part_id}of{args.num_parts}.csv")


def _options(args: argparse.Namespace, inputs: frozenset[str]) -> PredictOptions:
    from nnunet_cardiac.inference.results import PredictOptions

    return PredictOptions(
        output=args.o,
        existing="overwrite" if args.overwrite else "resume" if args.resume else "refuse",
        dimensions=args.dimensions,
        ed=args.ed,
        es=args.es,
        allow_gaps=args.allow_gaps,
        keep_identifiers=args.keep_identifiers,
        dicom_seg=args.dicom_seg,
        spacing_mm=None if args.spacing is None else tuple(args.spacing),
        inputs=inputs,
        series=args.series,
    )


def _check_counts(args: argparse.Namespace) -> None:
    if not 0 <= args.part_id < args.num_parts:
        raise UserError(f"--part-id is {args.part_id}, expected 0 to {args.num_parts - 1} (--num-parts - 1).")
    for option, value in (("--threads", args.threads), ("--ray-actors", args.ray_actors)):
        if value is not None and value < 1:
            raise UserError(f"{option} is {value}, expected 1 or more.")
    if args.spacing is not None and not all(0 < size < math.inf for size in args.spacing):
        raise UserError(f"--spacing is {' '.join(map(str, args.spacing))}, expected three positive sizes in mm.")
    if args.ray_actors is not None and args.ray is None:
        raise UserError("--ray-actors needs --ray auto or --ray HOST:PORT; without it there is one process.")


def _model_folder(args: argparse.Namespace) -> Path:
    if args.m is not None:
        if args.d or args.c:
            raise UserError("-m names the model already; leave -d and -c out.")
        return args.m
    if not (args.d and args.c):
        raise UserError("No model: give its result folder with -m, or data set and configuration with -d and -c.")
    from nnunet_cardiac.workflow.folders import find_dataset

    return find_dataset(os.environ, "nnUNet_results", args.d) / f"{args.tr}__{args.p}__{args.c}"


def _check_output(args: argparse.Namespace) -> None:
    from nnunet_cardiac.inference.existing import refuse_foreign_table
    from nnunet_cardiac.inference.indices import COLUMNS

    if args.o.exists() and not args.o.is_dir():
        raise UserError(f"{args.o}: is a file, expected a folder for the results. Choose another name with -o.")
    if args.indices:
        refuse_foreign_table(_table_path(args), COLUMNS)


def _print_indices(rows: list[Row]) -> None:
    width = max((len(row[0]) for row in rows), default=0)
    for case, index, unit, value in rows:
        print(f"{case:{width}}  {index:12}  {value:8.1f} {unit}")


def _print_summary(results: list[Result]) -> None:
    """One line a series, those that need a look last."""
    width = max((len(result.name) for result in results), default=0)
    for result in sorted(results, key=lambda result: result.status == "failed"):
        content = result.sidecar or {}
        phases = " ".join(f"{phase} {frame}" for phase, frame in content.get("phases", {}).items())
        warnings = len(content.get("warnings", ()))
        notes = [phases, f"{warnings} warnings" if warnings else "", result.message]
        line = f"{result.name:{width}}  {result.status:7}  {result.seconds:7.1f} s  {'  '.join(n for n in notes if n)}"
        print(line.rstrip())
    counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
    print(", ".join(f"{number} {status}" for status, number in counts.items()))
