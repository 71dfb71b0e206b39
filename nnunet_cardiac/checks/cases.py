"""Pairs the image and label files of a raw data set, and names what has no counterpart."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from os.path import expandvars
from pathlib import Path

from nnunet_cardiac.checks.dataset_json import DatasetDescription
from nnunet_cardiac.checks.problems import Problems


@dataclass(frozen=True)
class RawCase:
    """The files of one training case; all exist.

    Attributes:
        name: Identifier, the name of the label file without its ending.
        images: One file a channel, in the order of the channels.
        label: Label map.
    """

    name: str
    images: tuple[Path, ...]
    label: Path


def find_cases(description: DatasetDescription, problems: Problems) -> list[RawCase]:
    """Return the complete training cases, by name; what is incomplete is added to `problems`.

    nnU-Net has a function for this, which starts twelve processes and pairs files without looking whether they exist.
    """
    listed = description.listed is not None
    expected = _listed(description, problems) if listed else _in_folders(description, problems)
    if not expected:
        problems.add(
            f"{description.folder}: no training case; expected imagesTr/NAME_0000{description.file_ending}. Put the "
            "images there, or correct file_ending in dataset.json."
        )
    elif len(expected) != description.training_cases:
        problems.add(
            f"{description.folder / 'dataset.json'}: numTraining is {description.training_cases}; found "
            f"{len(expected)} cases. Correct numTraining or add the missing files."
        )
    return [case for case in expected if _is_complete(case, problems)]


def _listed(description: DatasetDescription, problems: Problems) -> list[RawCase]:
    def locate(text: str) -> Path:
        return description.folder / expandvars(text)  # an absolute path wins over the folder

    cases = []
    for name, files in sorted((description.listed or {}).items()):
        images, label = files.get("images", []), files.get("label")
        if label is None or len(images) != description.channels:
            problems.add(
                f"{description.folder / 'dataset.json'}: case {name} lists {len(images)} images and "
                f"{'no' if label is None else 'one'} label; expected {description.channels} and one. Correct its entry."
            )
        else:
            cases.append(RawCase(name, tuple(map(locate, images)), locate(label)))
    return cases


def _in_folders(description: DatasetDescription, problems: Problems) -> list[RawCase]:
    images, labels = description.folder / "imagesTr", description.folder / "labelsTr"
    channels = _channels_of_cases(images, description.file_ending, problems)
    for label in _files(labels, description.file_ending):
        name = label.name.removesuffix(description.file_ending)
        if name not in channels:
            problems.add(
                f"{label}: no image; expected {images / name}_0000{description.file_ending}. Add the image or remove "
                "the label."
            )
    for name, found in channels.items():
        extra = sorted(channel for channel in found if channel >= description.channels)
        if extra:
            problems.add(
                f"{images / name}_{extra[0]:04d}{description.file_ending}: channel {extra[0]}, but dataset.json names "
                f"{description.channels} channel(s). Correct channel_names or remove the file."
            )
    ending = description.file_ending
    return [
        RawCase(
            name,
            tuple(images / f"{name}_{channel:04d}{ending}" for channel in range(description.channels)),
            labels / f"{name}{ending}",
        )
        for name in sorted(channels)
    ]


def _channels_of_cases(folder: Path, ending: str, problems: Problems) -> dict[str, set[int]]:
    channels: dict[str, set[int]] = defaultdict(set)
    pattern = re.compile(rf"(.+)_(\d{{4}}){re.escape(ending)}")
    for file in _files(folder, ending):
        match = pattern.fullmatch(file.name)
        if match is None:
            name = file.name.removesuffix(ending)
            problems.add(
                f"{file}: no channel number; expected NAME_0000{ending}. Rename it to {name}_0000{ending}, the label "
                f"stays {name}{ending}."
            )
        else:
            channels[match[1]].add(int(match[2]))
    return channels


def _files(folder: Path, ending: str) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name.endswith(ending)) if folder.is_dir() else []


def _is_complete(case: RawCase, problems: Problems) -> bool:
    missing = [path for path in (*case.images, case.label) if not path.is_file()]
    for path in missing:
        kind = "label" if path == case.label else "image"
        problems.add(f"{path}: no such {kind} for case {case.name}. Add it, or remove the case.")
    return not missing
