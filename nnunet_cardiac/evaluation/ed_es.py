"""Which cases are end-diastole (ED) and end-systole (ES).

ACDC's file names carry the frame but not its phase, and the lower number is not always ED.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.cohort import CaseName, read_names

#: Phases that clinical indices are made of, in the order of the cycle.
PHASES = ("ED", "ES")


def assign_phases(
    lv_volume_ml: Mapping[str, float],
    frames: Mapping[str, Mapping[str, int]] | None = None,
    names: Mapping[str, CaseName] | None = None,
) -> dict[str, str]:
    """Name the phase of each case.

    Args:
        lv_volume_ml: Case -> LV cavity volume in the reference.
        frames: Patient -> phase -> frame number as in the case names, for example from ACDC's `Info.cfg`:
            `{"patient001": {"ED": 1, "ES": 12}}`. Patients it does not name follow the volume rule.
        names: Case -> patient, phase and frame; by default read from the names.

    Returns:
        Case -> `"ED"`, `"ES"` or `""`. Phases that a table or the names give hold. By the volume rule ED is the frame
        with the largest LV and ES the one with the smallest, slices of a frame taken together; it needs two frames of
        one examination, all of known volume (no NaN), and an LV in the reference, otherwise no phase is named.

    Raises:
        UserError: If `frames` names a patient whose cases hold none of the named frames.
    """
    names = names or read_names(lv_volume_ml)
    own = {case: names[case] for case in sorted(lv_volume_ml)}
    phases = {case: name.phase for case, name in own.items()}
    by_frame: dict[str, list[CaseName]] = defaultdict(list)
    by_volume: dict[str, list[CaseName]] = defaultdict(list)
    named = {name.series for name in own.values() if name.phase}
    for name in own.values():
        if name.series in named:
            continue
        if frames is not None and name.patient in frames:
            by_frame[name.patient].append(name)
        else:
            by_volume[name.series].append(name)
    for patient, cases in by_frame.items():
        phases.update(_phases_by_frame(patient, cases, (frames or {})[patient]))
    for cases in by_volume.values():
        phases.update(_phases_by_volume(cases, lv_volume_ml))
    return phases


def _phases_by_frame(patient: str, cases: Iterable[CaseName], frames: Mapping[str, int]) -> dict[str, str]:
    phase_of = {frame: phase for phase, frame in frames.items()}
    found = {name.case: phase_of[name.frame] for name in cases if name.frame in phase_of}
    if not found:
        named = ", ".join(f"{phase}: {frame}" for phase, frame in frames.items())
        raise UserError(
            f"{patient}: the frame table names {named}, but the cases are {', '.join(name.case for name in cases)}. "
            "Use the numbers of the case names (ACDC counts frames from 1)."
        )
    return found


def _phases_by_volume(cases: Iterable[CaseName], volume_ml: Mapping[str, float]) -> dict[str, str]:
    volumes: dict[object, float] = defaultdict(float)
    for name in cases:
        volumes[name.stack] += volume_ml[name.case]
    values = list(volumes.values())
    if len(values) < 2 or any(map(math.isnan, values)) or not max(values) > 0:
        return {}
    largest, *others = sorted(volumes, key=lambda stack: -volumes[stack])
    phase_of = {largest: "ED", others[-1]: "ES"}
    return {name.case: phase_of[name.stack] for name in cases if name.stack in phase_of}
