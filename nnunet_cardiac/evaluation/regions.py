"""Errors of a regressed region of interest, as HALSR-Net reports them.

Fakhfakh et al. 2025 give "RMSE" in mm: for each image the root of the mean squared difference of the four corner
coordinates, then mean and standard deviation over images. Their outlier rate is not defined; here it is the boxplot
rule (an error above the third quartile plus 1.5 times the interquartile range), beside an absolute rate: boxes that
with their margin fail to hold the true box.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.outliers import is_outlier
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.label_values import ignored_mask

Boxes = npt.NDArray[np.float64]
#: Predicted and true boxes (Z, 4) of a case and the size of a pixel (row, column) in mm.
BoxesOfCase = tuple[Boxes, Boxes, Sequence[float]]

#: Margin of the absolute outlier rate in pixels.
MARGIN_PIXELS = 10


@dataclass(frozen=True)
class ROIReport:
    """Errors of boxes over slices.

    Attributes:
        slices: Slices with a true box.
        missed: Those of them without a predicted box; left out of what follows but the absolute outlier rate.
        rmse_mm: Mean over slices of the root mean squared difference of the four corner coordinates.
        rmse_mm_sd: Standard deviation over slices.
        rmse_pixels: The same in pixels.
        rmse_pixels_sd: Standard deviation over slices.
        outlier_rate_iqr: Share of slices whose error in mm lies above Q3 + 1.5 (Q3 - Q1).
        outlier_rate_margin: Share of slices whose box with a margin of 10 pixels does not hold the true box.
    """

    slices: int
    missed: int
    rmse_mm: float
    rmse_mm_sd: float
    rmse_pixels: float
    rmse_pixels_sd: float
    outlier_rate_iqr: float
    outlier_rate_margin: float

    def __str__(self) -> str:
        """One line for a log."""
        return (
            f"RMSE {self.rmse_mm:.2f} +- {self.rmse_mm_sd:.2f} mm ({self.rmse_pixels:.2f} +- {self.rmse_pixels_sd:.2f} "
            f"pixels) on {self.slices} slices, {self.missed} without a box; outliers "
            f"{100 * self.outlier_rate_iqr:.1f} % (boxplot), {100 * self.outlier_rate_margin:.1f} % (true box not "
            f"within {MARGIN_PIXELS} pixels)"
        )


def slice_boxes(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Tight boxes of the slices of a mask.

    Args:
        mask: (Z, Y, X).

    Returns:
        (Z, 4): first row, first column, one past the last row, one past the last column; NaN where a slice is empty.
    """
    boxes = np.full((len(mask), 4), np.nan)
    for z, plane in enumerate(mask):
        rows, columns = (np.flatnonzero(plane.any(axis)) for axis in (1, 0))
        if len(rows):
            boxes[z] = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    return boxes


def ended_boxes(boxes: Boxes, ignored: npt.NDArray[np.bool_]) -> Boxes:
    """Leave out boxes that may be too small, because pixels without a reference may extend them.

    A structure is connected in a slice. If a part of it lay outside the box around what is annotated, it would cross
    the ring of pixels around the box; it cannot where all of them have a reference.

    Args:
        boxes: (Z, 4), as `slice_boxes` gives them.
        ignored: Pixels without a reference (Z, Y, X).

    Returns:
        (Z, 4): the boxes, NaN where a pixel of the ring has no reference.
    """
    known = boxes.copy()
    for z in np.flatnonzero(~np.isnan(boxes[:, 0])):
        top, left, bottom, right = boxes[z].astype(int)
        grown = ignored[z, max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1]
        if grown.sum() > ignored[z, top:bottom, left:right].sum():
            known[z] = np.nan
    return known


def stack_box(boxes: Boxes) -> Boxes:
    """One box for all slices that have one: the median of each coordinate; (Z, 4) to (Z, 4)."""
    present = ~np.isnan(boxes[:, 0])
    out = np.full_like(boxes, np.nan)
    if present.any():
        out[present] = np.median(boxes[present], axis=0)
    return out


def roi_report(cases: Iterable[BoxesOfCase]) -> ROIReport:
    """Compare predicted with true boxes.

    Args:
        cases: For each case predicted boxes (Z, 4), true boxes (Z, 4), both as `slice_boxes` gives them, and the size
            of a pixel (row, column) in mm.

    Raises:
        UserError: If no slice has a true box.
    """
    pixels, mm, held = [], [], []
    for predicted, true, spacing in cases:
        present = ~np.isnan(true[:, 0])
        difference = (predicted - true)[present]
        pixels.append(np.sqrt(np.square(difference).mean(1)))
        mm.append(np.sqrt(np.square(difference * np.tile(spacing, 2)).mean(1)))
        grown = predicted[present] + np.array([-1, -1, 1, 1]) * MARGIN_PIXELS
        with np.errstate(invalid="ignore"):
            held.append((grown[:, :2] <= true[present, :2]).all(1) & (grown[:, 2:] >= true[present, 2:]).all(1))
    errors_mm, errors_pixels = (np.concatenate(e) if e else np.empty(0) for e in (mm, pixels))
    if not len(errors_mm):
        raise UserError(
            "no slice has a true box: none of the reference segmentations holds a target label whose box is known."
        )
    found = ~np.isnan(errors_mm)
    return ROIReport(
        slices=len(found),
        missed=int((~found).sum()),
        rmse_mm=_mean(errors_mm[found]),
        rmse_mm_sd=_sd(errors_mm[found]),
        rmse_pixels=_mean(errors_pixels[found]),
        rmse_pixels_sd=_sd(errors_pixels[found]),
        outlier_rate_iqr=_boxplot_outliers(errors_mm[found]),
        outlier_rate_margin=1 - float(np.concatenate(held).mean()),
    )


def known_boxes(labels: npt.NDArray[np.integer], targets: Sequence[int], ignore: int | None = None) -> Boxes:
    """Boxes of the target labels in the slices of a reference, where they are known.

    Args:
        labels: Label map (Z, Y, X).
        targets: Labels whose common box is meant.
        ignore: Label of pixels without a reference, if there is one.

    Returns:
        (Z, 4) as `ended_boxes` gives them.
    """
    return ended_boxes(slice_boxes(np.isin(labels, targets)), ignored_mask(labels, ignore))


def compare_boxes(cases: Sequence[BoxesOfCase], name: str) -> dict[str, ROIReport]:
    """Compare boxes twice: one for each stack, and one for each slice, which is what the paper has.

    Args:
        cases: See `roi_report`.
        name: Of the first comparison is `{name}_stack` (median over the slices of predicted and of true boxes), of the
            second `{name}_slice`.

    Raises:
        UserError: If no slice has a true box.
    """
    stacks = [(stack_box(predicted), stack_box(true), spacing) for predicted, true, spacing in cases]
    return {f"{name}_stack": roi_report(stacks), f"{name}_slice": roi_report(cases)}


def add_roi_reports(summary: Path, reports: Mapping[str, ROIReport]) -> None:
    """Add reports to nnU-Net's `summary.json`, each under its name."""
    content = read_json(summary) if summary.is_file() else {}
    write_json(summary, {**content, **{name: asdict(report) for name, report in reports.items()}})


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _sd(values: npt.NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _boxplot_outliers(values: npt.NDArray[np.float64]) -> float:
    return float(is_outlier(values).mean()) if len(values) else float("nan")
