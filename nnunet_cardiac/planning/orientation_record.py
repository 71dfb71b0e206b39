"""How the training images lie in their files, written into the plans so that prediction can bring images to lie alike.

The entry `nnunet_cardiac: {"orientation": {...}}` of a plans file; nnU-Net ignores it and copies it beside the weights.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.images.image_file import read_header
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import Way
from nnunet_cardiac.images.stored_ways import StoredWays, stored_ways

logger = logging.getLogger(__name__)

_KEY, _ENTRY, _WAY = "nnunet_cardiac", "orientation", "training_images"


@dataclass(frozen=True)
class OrientationRecord:
    """What the plans say.

    Attributes:
        way: From the storage of (most of) the training images to the canonical one; None if they do not say how they
            lie.
    """

    way: Way | None


def read_record(plans: Mapping[str, Any]) -> OrientationRecord | None:
    """Return what plans say of the training images; None if they say nothing, as those of earlier versions.

    Raises:
        UserError: If the entry is none that `plan` writes.
    """
    entry = plans.get(_KEY, {}).get(_ENTRY)
    if entry is None:
        return None
    code = entry.get(_WAY)
    try:
        return OrientationRecord(None if code is None else Way.of(code))
    except ValueError as error:
        raise UserError(
            f"plans {plans.get('plans_name')!r}: {_KEY}: {_ENTRY}: {_WAY} is {error}. Plan again."
        ) from error


def with_record(plans: Mapping[str, Any], preprocessed: Path, raw: Path | None) -> dict[str, Any]:
    """Return plans that say how the training images lie, and warn if they lie in several ways.

    Args:
        plans: Content of a plans file.
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        raw: `nnUNet_raw/<dataset>`, if it is there. Without it nnU-Net's copies of the references are read, which lie
            as their images do.
    """
    headers = _training_headers(preprocessed, raw)
    if not headers:
        return dict(plans)
    found = stored_ways(headers)
    if not found.one_way:
        for sentence in found.sentences():
            logger.warning("%s: %s", preprocessed.name, sentence)
    return {**plans, _KEY: {**plans.get(_KEY, {}), _ENTRY: _entry(found)}}


def _entry(found: StoredWays) -> dict[str, Any]:
    return {
        _WAY: None if found.usual is None else found.usual.code,
        "ways": found.counts,
        "without_direction": len(found.without_direction),
    }


def _training_headers(preprocessed: Path, raw: Path | None) -> dict[str, Header]:
    description = preprocessed / "dataset.json"
    ending = read_json(description).get("file_ending", "") if description.is_file() else ""
    places = [] if raw is None else [(raw / "imagesTr", f"_0000{ending}")]
    for folder, end in (*places, (preprocessed / "gt_segmentations", ending)):
        headers = {}
        for file in sorted(folder.glob(f"*{end}")) if ending else ():
            with contextlib.suppress(UserError):  # a format that only nnU-Net reads
                headers[file.name.removesuffix(end)] = read_header(file)
        if headers:
            return headers
    return {}
