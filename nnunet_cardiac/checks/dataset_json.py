"""Reads and checks the `dataset.json` of a raw data set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.checks.problems import Problems
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.label_values import ignore_label

_REQUIRED_KEYS = ("labels", "channel_names", "numTraining", "file_ending")


@dataclass(frozen=True)
class DatasetDescription:
    """What `dataset.json` promises.

    Attributes:
        folder: Raw data set, the folder of `dataset.json`.
        anatomies: Canonical name -> label value; empty if the names are wrong.
        values: Label values that a label file may hold.
        ignore: That of voxels without a reference, or None if there is none.
        channels: Image files a case.
        file_ending: Such as `.nii.gz`.
        training_cases: Promised number of cases.
        listed: Case -> its files, if `dataset.json` lists them; else None and the folders count.
    """

    folder: Path
    anatomies: Mapping[str, int]
    values: frozenset[int]
    ignore: int | None
    channels: int
    file_ending: str
    training_cases: int
    listed: Mapping[str, Mapping[str, Any]] | None


def read_description(folder: Path, required: Iterable[str], problems: Problems) -> DatasetDescription:
    """Read `dataset.json`; wrong labels are added to `problems`.

    Args:
        folder: Raw data set.
        required: Canonical names of anatomies that must be labelled.
        problems: Collects what is wrong with the labels.

    Raises:
        UserError: If the file is missing, no JSON or lacks a key, so that nothing else can be checked.
    """
    path = folder / "dataset.json"
    content = _load(path)
    missing = [key for key in _REQUIRED_KEYS if key not in content]
    if missing:
        raise UserError(
            f"{path}: found the keys {', '.join(content) or 'none'}; expected {', '.join(missing)} too. "
            "See nnU-Net's documentation of the data set format and add them."
        )
    try:
        anatomies = anatomy_labels(content["labels"], required)
    except UserError as error:
        problems.add(f"{folder}/{error}")  # the message starts with "dataset.json"
        anatomies = {}
    return DatasetDescription(
        folder=folder,
        anatomies=anatomies,
        values=frozenset(_flatten(content["labels"].values())),
        ignore=ignore_label(content["labels"]),
        channels=len(content["channel_names"]),
        file_ending=content["file_ending"],
        training_cases=content["numTraining"],
        listed=content.get("dataset"),
    )


def _flatten(values: Iterable[int | list[int]]) -> list[int]:
    # Region labels are lists. They are refused above, but their values should not bring up every label file as well.
    return [number for value in values for number in (value if isinstance(value, list) else [value])]


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(
            f"{path}: not found; expected an nnU-Net raw data set with dataset.json, imagesTr and labelsTr. "
            "Give the folder DatasetXXX_Name itself."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no valid JSON ({error}). Correct the file.") from error
    if not isinstance(content, dict) or not isinstance(content.get("labels", {}), dict):
        raise UserError(f"{path}: expected an object with 'labels' as an object, name -> value. Correct the file.")
    return content
