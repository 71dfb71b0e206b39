"""Finds training cases that show the same image, in raw data or in what nnU-Net preprocessed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from glob import escape
from os.path import expandvars
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json
from nnunet_cardiac.image_names import IMAGE_ENDINGS
from nnunet_cardiac.images.content import Print, content_print, find_repeated
from nnunet_cardiac.images.image_file import read_voxels
from nnunet_cardiac.patients.cohort import Cohort
from nnunet_cardiac.patients.fold_file import preprocessed_cases
from nnunet_cardiac.patients.repeated import Pairs, patient_groups, read_pairs, write_pairs

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Channel:
    """One channel of a case.

    Attributes:
        case: Its name.
        path: Its file.
        read: Reads the voxels, or raises UserError.
    """

    case: str
    path: Path
    read: Callable[[], npt.NDArray[Any]]


def groups_by_image(preprocessed: Path, raw: Path | None, cohort: Cohort, progress: bool = True) -> dict[str, str]:
    """Find the training patients who share an image.

    What was found is noted in the preprocessed data set, and read again as long as the images stay as they are.

    Args:
        preprocessed: `nnUNet_preprocessed/<dataset>`.
        raw: `nnUNet_raw/<dataset>`, if known; without its images, preprocessed ones are compared.
        cohort: Whose the cases are.
        progress: Whether to show a progress bar.

    Returns:
        Patient -> group, of those who share an image.
    """
    channels = _raw_channels(raw, cohort.cases) or _preprocessed_channels(preprocessed, cohort.cases)
    files = {str(channel.path): _stamp(channel.path) for channel in channels}
    pairs = read_pairs(preprocessed, files)
    if pairs is None:
        pairs = find_pairs(channels, progress)
        if channels:
            write_pairs(preprocessed, pairs, files)
    return patient_groups(pairs, cohort.by_case)


def find_pairs(channels: Iterable[Channel], progress: bool) -> Pairs:
    """Return the pairs of cases that show the same image; a warning says how many images cannot be read."""
    prints: dict[str, Print] = {}
    owners: dict[str, str] = {}
    unread: list[str] = []
    bar = tqdm(channels, desc="compare images", unit="image", disable=not progress, leave=False)
    for channel in bar:
        name = str(channel.path)
        try:
            prints[name], owners[name] = content_print(channel.read()), channel.case
        except UserError as error:
            unread.append(str(error))
    if unread:
        logger.warning("%d images are not compared with others: %s", len(unread), unread[0])
    return sorted({(owners[pair.first], owners[pair.second]) for pair in find_repeated(prints, owners)})


def _raw_channels(raw: Path | None, cases: Iterable[str]) -> list[Channel]:
    """Return the channels of all cases, or none if some are not there or of a format that is not read here."""
    if raw is None or not (raw / "dataset.json").is_file():
        return []
    description = read_json(raw / "dataset.json")
    ending, listed = description["file_ending"], description.get("dataset", {})
    if ending.lower() not in IMAGE_ENDINGS:
        return []
    channels = []
    for case in cases:
        if case in listed:
            own = [_channel(case, raw / expandvars(path)) for path in listed[case]["images"]]
        else:
            own = image_channels(raw / "imagesTr", case, ending)
        if not own or not all(channel.path.is_file() for channel in own):
            return []
        channels += own
    return channels


def image_channels(folder: Path, case: str, ending: str) -> list[Channel]:
    """Return the channels of a case in a folder of images in nnU-Net's raw format."""
    return [_channel(case, path) for path in sorted(folder.glob(f"{escape(case)}_[0-9][0-9][0-9][0-9]{ending}"))]


def _channel(case: str, path: Path) -> Channel:
    return Channel(case, path, partial(read_voxels, path))


def _preprocessed_channels(preprocessed: Path, cases: Mapping[str, object]) -> list[Channel]:
    """Return the channels of the folder with most cases; data of a coarser grid are as good."""
    folders = sorted(folder for folder in preprocessed.iterdir() if folder.is_dir()) if preprocessed.is_dir() else []
    there = {folder: sorted(preprocessed_cases(folder) & set(cases)) for folder in folders}
    folder = max(there, key=lambda one: len(there[one]), default=preprocessed)
    channels = []
    for case in there.get(folder, ()):
        path = next(file for end in (".b2nd", ".npz") if (file := folder / f"{case}{end}").is_file())
        channels += [Channel(case, path, partial(_read_preprocessed, folder, case))]
    return channels


def _read_preprocessed(folder: Path, case: str) -> npt.NDArray[Any]:
    """Return the channels of a case behind one another along the slices."""
    # It costs seconds to import and is needed only where there are no raw data.
    from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

    try:
        data = infer_dataset_class(str(folder))(str(folder)).load_case(case)[0]
        return np.asarray(data[:]).reshape(-1, *data.shape[2:])
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"{folder / case}: cannot be read ({error}). Preprocess the data set again.") from error


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
