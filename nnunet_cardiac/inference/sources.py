"""Which cases an input path holds, found without reading an image."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.image_names import IMAGE_ENDINGS, image_stem

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


@dataclass(frozen=True)
class Source:
    """One case of an input.

    Attributes:
        name: Name of the outputs, without ending.
        paths: One image file a channel, or the folder of a DICOM study.
        is_dicom: Whether it is a DICOM study, which may hold several series.
    """

    name: str
    paths: tuple[Path, ...]
    is_dicom: bool = False


def find_sources(path: Path, channels: int) -> list[Source]:
    """Find the cases of a file or folder.

    A folder may hold image files, named as nnU-Net does (`NAME_0000.nii.gz`) or in any other way, and folders of
    DICOM studies. A folder with DICOM files in it is one study, whatever lies below it.

    Args:
        path: Image file, DICOM file or folder.
        channels: Image channels of the model.

    Returns:
        Cases by name.

    Raises:
        UserError: If there is nothing to segment, a channel is missing or too many, or two cases have one name.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give an image, a folder of images or a DICOM study.")
    if path.is_file():
        return [_from_file(path, channels)]
    images = [file for file in sorted(path.iterdir()) if file.is_file() and image_stem(file) is not None]
    if images:
        studies = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and _holds_dicom(folder)]
    elif any(_is_dicom(file) for file in path.iterdir() if file.is_file()):
        studies = [path]
    else:
        studies = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and _holds_dicom(folder)]
    sources = _from_images(images, channels)
    sources += [Source(folder.resolve().name, (folder,), is_dicom=True) for folder in studies]
    if not sources:
        raise UserError(f"{path}: no image ({', '.join(IMAGE_ENDINGS)}) and no DICOM file in it or in its folders.")
    _refuse_same_names(sources)
    return sorted(sources, key=lambda source: source.name)


def _from_file(path: Path, channels: int) -> Source:
    if image_stem(path) is None:
        if _is_dicom(path):
            return Source(path.stem, (path,), is_dicom=True)
        raise UserError(f"{path}: no image; expected one of {', '.join(IMAGE_ENDINGS)}, or a DICOM file.")
    match = _CHANNEL.fullmatch(image_stem(path) or "")
    siblings = [path]
    if match and channels > 1:
        ending = path.name[len(image_stem(path) or "") :]
        siblings = sorted(path.parent.glob(f"{match['case']}_[0-9][0-9][0-9][0-9]{ending}"))
    return _from_images(siblings, channels)[0]


def _from_images(files: Sequence[Path], channels: int) -> list[Source]:
    cases: dict[str, dict[int, Path]] = defaultdict(dict)
    for file in files:
        stem = image_stem(file) or ""
        match = _CHANNEL.fullmatch(stem)
        name, channel = (match["case"], int(match["channel"])) if match else (stem, 0)
        if channel in cases[name]:
            raise UserError(f"{file} and {cases[name][channel].name} would both be {name}; rename one of them.")
        cases[name][channel] = file
    for name, found in cases.items():
        if sorted(found) != list(range(channels)):
            listed = ", ".join(file.name for _, file in sorted(found.items()))
            expected = ", ".join(f"{name}_{channel:04d}" for channel in range(channels))
            raise UserError(
                f"{next(iter(found.values())).parent}: case {name} has {len(found)} channels ({listed}), and the model "
                f"was trained with {channels}. Expected files named {expected}."
            )
    return [Source(name, tuple(file for _, file in sorted(found.items()))) for name, found in cases.items()]


def _refuse_same_names(sources: Sequence[Source]) -> None:
    seen: dict[str, Source] = {}
    for source in sources:
        if source.name in seen:
            raise UserError(
                f"{source.paths[0]} and {seen[source.name].paths[0]} would both be {source.name}; rename one of them."
            )
        seen[source.name] = source


def _is_dicom(path: Path) -> bool:
    """Whether a file is DICOM: its preamble says so, or its ending does."""
    if path.name.upper() == "DICOMDIR":
        return False
    if path.suffix.lower() in (".dcm", ".ima"):
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _holds_dicom(folder: Path) -> bool:
    return any(_is_dicom(file) for file in folder.rglob("*") if file.is_file())
