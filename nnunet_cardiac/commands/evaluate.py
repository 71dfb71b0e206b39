"""`nnunet_cardiac evaluate`: predicted label maps against references."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

HELP = "compare predicted label maps with references: overlap, distances, volumes, function, agreement"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `evaluate`."""
    parser.epilog = (
        "Several folders without a name are several methods. The same NAME twice joins folds (folders that share no "
        "case) or averages repeated trainings. nnunet_cardiac report -i FOLDER makes a page of the result."
    )
    parser.add_argument("-gt", type=Path, required=True, metavar="FOLDER", help="reference label maps, e.g. labelsTs")
    parser.add_argument(
        "-p",
        nargs="+",
        required=True,
        metavar="[NAME=]FOLDER",
        help="predicted label maps of the same file names; a folder that exists is taken as it is, so its path may "
        "hold =",
    )
    parser.add_argument("-o", type=Path, metavar="FOLDER", help="where to write (the predictions' folder/evaluation)")
    labels = parser.add_argument_group("labels", "by default from dataset.json in or beside each folder")
    labels.add_argument(
        "--labels", nargs="+", metavar="NAME=N", help="numbers in the references: RV=1 MYO=2 LV=3 ignore=4"
    )
    labels.add_argument("--prediction-labels", nargs="+", metavar="NAME=N", help="numbers in the predictions")
    labels.add_argument(
        "--map-labels", action="store_true", help="translate predictions whose dataset.json numbers otherwise"
    )
    labels.add_argument("--no-order-check", action="store_true", help="do not look for exchanged labels")
    cases = parser.add_argument_group("cases and patients")
    cases.add_argument(
        "--cases",
        nargs="+",
        metavar="CASE",
        help="cases to evaluate (all references); the frames of a 4D file are NAME_frame01, NAME_frame02 and so on, "
        "and NAME means all of them",
    )
    cases.add_argument("--allow-missing", action="store_true", help="evaluate what is predicted and list the rest")
    cases.add_argument(
        "--patients",
        type=Path,
        metavar="TABLE",
        help="CSV or .xlsx: patient, group, ed_frame, es_frame, height_cm, weight_kg, and with case, patient, phase "
        "whose the cases are (patients and cases, .csv or .xlsx, in or beside the reference folder, else the names)",
    )
    cases.add_argument(
        "--bsa", choices=("mosteller", "dubois"), default="mosteller", help="body surface area (%(default)s)"
    )
    parser.add_argument("--tolerance", type=float, default=2.0, metavar="MM", help="of surface Dice (%(default)s)")
    parser.add_argument("-np", "--threads", dest="np", type=int, metavar="N", help="processes (all usable cores)")


def run(args: argparse.Namespace) -> int:
    """Evaluate, write the files and print the summary."""
    from nnunet_cardiac.devices import usable_cores
    from nnunet_cardiac.errors import UserError
    from nnunet_cardiac.evaluation.folders import cohort_of, evaluate_folders
    from nnunet_cardiac.evaluation.methods import named_folders
    from nnunet_cardiac.evaluation.orientation import orientation_words
    from nnunet_cardiac.evaluation.results import check_target, write_results

    methods = named_folders(args.p)
    if args.o is None and len(methods) > 1:
        raise UserError("several methods: say where to write with -o FOLDER.")
    folder = args.o or next(iter(methods.values()))[0] / "evaluation"
    check_target(folder)
    results = evaluate_folders(
        args.gt,
        args.p,
        labels=args.labels,
        prediction_labels=args.prediction_labels,
        map_labels=args.map_labels,
        check_order=not args.no_order_check,
        cases=args.cases,
        allow_missing=args.allow_missing,
        patients=args.patients,
        body_surface=args.bsa,
        tolerance_mm=args.tolerance,
        workers=usable_cores(args.np or None),
        progress=not args.quiet,
    )
    written = write_results(folder, results)
    print(_shown(results.table("summary")))
    if partly := results.facts["partly_annotated"]:
        print(f"{len(partly)} of {results.facts['cases']} references have voxels without a label: Dice of the others.")
    for words in orientation_words(results.facts["orientation"], results.table("plausibility")):
        print(words)
    cohort = cohort_of(args.gt, args.patients)
    evaluated = cohort.of(results.table("cases")["case"])
    origin = f", by {', '.join(map(str, cohort.tables))}" if cohort.tables else ""
    print(f"Patients: {evaluated}{origin}")
    print(f"{len(written)} files in {folder}; a page of them: nnunet_cardiac report -i {folder}")
    return 0


def _shown(summary: pd.DataFrame) -> str:
    """The lines that everyone looks for: each structure over all cases."""
    from nnunet_cardiac.evaluation.summary import ALL

    wanted = ["dice", "hd_mm", "hd95_pooled_mm", "assd_mean_of_means_mm", "surface_dice"]
    over_all = summary[(summary[["phase", "group", "level"]] == ALL).all(axis=1) & summary["metric"].isin(wanted)]
    over_all = over_all.set_index(["method", "structure"])
    dice = over_all[over_all["metric"] == "dice"]
    table = over_all.set_index("metric", append=True)["mean"].unstack("metric").reindex(dice.index)[wanted]
    table[["cases", "failed"]] = dice[["cases", "failed"]]
    return table.to_string(float_format=lambda value: f"{value:.3f}")
