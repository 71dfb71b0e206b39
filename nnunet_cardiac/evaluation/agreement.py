"""Agreement of volumes (Bland and Altman, Lancet 1986), as Vesal et al. 2020 report it.

The difference is manual minus automatic, so a negative bias means that the automatic volume is too large. The paper
prints mm³ where only mL are plausible; here it is mL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nnunet_cardiac.evaluation.cases import match_cases, read_pair
from nnunet_cardiac.evaluation.volumes import volumes_ml
from nnunet_cardiac.files import read_json, write_json

#: Standard deviations between the bias and the limits that hold 95 percent of normally distributed differences.
_LIMIT = 1.96


@dataclass(frozen=True)
class Agreement:
    """Bias and limits of agreement.

    Attributes:
        cases: Pairs of volumes.
        bias_ml: Mean of manual minus automatic.
        sd_ml: Standard deviation of the differences, with n - 1; NaN for one pair.
        lower_ml: bias - 1.96 SD.
        upper_ml: bias + 1.96 SD.
    """

    cases: int
    bias_ml: float
    sd_ml: float
    lower_ml: float
    upper_ml: float

    def __str__(self) -> str:
        """One line for a log."""
        return (
            f"bias {self.bias_ml:+.2f} mL (manual - automatic), limits of agreement {self.lower_ml:+.2f} to "
            f"{self.upper_ml:+.2f} mL, {self.cases} cases"
        )


def bland_altman(manual_ml: Sequence[float], automatic_ml: Sequence[float]) -> Agreement:
    """Bias and limits of agreement of two lists of volumes in mL.

    Args:
        manual_ml: Reference.
        automatic_ml: Result for the same cases; pairs with a NaN are left out.

    Raises:
        ValueError: If the lists differ in length or hold no pair.
    """
    manual, automatic = (np.asarray(list(v), dtype=float) for v in (manual_ml, automatic_ml))
    if manual.shape != automatic.shape:
        raise ValueError(f"found {len(manual)} manual and {len(automatic)} automatic volumes, expected pairs.")
    difference = manual - automatic
    difference = difference[~np.isnan(difference)]
    if not len(difference):
        raise ValueError("found no pair of volumes, expected at least one.")
    bias = float(difference.mean())
    sd = float(difference.std(ddof=1)) if len(difference) > 1 else float("nan")
    return Agreement(len(difference), bias, sd, bias - _LIMIT * sd, bias + _LIMIT * sd)


def volume_agreement(table: pd.DataFrame) -> dict[str, Agreement]:
    """Agreement of each structure, over all cases of a table.

    Args:
        table: Rows with `structure`, `volume_ml_reference` and `volume_ml_prediction`, as `evaluate_folder` gives them.
    """
    return {
        str(structure): bland_altman(part["volume_ml_reference"], part["volume_ml_prediction"])
        for structure, part in table.groupby("structure", sort=False)
    }


def add_volume_agreement(
    predictions: Path,
    references: Path,
    labels: Mapping[str, int],
    file_ending: str,
    ignore_label: int | None = None,
) -> dict[str, Agreement]:
    """Add the agreement of volumes to nnU-Net's `summary.json`, under `volume_agreement`.

    Cases with voxels without a reference have no volume and are left out.

    Args:
        predictions: Validation folder with label maps and `summary.json`.
        references: Folder of the reference segmentations.
        labels: Structure -> label value.
        file_ending: Of the label maps.
        ignore_label: Value of voxels without a reference, or None.

    Returns:
        Structure -> agreement.

    Raises:
        UserError: If label maps are missing, unreadable or lie on different grids.
        ValueError: If there is no label map with a whole reference.
    """
    cases = [path.name.removesuffix(file_ending) for path in sorted(predictions.glob(f"*{file_ending}"))]
    rows = []
    for pair in match_cases(references, predictions, cases):
        maps = read_pair(pair, labels.values(), ignore_label=ignore_label)
        if maps.ignored is not None:
            continue
        manual, automatic = (volumes_ml(m, labels, maps.spacing_mm) for m in (maps.reference, maps.prediction))
        rows += [
            {"structure": name, "volume_ml_reference": manual[name], "volume_ml_prediction": automatic[name]}
            for name in manual
        ]
    if not rows:
        raise ValueError(
            f"{predictions}: {len(cases)} label maps, none with a reference of every voxel; expected the validation "
            "cases of a fold."
        )
    found = volume_agreement(pd.DataFrame(rows))
    summary = predictions / "summary.json"
    content = read_json(summary) if summary.is_file() else {}
    write_json(summary, {**content, "volume_agreement": {name: asdict(value) for name, value in found.items()}})
    return found
