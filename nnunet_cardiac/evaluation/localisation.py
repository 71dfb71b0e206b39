"""How well a coarse prediction locates the heart: what the window around it misses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import EllipsisType

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from nnunet_cardiac.cascade.roi import RegionRule, centroid, find_region, largest_component
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.label_values import ignored_mask


@dataclass(frozen=True)
class LocalisationReport:
    """Errors of a localiser over cases that hold a heart.

    Attributes:
        cases: Cases with a heart.
        empty: Those of them without a coarse prediction, whose window is the centre of the image.
        distance_mm: Median distance of the centroids of coarse prediction and heart.
        whole: Share of the cases whose window holds every voxel of the heart.
        least_share: Smallest share of the voxels of a heart inside its window.
        left_out: Further cases, with voxels without a reference: where such a heart ends is not known.
    """

    cases: int
    empty: int
    distance_mm: float
    whole: float
    least_share: float
    left_out: int = 0

    def __str__(self) -> str:
        """One line for a log."""
        return (
            f"window holds the whole heart in {100 * self.whole:.0f} % of {self.cases} cases and at least "
            f"{100 * self.least_share:.1f} % of each, centroid {self.distance_mm:.1f} mm off (median), {self.empty} "
            f"cases without a prediction"
            + (f", {self.left_out} cases with voxels without a reference left out" if self.left_out else "")
        )


def localisation_report(
    cases: Iterable[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Sequence[float]]],
    rule: RegionRule,
    rule_spacing: Sequence[float],
) -> LocalisationReport:
    """Compare coarse predictions with hearts.

    Args:
        cases: For each case coarse prediction and heart (Z, Y, X) and the voxel size (z, y, x) in mm.
        rule: How the window is found; one of two entries (y, x) has all slices of a stack.
        rule_spacing: Voxel size in mm of the grid that the rule's window is counted on, one entry for each of its axes.

    Raises:
        UserError: If no case holds a heart.
    """
    distances, shares, empty = [], [], 0
    axes = len(rule.window)
    for coarse, heart, spacing in cases:
        if not heart.any():
            continue
        grid = zip(rule.window, rule_spacing, spacing[-axes:], strict=True)
        window = tuple(max(round(n * a / b), 1) for n, a, b in grid)
        region = find_region(coarse, replace(rule, window=window, margin=0, multiple=1))
        ends = zip(region.window.start, region.window.stop, strict=True)
        inside: tuple[slice | EllipsisType, ...] = (..., *(slice(max(a, 0), max(b, 0)) for a, b in ends))
        shares.append(np.count_nonzero(heart[inside]) / np.count_nonzero(heart))
        empty += not region.found
        if region.found:
            centres = np.array([centroid(largest_component(coarse)), centroid(heart)])
            distances.append(float(np.linalg.norm((centres[0] - centres[1]) * np.array(spacing))))
    if not shares:
        raise UserError("no case holds a labelled structure, so nothing can be said about where hearts were found.")
    return LocalisationReport(
        cases=len(shares),
        empty=empty,
        distance_mm=float(np.median(distances)) if distances else float("nan"),
        whole=float(np.mean([share == 1 for share in shares])),
        least_share=min(shares),
    )


def add_localisation_report(
    predictions: Path,
    references: Path,
    rule: RegionRule,
    rule_spacing: Sequence[float],
    file_ending: str,
    ignore_label: int | None = None,
) -> LocalisationReport:
    """Add the errors of a localiser to nnU-Net's `summary.json`, under `localisation`.

    Args:
        predictions: Validation folder with maps drawn as labels and `summary.json`.
        references: Folder of the reference segmentations.
        rule, rule_spacing: See `localisation_report`.
        file_ending: Of the label maps.
        ignore_label: Value of voxels without a reference, or None.

    Raises:
        UserError: If there is nothing to compare.
    """
    paths = sorted(predictions.glob(f"*{file_ending}"))
    cases = [_read(path, references / path.name, ignore_label) for path in paths]
    known = [case for case in cases if case is not None]
    report = replace(localisation_report(known, rule, rule_spacing), left_out=len(cases) - len(known))
    summary = predictions / "summary.json"
    content = read_json(summary) if summary.is_file() else {}
    write_json(summary, {**content, "localisation": asdict(report)})
    return report


def _read(
    prediction: Path, reference: Path, ignore_label: int | None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], tuple[float, ...]] | None:
    """Coarse prediction, heart and voxel size; None if voxels have no reference."""
    coarse, heart = (sitk.ReadImage(path) for path in (prediction, reference))
    values = sitk.GetArrayFromImage(heart)
    if ignored_mask(values, ignore_label).any():
        return None
    return sitk.GetArrayFromImage(coarse) > 0, values > 0, tuple(heart.GetSpacing()[::-1])
