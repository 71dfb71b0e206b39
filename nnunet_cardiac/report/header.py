"""The top of a page: the numbers that everyone looks for, and what was compared."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_cardiac.evaluation.orientation import orientation_words
from nnunet_cardiac.evaluation.results import Results
from nnunet_cardiac.evaluation.summary import mean_dice
from nnunet_cardiac.report.formats import number


def tiles(results: Results) -> list[tuple[str, str]]:
    """Name and value of the key numbers."""
    facts, found = results.facts, results.table("agreement")
    shown = [("Patients", str(facts["patients"])), ("Label maps", str(facts["cases"]))]
    shown += [(f"Mean Dice, {name}", number(dice, 3)) for name, dice in mean_dice(results.table("summary")).items()]
    for row in found[found["index"] == "LV EF"].to_dict("records") if len(found) else ():
        shown.append((f"LV EF error (MAE), {row['method']}", f"{number(row['mae'], 1)} points"))
    return shown


def words(results: Results) -> list[str]:
    """What was compared, and what could not be."""
    facts = results.facts
    order = ", ".join(f"{value} {name}" for name, value in facts["labels"].items())
    said = [f"Predictions of {' and '.join(facts['methods'])} against references, labels {order}."]
    for method, left_out in facts["left_out"].items():
        if left_out:
            said.append(f"{method}: {len(left_out)} cases without a prediction are not evaluated.")
    if partly := facts.get("partly_annotated"):
        said.append(
            f"{len(partly)} references have voxels without a label ({_few(partly)}). Predictions there count neither "
            "way; distances, volumes and function of these cases, and wall and plausibility of these references, are "
            "not given."
        )
    for method, counts in facts["distance_failed"].items():
        missed = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
        if missed:
            said.append(f"{method}: structures missing on one side, in cases: {missed}.")
    said += orientation_words(facts.get("orientation", {}), results.table("plausibility"))
    return [*said, *_never_found(results)]


def _never_found(results: Results) -> list[str]:
    """Structures that are in references but in no prediction of a method."""
    cases = results.table("cases")
    found = cases.groupby(["method", "structure"], sort=False)[["voxels_reference", "voxels_prediction"]].sum()
    never = found[(found["voxels_prediction"] == 0) & (found["voxels_reference"] > 0)]
    names: dict[str, list[str]] = {}
    for method, structure in never.index:
        names.setdefault(method, []).append(structure)
    return [
        f"{method} never finds {' and '.join(own)}: there are no distances, and volumes of the predictions are 0."
        for method, own in names.items()
    ]


def _few(cases: Sequence[str], most: int = 5) -> str:
    return ", ".join(cases[:most]) + (", ..." if len(cases) > most else "")
