"""Clinical indices of each patient from the volumes at end-diastole and end-systole.

Volumes are voxels times slice distance (summation of slices). On stacks of thick slices the base is cut at a slice
border, so that a volume is uncertain by up to half a slice of basal area whatever made the label map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.ed_es import PHASES
from nnunet_cardiac.evaluation.patients import PatientTable
from nnunet_cardiac.evaluation.volumes import ejection_fraction, myocardial_mass_g
from nnunet_cardiac.patients.cohort import read_names

#: Formula -> body surface area in m2 from height in cm and weight in kg.
BSA_FORMULAS = {
    "mosteller": lambda height, weight: math.sqrt(height * weight / 3600),  # Mosteller 1987
    "dubois": lambda height, weight: 0.007184 * height**0.725 * weight**0.425,  # Du Bois and Du Bois 1916
}
SIDES = ("reference", "prediction")


def body_surface_area_m2(height_cm: float, weight_kg: float, formula: str = "mosteller") -> float:
    """Body surface area.

    Args:
        height_cm: Height.
        weight_kg: Weight.
        formula: Key of `BSA_FORMULAS`.

    Raises:
        UserError: If the formula is unknown.
    """
    if formula not in BSA_FORMULAS:
        raise UserError(f"body surface area: no formula {formula!r}; choose one of {', '.join(BSA_FORMULAS)}.")
    return BSA_FORMULAS[formula](height_cm, weight_kg)


def indices(table: pd.DataFrame, patients: PatientTable | None = None, formula: str = "mosteller") -> pd.DataFrame:
    """Clinical indices of each patient: function of the ventricles where phases are known, volume of the left atrium.

    Args:
        table: Table of :func:`nnunet_cardiac.evaluation.table.evaluate_folder`, of one method; repeated runs are
            averaged.
        patients: Height and weight; without, nothing is indexed.
        formula: Of the body surface area.

    Returns:
        One row for each patient and index: `patient`, `index` (`LV EDV`, `LV ESV`, `LV SV`, `LV EF`, the same of `RV`,
        `LV mass` at ED, and `LA volume` of images without a phase; indexed by body surface area with a final `i`:
        `LV EDVi`), `unit` (mL, %, g, mL/m2, g/m2), `reference`, `prediction`, `difference` (prediction − reference). A
        phase that is missing gives NaN; a structure that the table lacks gives no row.
    """
    columns = ["patient", "index", "unit", "reference", "prediction"]
    rows: list[tuple[object, ...]] = []
    for patient, part in _whole_volumes(table).groupby("patient"):
        area = _area(str(patient), patients or PatientTable(), formula)
        sides = [_with_indexed(_patient_indices(part, f"volume_ml_{side}"), area) for side in SIDES]
        rows += [(patient, *key, sides[0][key], sides[1][key]) for key in sides[0]]
    result = pd.DataFrame(rows, columns=columns)
    result["difference"] = result["prediction"] - result["reference"]
    return result


def volume_curves(table: pd.DataFrame) -> pd.DataFrame:
    """Volume of each structure over the frames of each patient with more than two frames.

    Args:
        table: As of :func:`indices`, all methods; the frame is the number that the case name gives.

    Returns:
        `method`, `patient`, `structure`, `frame`, `volume_ml_reference`, `volume_ml_prediction`, in order of the
        frames.
    """
    keys = ["method", "patient", "structure", "frame"]
    volumes = ["volume_ml_reference", "volume_ml_prediction"]
    frames = _whole_volumes(table).dropna(subset="frame")
    curve = frames.groupby(keys, sort=False)[volumes].mean().reset_index()
    many = curve.groupby(keys[:3])["frame"].transform("count") > len(PHASES)
    return curve[many].astype({"frame": int}).sort_values(keys, kind="stable", ignore_index=True)


def wall_indices(walls: pd.DataFrame) -> pd.DataFrame:
    """Thickness at ED and ES and thickening of each segment.

    Args:
        walls: `walls` of an evaluation.

    Returns:
        `method`, `patient`, `group`, `segment`, `name`, `source`, `ed_thickness_mm`, `es_thickness_mm`,
        `thickening_percent` (100 · (ES − ED) / ED); NaN where a phase is missing.
    """
    keys = ["method", "patient", "group", "segment", "name", "source"]
    if walls.empty:
        return pd.DataFrame(columns=[*keys, "ed_thickness_mm", "es_thickness_mm", "thickening_percent"])
    timed = walls[walls["phase"].isin(PHASES)]
    wide = timed.pivot_table("thickness_mm", keys, "phase", dropna=False, observed=True).reindex(columns=list(PHASES))
    wide = wide.loc[wide.index.isin(pd.MultiIndex.from_frame(timed[keys]))]
    wide.columns = ["ed_thickness_mm", "es_thickness_mm"]
    wide["thickening_percent"] = 100 * (wide["es_thickness_mm"] / wide["ed_thickness_mm"] - 1)
    return wide.reset_index()


def _whole_volumes(table: pd.DataFrame) -> pd.DataFrame:
    """Volumes with their `frame`; cases that are single slices of a volume are added up, repeated runs averaged."""
    names = read_names(table["case"])
    table = table.assign(
        frame=[math.nan if (frame := names[case].frame) is None else float(frame) for case in table["case"]],
        stack=[" ".join(map(str, names[case].stack)) for case in table["case"]],
    )
    if all(name.slice is None for name in names.values()):
        return table
    volumes = ["volume_ml_reference", "volume_ml_prediction"]
    keys = [key for key in ("method", "patient", "structure", "phase", "stack", "frame") if key in table]
    slices = table.groupby([*keys, "case"], sort=False, dropna=False)[volumes].mean()
    # Without one of its slices a stack has no volume.
    return slices.groupby(keys, sort=False, dropna=False)[volumes].agg(_whole_sum).reset_index()


def _whole_sum(values: pd.Series) -> float:
    return float(values.sum(skipna=False))


def _whole_mean(values: pd.Series) -> float:
    return float(values.mean(skipna=False))


def _area(patient: str, patients: PatientTable, formula: str) -> float:
    if patient not in patients.height_cm or patient not in patients.weight_kg:
        return math.nan
    return body_surface_area_m2(patients.height_cm[patient], patients.weight_kg[patient], formula)


def _with_indexed(values: Mapping[tuple[str, str], float], area_m2: float) -> dict[tuple[str, str], float]:
    if math.isnan(area_m2):
        return dict(values)
    indexed = {(f"{name}i", f"{unit}/m2"): value / area_m2 for (name, unit), value in values.items() if unit != "%"}
    return {**values, **indexed}


def _patient_indices(part: pd.DataFrame, column: str) -> dict[tuple[str, str], float]:
    # Of a patient with several examinations all count, or none: both sides are means over the same ones.
    volume = part.groupby(["structure", "phase"])[column].agg(_whole_mean)
    present = set(part.loc[part["phase"].isin(PHASES), "structure"])
    values: dict[tuple[str, str], float] = {}
    for ventricle in ("LV", "RV"):
        if ventricle in present:
            edv, esv = (float(volume.get((ventricle, phase), np.nan)) for phase in PHASES)
            values[f"{ventricle} EDV", "mL"] = edv
            values[f"{ventricle} ESV", "mL"] = esv
            values[f"{ventricle} SV", "mL"] = edv - esv
            values[f"{ventricle} EF", "%"] = ejection_fraction(edv, esv)
    if "MYO" in present:
        values["LV mass", "g"] = myocardial_mass_g(float(volume.get(("MYO", "ED"), np.nan)))
    if ("LA", "") in volume.index:  # late enhancement is imaged at one moment
        values["LA volume", "mL"] = float(volume["LA", ""])
    return values
