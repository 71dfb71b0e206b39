"""Which cases an input path holds, found without reading an image."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnunet_cardiac.dicom.recognise import is_dicom
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.image_names import IMAGE_ENDINGS, image_stem
from nnunet_cardiac.inference.archives import is_archive
from nnunet_cardiac.inference.media_directory import is_media_directory, read_dicomdir
from nnunet_cardiac.inference.output_names import refuse_same_names
from nnunet_cardiac.inference.own_files import is_own_label_map
from nnunet_cardiac.inference.safe_names import folded, is_safe, own_name, safe_name
from nnunet_cardiac.inference.studies import (
    Identity,
    Study,
    dicom_folders,
    find_studies,
    holds_images,
    identity_of,
    listing,
    whole_study,
)
from nnunet_cardiac.inference.workspace import Workspace

logger = logging.getLogger(__name__)

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


@dataclass(frozen=True)
class Source:
    """One case of an input.

    Attributes:
        name: Name of the outputs, without ending.
        paths: One image file a channel; or the folders or files of a DICOM study, each with all that lies below it.
            What only a link below a folder leads to is listed by itself, so a search below need not follow links.
        is_dicom: Whether it is a DICOM study, which may hold several series.
        pseudonym: Name of the outputs of a study whose own name says who the patient is; no other case has it.
        problem: Why it cannot be read, as far as that is known before.
    """

    name: str
    paths: tuple[Path, ...]
    is_dicom: bool = False
    pseudonym: str = ""
    problem: str = ""


def find_sources(path: Path, channels: int, workspace: Workspace | None = None) -> list[Source]:
    """Find the cases of a file or folder.

    A folder may hold image files, named as nnU-Net does (`NAME_0000.nii.gz`) or in any other way, folders of DICOM
    studies, and zip archives of either. A folder with DICOM files in it is one study, whatever lies below it; so are
    several folders if they say that they are one study. Results of this program are no input.

    Args:
        path: Image file, DICOM file, DICOMDIR, zip archive or folder.
        channels: Image channels of the model.
        workspace: For what archives hold, and for files whose names are not UTF-8; None refuses both.

    Returns:
        Cases by name.

    Raises:
        UserError: If there is nothing to segment, a channel is missing or too many, or two cases have one name.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give an image, a folder of images or a DICOM study.")
    finder = _Finder(channels, workspace)
    sources = finder.of_file(path) if path.is_file() else finder.of_folder(path, own_name(path))
    if not sources:
        raise UserError(f"{path}: no image ({', '.join(IMAGE_ENDINGS)}) and no DICOM file in it or in its folders.")
    sources = [replace(source, name=safe_name(source.name)) for source in sources]
    sources.sort(key=lambda source: source.name)
    sources = _with_pseudonyms(sources, finder.uids)
    refuse_same_names(sources)
    return sources


class _Finder:
    """Finds cases; remembers the UIDs of the studies.

    Attributes:
        uids: First path of a study -> StudyInstanceUID.
    """

    def __init__(self, channels: int, workspace: Workspace | None) -> None:
        self.uids: dict[Path, str] = {}
        self._channels = channels
        self._workspace = workspace

    def of_file(self, path: Path) -> list[Source]:
        """Cases of one file."""
        if image_stem(path) is not None:
            if is_own_label_map(path):
                raise UserError(f"{path}: a result of an earlier run, by the JSON file beside it. Give an image.")
            return self._of_images(self._siblings(path))
        if is_media_directory(path):
            return self._of_studies(read_dicomdir(path, own_name(path.parent)))
        if is_archive(path):
            return self._of_archive(path)
        if is_dicom(path):
            return self._of_studies([Study(path.stem, (path,), identity_of(path).uid)])
        raise UserError(f"{path}: no image; expected one of {', '.join(IMAGE_ENDINGS)}, a DICOM file or a zip archive.")

    def of_folder(self, folder: Path, name: str, archives: bool = True) -> list[Source]:
        """Cases of a folder; `name` is that of a study that takes up all of it."""
        content = listing(folder)
        images = _images(content)
        folders = [path for path in content if path.is_dir() and path not in images]
        zips = [path for path in content if is_archive(path) and not path.is_dir()] if archives else []
        if holds_images(folder) or (not images and not zips and any(map(_is_broken_dicom, content))):
            _leave_out(folder, [*images, *zips], "Files beside the DICOM files of a study")
            return self._of_studies([whole_study(folder, name)])
        searched, problems = _search(folders)
        studies = find_studies(folder, name, searched)
        if len(studies) == 1 and studies[0].paths[0] == folder:
            _leave_out(folder, [*images, *zips], "Files beside the folders of a study")
            return self._of_studies(studies) + problems
        sources = self._of_images([path / path.name if path.is_dir() else path for path in images])
        sources += self._of_studies(studies) + problems
        for path in zips:
            sources += self._of_one_of_many(path)
        return sources

    def _of_studies(self, studies: Sequence[Study]) -> list[Source]:
        sources = []
        for study in studies:
            try:
                paths = tuple(self._readable(path) for path in study.paths)
            except UserError as error:
                sources.append(Source(study.name, study.paths, is_dicom=True, problem=str(error)))
                continue
            self.uids[paths[0]] = study.uid
            sources.append(Source(study.name, paths, is_dicom=True))
        return sources

    def _of_archive(self, archive: Path) -> list[Source]:
        if self._workspace is None:
            raise UserError(f"{archive}: a zip archive. Extract it and give the folder.")
        folder = self._workspace.extracted(archive)
        content = listing(folder)
        while len(content) == 1 and content[0].is_dir():
            folder, content = content[0], listing(content[0])
        sources = self.of_folder(folder, archive.stem, archives=False)
        if not sources:
            raise UserError(f"{archive}: no image and no DICOM file in this archive. Extract it and give the folder.")
        return sources

    def _of_one_of_many(self, archive: Path) -> list[Source]:
        """Cases of an archive among others, with its name before theirs if there are several; it may fail alone."""
        try:
            sources = self._of_archive(archive)
        except (UserError, OSError) as error:
            return [Source(archive.stem, (archive,), problem=str(error))]
        if len(sources) == 1:
            return sources
        return [replace(source, name=f"{archive.stem}_{source.name}") for source in sources]

    def _siblings(self, path: Path) -> list[Path]:
        """The channels of the case to which an image belongs."""
        stem = image_stem(path) or ""
        match = _CHANNEL.fullmatch(stem)
        if match is None:
            return [path]
        channels = re.compile(rf"{re.escape(match['case'])}_\d{{4}}")
        ending = path.name[len(stem) :]
        others = [
            other
            for other in sorted(path.parent.iterdir())
            if channels.fullmatch(image_stem(other) or "") and other.name.endswith(ending)
        ]
        if self._channels > 1:
            return others
        first = path.with_name(f"{match['case']}_0000{ending}")
        return [path] if int(match["channel"]) == 0 or first not in others else [first, path]

    def _of_images(self, files: Sequence[Path]) -> list[Source]:
        cases: dict[str, dict[int, Path]] = defaultdict(dict)
        first = {match["case"] for match in map(_channel_of, files) if match and int(match["channel"]) == 0}
        for file in files:
            match = _channel_of(file)
            # A camera counts its images in four digits, too: without a channel 0, a number is part of the name.
            if match and (self._channels > 1 or match["case"] in first):
                name, channel = match["case"], int(match["channel"])
            else:
                name, channel = image_stem(file) or "", 0
            if channel in cases[name]:
                raise UserError(f"{file} and {cases[name][channel].name} would both be {name}; rename one of them.")
            cases[name][channel] = file
        for name, found in cases.items():
            if sorted(found) != list(range(self._channels)):
                raise UserError(_wrong_channels(name, found, self._channels))
        return [self._of_image(name, [file for _, file in sorted(found.items())]) for name, found in cases.items()]

    def _of_image(self, name: str, files: Sequence[Path]) -> Source:
        try:
            return Source(name, tuple(self._readable(file) for file in files))
        except UserError as error:
            return Source(name, tuple(files), problem=str(error))

    def _readable(self, path: Path) -> Path:
        if self._workspace is not None:
            return self._workspace.readable(path)
        if not is_safe(path):
            raise UserError(f"{path}: the name is not UTF-8. Rename the file or its folder.")
        return path


