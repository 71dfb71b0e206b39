"""How the training images lie in their files, written into the plans so that prediction can bring images to lie alike.

The entry `nnunet_cardiac: {"orientation": {...}}` of a plans file; nnU-Net ignores it and copies it beside the weights.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.images.image_file import read_header
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, Way
from nnunet_cardiac.images.stored_ways import StoredWays, stored_ways

logger = logging.getLogger(__name__)

_KEY, _ENTRY, _WAY = "nnunet_cardiac", "orientation", "training_images"


@dataclass(frozen=True)
class OrientationRecord:
    """What the plans say.

    Attributes:
        way: From the storage of (most of) the training images to the canonical one; None if they do not say how they
            lie.
        ways: `Way.code` -> number of training images that lie so.
    """

    way: Way | None
    ways: Mapping[str, int] = field(default_factory=dict)


def read_record(plans: Mapping[str, Any]) -> OrientationRecord | None:
    """Return what plans say of the training images; None if they say nothing, as those of earlier versions.

    Raises:
        UserError: If the entry is none that `plan` writes.
    """
    entry = _own(plans).get(_ENTRY)
    if entry is None:
        return None
    try:
        code = entry[_WAY]
        return OrientationRecord(None if code is None else Way.of(code), dict(entry.get("ways", {})))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise UserError(
            f"plans {plans.get('plans_name')!r}: {_KEY}: {_ENTRY} is {entry!r}; expected an entry {_WAY} such as "
            f"{IDENTITY.code!r}. Plan again."
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
    return {**plans, _KEY: {**_own(plans), _ENTRY: _entry(found)}}


def _own(plans: Mapping[str, Any]) -> Mapping[str, Any]:
    """What this package wrote into plans."""
    own = plans.get(_KEY)
    return own if isinstance(own, Mapping) else {}


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
        headers = readable_headers(sorted(folder.glob(f"*{end}")) if ending else (), end)
        if headers:
            return headers
    return {}


def readable_headers(files: Iterable[Path], ending: str) -> dict[str, Header]:
    """Return the headers of files, without those of formats that only nnU-Net reads.

    Args:
        files: Images or label maps.
        ending: What their names have behind the case.
    """
    headers: dict[str, Header] = {}
    for file in files:
        with contextlib.suppress(UserError):
            headers[file.name.removesuffix(ending)] = read_header(file)
    return headers
