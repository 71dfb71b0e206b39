"""Volumes of each frame, and which frames are end-diastole and end-systole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.ed_es import assign_phases
from nnunet_cardiac.evaluation.volumes import volumes_ml
from nnunet_cardiac.inference.series import Series


def structures(labels: Mapping[str, int]) -> dict[str, int]:
    """Canonical anatomy names of the labels, or the names themselves if they are no known anatomies."""
    try:
        return anatomy_labels({"background": 0, **labels})
    except UserError:
        return dict(labels)


def volume_curves(
    label_maps: npt.NDArray[np.integer], labels: Mapping[str, int], series: Series
) -> dict[str, list[float]]:
    """Volume (mL) of each structure in each frame.

    Args:
        label_maps: (T, Z, Y, X).
        labels: Name -> value, as the model has them.
        series: What was segmented. The slices of a 2D file have no distance, so their volumes mean nothing: NaN. So do
            those of a frame that lacks slices which other frames have.
    """
    named = structures(labels)
    if series.dimensions == 2:
        return {name: [float("nan")] * len(label_maps) for name in named}
    # In single precision, as NIfTI keeps it: one study has the same volumes from DICOM and NIfTI, to the last digit.
    voxel_mm = tuple(float(np.float32(size)) for size in series.grid.spacing_mm)
    frames = [volumes_ml(frame, named, voxel_mm) for frame in label_maps]
    unknown = {frame - 1 for frame in incomplete_frames(series)}
    return {name: [float("nan") if t in unknown else frame[name] for t, frame in enumerate(frames)] for name in named}


def incomplete_frames(series: Series) -> tuple[int, ...]:
    """Frames, counted from 1, that lack slices which other frames have; what all frames lack is no difference."""
    if series.empty is None:
        return ()
    lacking = series.empty & ~series.empty.all(axis=0)
    return tuple(int(t) + 1 for t in np.flatnonzero(lacking.any(axis=1)))


def find_phases(
    curves: Mapping[str, list[float]],
    ed: int | None = None,
    es: int | None = None,
    incomplete: Sequence[int] = (),
) -> tuple[dict[str, int], list[str]]:
    """Find end-diastole and end-systole of a cine series.

    Args:
        curves: Volumes of :func:`volume_curves`.
        ed: Frame, counted from 1, that the user says is end-diastole.
        es: The same of end-systole.
        incomplete: Frames that lack slices; they are neither.

    Returns:
        `{"ED": frame, "ES": frame}` counted from 1, empty if they cannot be known, and warnings.

    Raises:
        UserError: If the series has no such frame, or it lacks slices.
    """
    frames = len(next(iter(curves.values())))
    for name, frame in (("--ed", ed), ("--es", es)):
        if frame is not None and not 1 <= frame <= frames:
            raise UserError(f"{name} is {frame}, and the series has frames 1 to {frames}.")
        if frame in incomplete:
            raise UserError(f"{name} is {frame}, and this frame lacks slices. Choose another one.")
    if frames < 2:
        return {}, []
    complete = {t + 1: value for t, value in enumerate(curves.get("LV", [])) if t + 1 not in incomplete}
    volume = {f"series_frame{frame}": value for frame, value in complete.items()}
    found = {phase: int(case.removeprefix("series_frame")) for case, phase in assign_phases(volume).items() if phase}
    found |= {phase: frame for phase, frame in (("ED", ed), ("ES", es)) if frame is not None}
    if set(found) != {"ED", "ES"}:
        reason = "no label of the left ventricle was found"
        if len(complete) < 2 and incomplete:
            reason = "too few frames have all slices"
        return found, [*_lacking(incomplete), f"End-diastole and end-systole are unknown: {reason}."]
    return {phase: found[phase] for phase in ("ED", "ES")}, [*_lacking(incomplete), *_doubts(curves, found)]


def _lacking(incomplete: Sequence[int]) -> list[str]:
    if not incomplete:
        return []
    frames = ", ".join(map(str, incomplete))
    return [f"Frames that lack slices have no volume and are neither end-diastole nor end-systole: {frames}."]


def _doubts(curves: Mapping[str, list[float]], found: Mapping[str, int]) -> list[str]:
    """What makes the phases doubtful."""
    lv = curves.get("LV", [])
    empty = [t + 1 for t, value in enumerate(lv) if value == 0]
    warnings = []
    if empty:
        warnings.append(f"No left ventricle was found in frame {', '.join(map(str, empty))}.")
    if lv and lv[found["ES"] - 1] >= lv[found["ED"] - 1]:
        warnings.append("The left ventricle is not smaller at end-systole than at end-diastole.")
    return warnings