def _search(folders: Sequence[Path]) -> tuple[dict[Path, dict[Path, Identity]], list[Source]]:
    """DICOM folders in each folder, and those that cannot be searched."""
    found: dict[Path, dict[Path, Identity]] = {}
    problems = []
    for folder in folders:
        try:
            found[folder] = dicom_folders(folder)
        except OSError as error:
            problem = f"{error.filename or folder}: {error.strerror or error}."
            problems.append(Source(folder.name, (folder,), is_dicom=True, problem=problem))
    return found, problems


def _channel_of(file: Path) -> re.Match[str] | None:
    return _CHANNEL.fullmatch(image_stem(file) or "")


def _wrong_channels(name: str, found: dict[int, Path], channels: int) -> str:
    listed = ", ".join(file.name for _, file in sorted(found.items()))
    expected = ", ".join(f"{name}_{channel:04d}" for channel in range(channels))
    where = f"{next(iter(found.values())).parent}: case {name}"
    if len(found) == channels:
        return f"{where} has channels with other numbers ({listed}). Expected files named {expected}."
    return (
        f"{where} has {len(found)} channels ({listed}), and the model was trained with {channels}. Expected files "
        f"named {expected}."
    )


def _images(content: Sequence[Path]) -> list[Path]:
    """Image files, folders that hold the file of their name, and links that lead nowhere: reading says so."""
    images: list[Path] = []
    own: list[Path] = []
    for path in content:
        if image_stem(path) is None:
            continue
        if path.is_dir():
            inner = path / path.name
            if inner.is_file():
                images.append(path)
        elif path.is_file() or path.is_symlink():
            (own if is_own_label_map(path) else images).append(path)
    if own:
        _leave_out(own[0].parent, own, "Results of this program, by the JSON file beside each,")
    return images


def _is_broken_dicom(path: Path) -> bool:
    return path.is_file() and is_dicom(path)


def _leave_out(folder: Path, paths: Sequence[Path], what: str) -> None:
    if paths:
        shown = ", ".join(path.name for path in paths[:5]) + (", ..." if len(paths) > 5 else "")
        logger.warning("%s: %s are left out: %s.", folder, what, shown)


def _with_pseudonyms(sources: Sequence[Source], uids: dict[Path, str]) -> list[Source]:
    """Give each study a name that says nothing, the same in each run; the second with one UID ends in -2."""
    taken = {folded(source.name) for source in sources}
    named = []
    for source in sources:
        if source.is_dicom and not source.problem:
            uid = uids[source.paths[0]]
            base = "study-" + (hashlib.sha256(uid.encode()).hexdigest()[:8] if uid else "without-uid")
            number, name = 1, base
            while name in taken:
                number += 1
                name = f"{base}-{number}"
            taken.add(name)
            source = replace(source, pseudonym=name)
        named.append(source)
    return named
