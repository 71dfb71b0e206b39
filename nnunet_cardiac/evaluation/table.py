"""The table of a segmentation result, one row for each case and structure, and what is read off it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.cases import LabelMapPair, match_cases, read_pair
from nnunet_cardiac.evaluation.distances import hd95_mm
from nnunet_cardiac.evaluation.overlap import dice_per_label
from nnunet_cardiac.evaluation.phases import assign_phases, split_case_name
from nnunet_cardiac.evaluation.volumes import ejection_fraction, myocardial_mass_g, volumes_ml

PHASES = ("ED", "ES")


def evaluate_folder(
    reference: Path,
    prediction: Path,
    labels: Mapping[str, int],
    progress: bool = True,
    *,
    cases: Iterable[str] | None = None,
    frames: Mapping[str, Mapping[str, int]] | None = None,
) -> pd.DataFrame:
    """Compare a folder of predicted label maps with the reference.

    Args:
        reference: Folder with reference label maps.
        prediction: Folder with predicted label maps of the same names.
        labels: Structure -> label value, canonical names as from `registry.anatomy_labels`; value 0 is skipped.
        progress: Show a progress bar on stderr.
        cases: Names to evaluate; by default all of `reference`.
        frames: Patient -> phase -> frame number; see :func:`assign_phases`. Phases always come from the reference.

    Returns:
        One row for each case and structure: `case`, `patient`, `phase` (`ED`, `ES` or empty), `structure`, `dice`,
        `hd95_mm`, `hd95_failed` (true if the structure is missing on exactly one side, where no distance exists),
        `volume_ml_reference`, `volume_ml_prediction`, `voxels_reference`, `voxels_prediction`.

    Raises:
        UserError: If files are missing, unreadable, hold other labels or lie on different grids.
    """
    structures = {name: value for name, value in labels.items() if value != 0}
    if not structures:
        raise UserError("labels: expected at least one structure besides the background, found none.")
    pairs = match_cases(Path(reference), Path(prediction), cases)
    rows: list[dict[str, object]] = []
    for pair in tqdm(pairs, desc="evaluate", unit="case", disable=not progress):
        maps = read_pair(pair, structures.values())
        rows += [{"case": pair.case, **row} for row in _structure_rows(maps, structures)]
    table = pd.DataFrame(rows)
    lv = table[table["structure"] == "LV"].set_index("case")["volume_ml_reference"]
    phases = assign_phases(lv.to_dict(), frames)
    table.insert(1, "patient", [split_case_name(case)[0] for case in table["case"]])
    table.insert(2, "phase", [phases.get(case, "") for case in table["case"]])
    return table


def mean_foreground_dice(table: pd.DataFrame) -> float:
    """Mean over structures of the mean over cases, NaN cases left out (nnU-Net's `foreground_mean`)."""
    return float(table.groupby("structure")["dice"].mean().mean())


def summarise(table: pd.DataFrame, by: Sequence[str] = ("structure",)) -> pd.DataFrame:
    """Dice and distance of groups of rows.

    Args:
        table: Table of :func:`evaluate_folder`.
        by: Columns that form a group, for example `("structure", "phase")`.

    Returns:
        Indexed by `by` in the order of the table: `cases` (with a defined Dice), `dice_mean`, `dice_min`, `dice_max`,
        `hd95_mean_mm`, `hd95_failed` (cases without a distance because the structure is missing on one side).
    """
    return table.groupby(list(by), sort=False).agg(
        cases=("dice", "count"),
        dice_mean=("dice", "mean"),
        dice_min=("dice", "min"),
        dice_max=("dice", "max"),
        hd95_mean_mm=("hd95_mm", "mean"),
        hd95_failed=("hd95_failed", "sum"),
    )


def indices(table: pd.DataFrame) -> pd.DataFrame:
    """Clinical indices of each patient whose phases are known.

    Args:
        table: Table of :func:`evaluate_folder`.

    Returns:
        One row for each patient and index: `patient`, `index` (`LV EDV`, `LV ESV`, `LV EF`, the same of `RV`, and
        `LV mass` at ED), `unit` (mL, % or g), `reference`, `prediction`, `difference` (prediction − reference).
        A phase that is missing gives NaN; a structure that the table lacks gives no row.
    """
    timed = table[table["phase"].isin(PHASES)]
    columns = ["patient", "index", "unit", "reference", "prediction"]
    rows: list[tuple[object, ...]] = []
    for patient, part in timed.groupby("patient"):
        sides = [_patient_indices(part, f"volume_ml_{side}") for side in ("reference", "prediction")]
        rows += [(patient, *key, sides[0][key], sides[1][key]) for key in sides[0]]
    result = pd.DataFrame(rows, columns=columns)
    result["difference"] = result["prediction"] - result["reference"]
    return result


def _structure_rows(maps: LabelMapPair, structures: Mapping[str, int]) -> list[dict[str, object]]:
    scores = dice_per_label(maps.reference, maps.prediction, structures)
    reference_ml = volumes_ml(maps.reference, structures, maps.spacing_mm)
    prediction_ml = volumes_ml(maps.prediction, structures, maps.spacing_mm)
    rows: list[dict[str, object]] = []
    for name, value in structures.items():
        reference, prediction = maps.reference == value, maps.prediction == value
        voxels = int(np.count_nonzero(reference)), int(np.count_nonzero(prediction))
        rows.append(
            {
                "structure": name,
                "dice": scores[name],
                "hd95_mm": hd95_mm(reference, prediction, maps.spacing_mm),
                "hd95_failed": (voxels[0] == 0) != (voxels[1] == 0),
                "volume_ml_reference": reference_ml[name],
                "volume_ml_prediction": prediction_ml[name],
                "voxels_reference": voxels[0],
                "voxels_prediction": voxels[1],
            }
        )
    return rows


def _patient_indices(part: pd.DataFrame, column: str) -> dict[tuple[str, str], float]:
    volume = part.set_index(["structure", "phase"])[column]
    present = set(part["structure"])
    values: dict[tuple[str, str], float] = {}
    for ventricle in ("LV", "RV"):
        if ventricle in present:
            edv, esv = (float(volume.get((ventricle, phase), np.nan)) for phase in PHASES)
            values[f"{ventricle} EDV", "mL"] = edv
            values[f"{ventricle} ESV", "mL"] = esv
            values[f"{ventricle} EF", "%"] = ejection_fraction(edv, esv)
    if "MYO" in present:
        values["LV mass", "g"] = myocardial_mass_g(float(volume.get(("MYO", "ED"), np.nan)))
    return values
