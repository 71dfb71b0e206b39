"""Which folders hold which DICOM study: by what one file of each says, not by how the folders are nested.

Some archives keep each slice, others each patient, in a folder of its own. Folders are one study if their files have
one StudyInstanceUID and one patient. What a file does not say joins nothing.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cardiac.dicom.recognise import has_dicom_content, is_dicom, is_system_name
from nnunet_cardiac.image_names import image_stem
from nnunet_cardiac.inference.own_files import is_own_segmentation
from nnunet_cardiac.inference.safe_names import natural

logger = logging.getLogger(__name__)

_ASKED = ("SpecificCharacterSet", "StudyInstanceUID", "PatientID", "PatientName")

#: Files of a folder that are asked until one gives a study.
_TRIES = 3


@dataclass(frozen=True)
class Identity:
    """Whose a file is.

    Attributes:
        uid: StudyInstanceUID, empty if unknown.
        patient: ID and name in one spelling.
    """

    uid: str = ""
    patient: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Study:
    """Folders or files of one study.

    Attributes:
        name: Of its folder, or of the first of them.
        paths: What to read, each with everything below it. Folders below are listed if only a link leads there.
        uid: StudyInstanceUID, empty if unknown.
    """

    name: str
    paths: tuple[Path, ...]
    uid: str = ""


@dataclass(frozen=True)
class _Unit:
    """A folder that is not divided further."""

    name: str
    paths: tuple[Path, ...]
    identity: Identity


def listing(folder: Path) -> list[Path]:
    """What lies in a folder, without what operating systems put there, as people count."""
    return sorted((path for path in folder.iterdir() if not is_system_name(path.name)), key=lambda p: natural(p.name))


def identity_of(file: Path) -> Identity:
    """Read whose a DICOM file is; an empty identity if it does not say or cannot be read."""
    try:
        import pydicom

        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_ASKED), force=True)
        return Identity(
            str(header.get("StudyInstanceUID") or "").strip(),
            (_spelled(header.get("PatientID")), _spelled(header.get("PatientName"))),
        )
    except Exception:  # not installed, or damaged in any way: the reader explains it
        return Identity()


def _spelled(value: Any) -> str:
    """An ID or a name without what careless spelling adds: case, accents, empty components, spaces."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", str(value or "")).casefold())
    text = "".join(" " if c in "^=," else c for c in text if not unicodedata.combining(c))
    return " ".join(text.split())


def holds_images(folder: Path) -> bool:
    """Whether DICOM files lie directly in a folder; those of this program, and broken ones, do not count."""
    return any(has_dicom_content(file) for file in _dicom_files(folder))


def _dicom_files(folder: Path) -> Iterator[Path]:
    """DICOM files directly in a folder, without segmentations of this program."""
    for path in listing(folder):
        if image_stem(path) is None and path.is_file() and is_dicom(path) and not is_own_segmentation(path):
            yield path


def dicom_folders(top: Path) -> dict[Path, Identity]:
    """Folders at and below one in which DICOM files lie, and whose they are. Links are followed once."""
    found: dict[Path, Identity] = {}
    _walk(top, found, set())
    return found


def _walk(folder: Path, found: dict[Path, Identity], seen: set[tuple[int, int]]) -> None:
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    identities: list[Identity] = []
    for file in _dicom_files(folder):
        identities.append(identity_of(file))
        if identities[-1].uid or len(identities) == _TRIES:
            break
    if identities:
        found[folder] = identities[-1]
    for path in listing(folder):
        if path.is_dir():
            _walk(path, found, seen)


def whole_study(folder: Path, name: str) -> Study:
    """Return a folder as one study, whatever lies below it."""
    found = dicom_folders(folder)
    return Study(name, (folder, *_links(folder, found)), next((one.uid for one in found.values() if one.uid), ""))


def find_studies(parent: Path, name: str, folders: Mapping[Path, Mapping[Path, Identity]]) -> list[Study]:
    """Find the studies in the folders of a folder.

    Args:
        parent: The folder.
        name: What a study is called that takes up all of them.
        folders: Folders in it, each with what :func:`dicom_folders` found.

    Returns:
        Studies. If it is one of several folders, its path is that of the parent.
    """
    units = [unit for folder, found in folders.items() if found for unit in _units(folder, found, (folder.name,))]
    groups: dict[Any, list[_Unit]] = {}
    for number, unit in enumerate(units):
        groups.setdefault(unit.identity if unit.identity.uid else number, []).append(unit)
    if len(groups) == 1 and len(units) > 1:
        links = [path for unit in units for path in unit.paths if path.is_symlink()]
        return [Study(name, (parent, *links), units[0].identity.uid)]
    studies = []
    for same in groups.values():
        if len(same) > 1:
            names = ", ".join(unit.name for unit in same)
            logger.info("%s: the folders %s are one study by their StudyInstanceUID.", parent, names)
        paths = tuple(path for unit in same for path in unit.paths)
        studies.append(Study(same[0].name, paths, same[0].identity.uid))
    return studies


def _units(folder: Path, found: Mapping[Path, Identity], parts: tuple[str, ...]) -> list[_Unit]:
    """The folder if it is one study, else those below it that are."""
    if folder in found or len(set(found.values())) == 1:
        return [_Unit("_".join(parts), (folder, *_links(folder, found)), next(iter(found.values())))]
    below: dict[str, dict[Path, Identity]] = {}
    for path, identity in found.items():
        below.setdefault(path.relative_to(folder).parts[0], {})[path] = identity
    return [unit for name, some in below.items() for unit in _units(folder / name, some, (*parts, name))]


def _links(folder: Path, found: Mapping[Path, Identity]) -> list[Path]:
    """Folders below one that only links lead to; a search below the folder does not follow them."""
    links: dict[Path, None] = {}
    for path in found:
        while path != folder:
            if path.is_symlink():
                links[path] = None
            path = path.parent
    return list(links)
