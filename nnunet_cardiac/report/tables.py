"""Tables of the result page: overlap by structure and phase, cases from worst to best, volumes by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from nnunet_cardiac.evaluation.ed_es import PHASES
from nnunet_cardiac.evaluation.indices import indices
from nnunet_cardiac.evaluation.table import mean_foreground_dice, summarise
from nnunet_cardiac.report.content import Stage
from nnunet_cardiac.report.html import Markup, head_cells, number, row, table

#: Of volumes in mL, fractions in % and mass in g; a voxel of cine MRI holds 0.01 to 0.03 mL.
_DIGITS = 1


def case_dice(stage: Stage) -> pd.Series:
    """Mean Dice over the structures of each case, lowest first; cases without a defined Dice are left out."""
    return stage.table.groupby("case")["dice"].mean().dropna().sort_values(kind="stable")


def dice_table(stages: Sequence[Stage]) -> str:
    """Dice (mean, lowest and highest case) and HD95 of each structure, over all cases and by phase.

    Args:
        stages: At least one stage; all are of the same cases.

    Returns:
        HTML.
    """
    tables = [stage.table for stage in stages]
    phases = [phase for phase in PHASES if (tables[0]["phase"] == phase).any()]
    overall = [summarise(t) for t in tables]
    by_phase = [summarise(t, ("structure", "phase")) for t in tables]
    bodies = []
    for structure in overall[0].index:
        rows = [_dice_row([structure, "all"], [s.loc[structure] for s in overall], css="strong")]
        rows += [
            _dice_row(["", phase], [s.loc[(structure, phase)] for s in by_phase])
            for phase in phases
            if all((structure, phase) in s.index for s in by_phase)
        ]
        bodies.append(rows)
    means = [cell for t in tables for cell in (number(mean_foreground_dice(t), 3), "", "")]
    groups = "".join(f'<th scope="colgroup" colspan="3">{escape(stage.name)}</th>' for stage in stages)
    names = ["Structure", "Phase", "Cases", *["Dice", "Range", "HD95 (mm)"] * len(stages)]
    head = f'<tr class="groups"><td colspan="3"></td>{groups}</tr><tr>{head_cells(names)}</tr>'
    caption = (
        "Dice: mean, lowest and highest case; the last line is the mean over structures. HD95: mean of the 95th "
        "percentile of the pooled boundary distances; a structure that is missing on one side has none and is counted."
    )
    return table(caption, head, bodies, [row(["Mean of structures", "", "", *means], headings=2)])


def case_table(stages: Sequence[Stage], labels: Mapping[str, str]) -> str:
    """Mean Dice of every case, by the last stage from worst to best.

    Args:
        stages: At least one stage.
        labels: Case -> phase or other words beside its name.

    Returns:
        HTML.
    """
    scores = [case_dice(stage) for stage in stages]
    rows = [
        row(
            [case, labels.get(case, ""), *(number(float(s.get(case, float("nan"))), 3) for s in scores)],
            headings=2,
            css="worst" if position == 0 else "",
        )
        for position, case in enumerate(scores[-1].index)
    ]
    head = f"<tr>{head_cells(['Case', 'Phase', *(f'Dice, {stage.name}' for stage in stages)])}</tr>"
    return table("Mean Dice over the structures of each case, lowest first.", head, [rows])


def volume_table(stages: Sequence[Stage], exact: Mapping[str, Mapping[str, float]]) -> str:
    """Clinical indices of each patient, with the difference of each stage from the truth.

    Args:
        stages: At least one stage; all are of the same cases.
        exact: Patient -> index -> true value; where it is known, differences are taken from it.

    Returns:
        HTML; empty if no patient has known phases.
    """
    # the stroke volume is the difference of two columns that are there
    tables = [t[~t["index"].str.endswith(" SV")] for t in (indices(stage.table) for stage in stages)]
    results = [t.set_index(["patient", "index"]) for t in tables]
    if results[0].empty:
        return ""
    units = results[0]["unit"].groupby(level="index", sort=False).first().to_dict()
    truth = results[0]["reference"].copy()
    for key in truth.index:
        truth[key] = exact.get(key[0], {}).get(key[1], truth[key])
    bodies = [_patient_rows(p, stages, results, truth, exact.get(p), units) for p in truth.index.unique("patient")]
    errors = [(result["prediction"] - truth).abs().groupby(level="index").mean().to_dict() for result in results]
    names = ["Mean absolute difference"] + [""] * (len(stages) - 1)
    foot = [_volume_row([name, stage.name], e, units) for name, stage, e in zip(names, stages, errors, strict=True)]
    measures = "".join(f'<th scope="col">{escape(name)} ({unit})</th>' for name, unit in units.items())
    head = f"<tr>{head_cells(['Patient', 'Source'])}{measures}</tr>"
    source = "the exact value where it is known, else the reference" if exact else "the reference"
    caption = (
        "EDV, ESV: end-diastolic and end-systolic volume; EF: ejection fraction. "
        f"Small numbers: difference from {source}."
    )
    return table(caption, head, bodies, foot, css="paired")


def _dice_row(names: Sequence[str], summaries: Sequence[pd.Series], css: str = "") -> str:
    cells = [str(int(summaries[0]["cases"]))]
    for summary in summaries:
        failed = int(summary["distance_failed"])
        cells += [
            number(summary["dice_mean"], 3),
            f"{number(summary['dice_min'], 3)} to {number(summary['dice_max'], 3)}",
            number(summary["hd95_mean_mm"], 1) + (f" ({failed} missing)" if failed else ""),
        ]
    return row([*names, *cells], headings=2, css=css)


def _patient_rows(
    patient: str,
    stages: Sequence[Stage],
    results: Sequence[pd.DataFrame],
    truth: pd.Series,
    exact: Mapping[str, float] | None,
    units: Mapping[str, str],
) -> list[str]:
    reference = results[0].loc[patient, "reference"].to_dict()
    rows = [] if exact is None else [_volume_row([patient, "Exact"], exact, units)]
    rows.append(_volume_row(["" if rows else patient, "Reference"], reference, units, exact))
    for stage, result in zip(stages, results, strict=True):
        values = result.loc[patient, "prediction"].to_dict()
        rows.append(_volume_row(["", stage.name], values, units, truth[patient].to_dict()))
    return rows


def _volume_row(
    names: Sequence[str],
    values: Mapping[str, float],
    units: Mapping[str, str],
    truth: Mapping[str, float] | None = None,
) -> str:
    cells = []
    for index in units:
        value, expected = values.get(index, float("nan")), (truth or {}).get(index)
        difference = "" if expected is None else number(value - expected, _DIGITS, signed=True)
        cells.append(Markup(f"{number(value, _DIGITS)}<small>{difference}</small>"))
    return row([*names, *cells], headings=2, css="" if truth else "strong")
