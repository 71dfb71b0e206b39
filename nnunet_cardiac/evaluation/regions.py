"""Errors of a regressed region of interest, as HALSR-Net reports them.

Fakhfakh et al. 2025 give "RMSE" in mm: for each image the root of the mean squared difference of the four corner
coordinates, then mean and standard deviation over images. Their outlier rate is not defined; here it is the boxplot
rule (an error above the third quartile plus 1.5 times the interquartile range), beside an absolute rate: boxes that
with their margin fail to hold the true box.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.label_values import ignored_mask

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


def known_boxes(boxes: npt.NDArray[np.float64], ignored: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
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


def stack_box(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """One box for all slices that have one: the median of each coordinate; (Z, 4) to (Z, 4)."""
    present = ~np.isnan(boxes[:, 0])
    out = np.full_like(boxes, np.nan)
    if present.any():
        out[present] = np.median(boxes[present], axis=0)
    return out


def roi_report(
    cases: Iterable[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Sequence[float]]],
) -> ROIReport:
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


def add_roi_report(
    predictions: Path, references: Path, labels: Sequence[int], file_ending: str, ignore_label: int | None = None
) -> dict[str, str]:
    """Add the errors of drawn boxes to nnU-Net's `summary.json`.

    Two comparisons are written, since one box per stack cannot equal the box of each slice: with the median of a
    stack's true boxes (`roi_stack`) and with the true box of each slice (`roi_slice`, the paper's). Slices whose box
    is not known (`known_boxes`) are left out.

    Args:
        predictions: Validation folder with drawn boxes as label maps and `summary.json`.
        references: Folder of the reference segmentations.
        labels: Labels whose box was regressed.
        file_ending: Of the label maps.
        ignore_label: Value of pixels without a reference, or None.

    Returns:
        Both comparisons, as lines for a log.

    Raises:
        UserError: If there is nothing to compare.
    """
    boxes = [
        _boxes_of_case(path, references / path.name, labels, ignore_label)
        for path in sorted(predictions.glob(f"*{file_ending}"))
    ]
    reports = {
        "roi_stack": roi_report((predicted, stack_box(true), spacing) for predicted, true, spacing in boxes),
        "roi_slice": roi_report(boxes),
    }
    summary = predictions / "summary.json"
    content = read_json(summary) if summary.is_file() else {}
    write_json(summary, {**content, **{name: asdict(report) for name, report in reports.items()}})
    return {name: str(report) for name, report in reports.items()}


def _boxes_of_case(
    prediction: Path, reference: Path, labels: Sequence[int], ignore_label: int | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], tuple[float, float]]:
    image = sitk.ReadImage(reference)
    values = sitk.GetArrayFromImage(image)
    true = known_boxes(slice_boxes(np.isin(values, labels)), ignored_mask(values, ignore_label))
    drawn = sitk.GetArrayFromImage(sitk.ReadImage(prediction)) > 0
    column, row = image.GetSpacing()[:2]
    return slice_boxes(drawn), true, (row, column)


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _sd(values: npt.NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _boxplot_outliers(values: npt.NDArray[np.float64]) -> float:
    if not len(values):
        return float("nan")
    first, third = np.percentile(values, (25, 75))
    return float((values > third + 1.5 * (third - first)).mean())
