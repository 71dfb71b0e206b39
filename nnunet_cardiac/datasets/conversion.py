"""From a source to `DatasetNNN_Name`: whole or not at all, and nothing that exists is touched."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from nnunet_cardiac.datasets.catalogue import SOURCES
from nnunet_cardiac.datasets.labels import keep_structures
from nnunet_cardiac.datasets.raw_folder import Request, Summary, fill
from nnunet_cardiac.datasets.subject import Collection, ConvertOptions, check_subjects
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Folds:
    """How the training patients are split.

    Attributes:
        number: Number of folds.
        seed: Seed of the draw.
        file: The user's own `splits_final.json`; None draws folds by patient, balanced by disease group.
    """

    number: int = 5
    seed: int = 12345
    file: Path | None = None


def convert(
    name: str,
    source: Path,
    dataset_id: int,
    raw_root: Path,
    *,
    dataset_name: str | None = None,
    options: ConvertOptions | None = None,
    folds: Folds | None = None,
    skip: Sequence[str] = (),
    preprocessed_root: Path | None = None,
    progress: bool = True,
) -> list[Summary]:
    """Convert a source into one raw data set, or two where it has two views.

    Args:
        name: Key of `SOURCES`.
        source: Folder of the unpacked archive, or the table of one's own data.
        dataset_id: Number, 1 to 999; a second data set takes the next one.
        raw_root: `nnUNet_raw`; made if it is not there.
        dataset_name: Name after the number; None takes the source's.
        options: What the converters take.
        folds: How to split.
        skip: Patients to leave out.
        preprocessed_root: `nnUNet_preprocessed`; the folds are put there as well, where nnU-Net looks for them.
        progress: Show a bar on stderr.

    Returns:
        What was written, one for each data set.

    Raises:
        UserError: If the target exists, the source is not laid out as expected, or files have problems.
    """
    options, folds = options or ConvertOptions(), folds or Folds()
    if not source.exists():
        expected = "a CSV or Excel file" if name == "generic" else f"the unpacked archive of {SOURCES[name].title}"
        raise UserError(f"{source}: not found; expected {expected}.")
    source = source.absolute()  # the manifest names files relative to it
    collections = import_module(SOURCES[name].module).read(source, replace(options, skip=skip, progress=progress))
    collections = [_without(_renamed(c, dataset_name, len(collections)), skip) for c in collections]
    if options.labels is not None:
        collections = [replace(collection, values=options.labels) for collection in collections]
    if options.structures is not None:
        collections = [replace(c, values=keep_structures(c.values, options.structures)) for c in collections]
    for collection in collections:
        check_subjects(collection)
    targets = [_target(raw_root, dataset_id + i, collection.name) for i, collection in enumerate(collections)]
    request = Request(
        source,
        SOURCES[name].title,
        SOURCES[name].cite,
        folds.number,
        folds.seed,
        None if folds.file is None else _read_splits(folds.file),
        options.cine,
        options.trust_voxels,
        tuple(skip),
        options.as_stored,
    )
    raw_root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".convert_", dir=raw_root) as scratch:
        made = [
            fill(Path(scratch) / target.name, collection, request, progress)
            for collection, target in zip(collections, targets, strict=True)
        ]
        _move(made, targets)
    summaries = [replace(summary, folder=target) for summary, target in zip(made, targets, strict=True)]
    if preprocessed_root is not None:
        for summary in summaries:
            if summary.folds:
                _hand_over_splits(summary.folder, preprocessed_root)
    return summaries


def _renamed(collection: Collection, name: str | None, count: int) -> Collection:
    if name is None:
        return collection
    return replace(collection, name=name if count == 1 else name + collection.name[-2:])  # MnMs2SA, MnMs2LA


def _without(collection: Collection, skip: Sequence[str]) -> Collection:
    unknown = sorted(set(skip) - {subject.patient for subject in collection.subjects})
    if unknown:
        known = ", ".join(subject.patient for subject in collection.subjects[:5])
        raise UserError(f"--skip {' '.join(unknown)}: no such patient; {collection.name} has {known}, ...")
    return replace(collection, subjects=[s for s in collection.subjects if s.patient not in skip])


def _target(raw_root: Path, dataset_id: int, name: str) -> Path:
    if not 1 <= dataset_id <= 999:
        raise UserError(f"Data set number {dataset_id} is out of range; choose 1 to 999.")
    if not name or any(not (c.isalnum() or c in "-_") for c in name):
        raise UserError(f"--name {name!r}: expected letters, digits, dashes and underscores.")
    taken = sorted(folder.name for folder in raw_root.glob(f"Dataset{dataset_id:03d}_*"))
    if taken:
        raise UserError(
            f"{raw_root}: number {dataset_id} is taken by {', '.join(taken)}; nnU-Net needs one folder a number, and "
            "nothing is overwritten. Choose another number, or remove that folder."
        )
    return raw_root / f"Dataset{dataset_id:03d}_{name}"


def _read_splits(path: Path) -> Sequence[Mapping[str, Sequence[str]]]:
    try:
        splits = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}).") from error
    if not isinstance(splits, list) or not splits or not all(isinstance(fold, dict) for fold in splits):
        raise UserError(f'{path}: expected nnU-Net\'s form, a list of {{"train": [...], "val": [...]}}, one a fold.')
    return splits


def _move(made: Sequence[Summary], targets: Sequence[Path]) -> None:
    """Give all data sets their names, or none."""
    moved: list[tuple[Path, Path]] = []
    try:
        for summary, target in zip(made, targets, strict=True):
            os.rename(summary.folder, target)
            moved.append((target, summary.folder))
    except OSError as error:
        for target, origin in reversed(moved):
            os.rename(target, origin)
        raise UserError(
            f"{targets[len(moved)]}: appeared meanwhile or cannot be written ({error.strerror})."
        ) from error


def _hand_over_splits(folder: Path, preprocessed_root: Path) -> None:
    """Put the folds where nnU-Net reads them; without them its first training draws folds that split patients."""
    target = preprocessed_root / folder.name / "splits_final.json"
    if target.exists():
        logger.warning("%s is from an earlier data set and stays; remove it, nnU-Net reads it before ours.", target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, read_json(folder / "splits_final.json"))
