"""Which cases belong to one patient, and which of them are end-diastole (ED) and end-systole (ES).

ACDC's file names carry the frame but not its phase, and the lower number is not always ED.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping

from nnunet_cardiac.errors import UserError

#: Phases that clinical indices are made of, in the order of the cycle.
PHASES = ("ED", "ES")

_CASE_NAME = re.compile(r"(?P<patient>.+)_frame(?P<frame>\d+)")


def split_case_name(case: str) -> tuple[str, int | None]:
    """Split `patient001_frame12` into (`patient001`, 12) and `subject001_ED` into (`subject001`, None).

    Any other name is a patient of its own, (`case`, None).
    """
    match = _CASE_NAME.fullmatch(case)
    if match:
        return match["patient"], int(match["frame"])
    return (case[:-3], None) if phase_in_name(case) else (case, None)


def phase_in_name(case: str) -> str:
    """Return `ED` or `ES` if the name ends so, as where the frame is not known (M&Ms-2); else nothing."""
    return case[-2:] if case.endswith(("_ED", "_ES")) and len(case) > 3 else ""


def assign_phases(
    lv_volume_ml: Mapping[str, float], frames: Mapping[str, Mapping[str, int]] | None = None
) -> dict[str, str]:
    """Name the phase of each case.

    Args:
        lv_volume_ml: Case -> LV cavity volume in the reference.
        frames: Patient -> phase -> frame number as in the case names, for example from ACDC's `Info.cfg`:
            `{"patient001": {"ED": 1, "ES": 12}}`. Patients it does not name follow the volume rule.

    Returns:
        Case -> `"ED"`, `"ES"` or `""`. By the volume rule ED is the frame with the largest LV and ES the one with
        the smallest; it needs two frames of one patient, all of known volume (no NaN), and an LV in the reference,
        otherwise no phase is named.
        Names that end in `_ED` or `_ES` are taken at their word.

    Raises:
        UserError: If `frames` names a patient whose cases hold none of the named frames.
    """
    cases_of: dict[str, list[str]] = defaultdict(list)
    for case in sorted(lv_volume_ml):
        cases_of[split_case_name(case)[0]].append(case)
    phases = dict.fromkeys(lv_volume_ml, "")
    for patient, cases in cases_of.items():
        named = {case: phase for case in cases if (phase := phase_in_name(case))}
        if named:
            phases.update(named)
        elif frames is not None and patient in frames:
            phases.update(_phases_by_frame(patient, cases, frames[patient]))
        else:
            phases.update(_phases_by_volume({case: lv_volume_ml[case] for case in cases}))
    return phases


def _phases_by_frame(patient: str, cases: list[str], frames: Mapping[str, int]) -> dict[str, str]:
    phase_of = {frame: phase for phase, frame in frames.items()}
    found = {case: phase_of[frame] for case in cases if (frame := split_case_name(case)[1]) in phase_of}
    if not found:
        named = ", ".join(f"{phase}: {frame}" for phase, frame in frames.items())
        raise UserError(
            f"{patient}: the frame table names {named}, but the cases are {', '.join(cases)}. "
            "Use the numbers of the case names (ACDC counts frames from 1)."
        )
    return found


def _phases_by_volume(volumes: Mapping[str, float]) -> dict[str, str]:
    values = list(volumes.values())
    if len(values) < 2 or any(math.isnan(value) for value in values) or not max(values) > 0:
        return {}
    largest, *others = sorted(volumes, key=lambda case: -volumes[case])
    return {largest: "ED", others[-1]: "ES"}
