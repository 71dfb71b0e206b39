"""The best, the median and the worst case of an evaluation, read again from their files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.cases import CasePair, match_method, read_pair
from nnunet_cardiac.evaluation.label_maps import read_label_map
from nnunet_cardiac.evaluation.results import Results
from nnunet_cardiac.image_names import image_stem
from nnunet_cardiac.images.image_file import read_image
from nnunet_cardiac.images.same_body import way_onto
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
            image the outlines are drawn on black.

    Returns:
        Badge -> case; a case whose files are gone is left out with a warning.

    Raises:
        UserError: If a file is there but cannot be read, or is cut short.
    """
    facts, found = results.facts, {}
    reference = Path(facts["reference"])
    folder = images or reference.parent / reference.name.replace("labels", "images")
    rows = results.table("cases").drop_duplicates("case").set_index("case")
    for badge, case in chosen_cases(results).items():
        if (pairs := _pairs(case, facts, reference)) is not None:
            found[badge] = _overlay(case, rows.loc[case], facts, pairs, folder)
    return found


def _pairs(case: str, facts: Mapping[str, Any], reference: Path) -> dict[str, CasePair] | None:
    """Method -> files of a case; None if one is gone."""
    try:
        return {
            method: match_method(reference, [Path(f) for f in folders], [case], allow_missing=False)[0][0][1]
            for method, folders in facts["methods"].items()
        }
    except UserError as error:
        logger.warning("%s: not drawn. %s", case, error)
        return None


def _overlay(
    case: str, row: pd.Series, facts: Mapping[str, Any], pairs: Mapping[str, CasePair], images: Path
) -> OverlayCase:
    labels, maps = facts["labels"], {}
    for method, pair in pairs.items():
        translation = facts["translations"].get(method)
        mapping = None if translation is None else {int(own): value for own, value in translation.items()}
        maps[method] = read_pair(pair, labels.values(), mapping, facts.get("ignore_label"))
    last = list(maps.values())[-1]
    predictions = {method: maps_of.prediction for method, maps_of in maps.items()}
    image = _image(images, next(iter(pairs.values())), last.reference.shape)
    return OverlayCase(
        case, row["patient"], row["phase"], image, last.reference, predictions, last.spacing_mm, labels, row["group"]
    )


def _image(folder: Path, pair: CasePair, shape: tuple[int, ...]) -> np.ndarray:
    """First channel of a case, or black."""
    path, frame = _image_file(folder, pair)
    if path is None:
        logger.warning(
            "%s: no image of %s; outlines are drawn on black. Name the folder with --images.", folder, pair.case
        )
        return np.zeros(shape, np.float32)
    array = _canonical(path, pair.reference)
    if frame is not None and array.ndim == 4 and frame < len(array):
        array = array[frame]
    if array.shape != shape:
        logger.warning("%s: size %s, its label map has %s; drawn on black.", path, array.shape, shape)
        return np.zeros(shape, np.float32)
    return array


def _canonical(path: Path, reference: Path) -> np.ndarray:
    """Voxels of an image in the storage that an evaluation compares label maps in: the reference's canonical one."""
    # As label maps are read, so that whatever was evaluated is drawn.
    image, labels = read_image(path, unit_matrix=True, any_size=True), read_label_map(reference)
    array = image.voxels.reshape((1,) * (3 - image.voxels.ndim) + image.voxels.shape)
    return way_onto(image.header, labels.header).then(labels.canonical_way).apply(array)


def _image_file(folder: Path, pair: CasePair) -> tuple[Path | None, int | None]:
    """The image of a case, and the frame in it: its own file, or that of the series."""
    found = {image_stem(path): path for path in sorted(folder.glob("*"))} if folder.is_dir() else {}
    series = image_stem(pair.reference) if pair.frame is not None else pair.case
    for name, frame in ((pair.case, None), (series, pair.frame)):
        for stem in (f"{name}_0000", name):
            if stem in found:
                return found[stem], frame
    return None, None
