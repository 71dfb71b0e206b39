"""The best, the median and the worst case of an evaluation, read again from their files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.cases import match_method, read_pair
from nnunet_cardiac.evaluation.results import Results
from nnunet_cardiac.report.overlay_case import OverlayCase

logger = logging.getLogger(__name__)


def chosen_cases(results: Results) -> dict[str, str]:
    """Badge (`lowest Dice`, `median`, `highest Dice`) -> case, by mean Dice over structures of the last method.

    Fewer entries if there are fewer than three cases with a defined Dice.
    """
    cases = results.table("cases")
    last = cases[cases["method"] == cases["method"].iloc[-1]]
    order = last.groupby("case")["dice"].mean().dropna().sort_values(kind="stable").index
    chosen: dict[str, str] = {}
    for badge, place in (("lowest Dice", 0), ("median", len(order) // 2), ("highest Dice", len(order) - 1)):
        if len(order) and order[place] not in chosen.values():
            chosen[badge] = order[place]
    return chosen


def overlay_cases(results: Results, images: Path | None = None) -> dict[str, OverlayCase]:
    """Read the chosen cases with their images.

    Args:
        results: Finished evaluation; the label maps must still lie where they were.
        images: Folder of images named CASE_0000 or CASE; by default `imagesTs` beside `labelsTs` and so on. Without an
        image
            the outlines are drawn on black.

    Returns:
        Badge -> case; a case whose files are gone is left out with a warning.
    """
    facts, found = results.facts, {}
    reference = Path(facts["reference"])
    folder = images or reference.parent / reference.name.replace("labels", "images")
    rows = results.table("cases").drop_duplicates("case").set_index("case")
    for badge, case in chosen_cases(results).items():
        try:
            found[badge] = _overlay(case, rows.loc[case], facts, reference, folder)
        except UserError as error:
            logger.warning("%s: not drawn. %s", case, error)
    return found


def _overlay(case: str, row: pd.Series, facts: Mapping[str, Any], reference: Path, images: Path) -> OverlayCase:
    labels, maps = facts["labels"], {}
    for method, folders in facts["methods"].items():
        translation = facts["translations"].get(method)
        mapping = None if translation is None else {int(own): value for own, value in translation.items()}
        pairs, _ = match_method(reference, [Path(f) for f in folders], [case], allow_missing=False)
        maps[method] = read_pair(pairs[0][1], labels.values(), mapping, facts.get("ignore_label"))
    last = list(maps.values())[-1]
    predictions = {method: pair.prediction for method, pair in maps.items()}
    image = _image(images, case, last.reference.shape)
    return OverlayCase(
        case, row["patient"], row["phase"], image, last.reference, predictions, last.spacing_mm, labels, row["group"]
    )


def _image(folder: Path, case: str, shape: tuple[int, ...]) -> np.ndarray:
    """First channel of a case, or black."""
    files = [path for stem in (f"{case}_0000", case) for path in sorted(folder.glob(f"{stem}.*"))]
    if not files:
        logger.warning("%s: no image of %s; outlines are drawn on black. Name the folder with --images.", folder, case)
        return np.zeros(shape, np.float32)
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(files[0])))
    if array.shape != shape:
        logger.warning("%s: size %s, its label map has %s; drawn on black.", files[0], array.shape, shape)
        return np.zeros(shape, np.float32)
    return array
