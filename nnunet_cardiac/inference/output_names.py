"""Names of outputs: two cases never share one, and none is the name of an input."""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.own_files import OBJECT_ENDINGS, is_own_label_map, is_own_segmentation, read_record
from nnunet_cardiac.inference.safe_names import folded

if TYPE_CHECKING:
    from nnunet_cardiac.inference.sources import Source

_SERIES = r"(_study\d+(_series-?\d+)?|_series-?\d+)(_\d+)?"
#: What follows the name of a study in those of its series, and of the DICOM objects of their phases.
_OF_SERIES = re.compile(_SERIES)
_OF_PHASE = re.compile(rf"({_SERIES})?(_ED|_ES)")


def refuse_same_names(sources: Sequence[Source]) -> None:
    """Refuse cases whose outputs would have one name, series of a study included.

    Raises:
        UserError: If there are such cases.
    """
    seen: dict[str, Source] = {}
    for source in sources:
        if source.name in seen:
            raise _both(source, seen[source.name], source.name)
        seen[source.name] = source
    _refuse_endings(sources, sources, _OF_SERIES)


def _refuse_endings(sources: Sequence[Source], checked: Sequence[Source], ending: re.Pattern[str]) -> None:
    """Refuse names that are those of a study with such an ending."""
    studies = {name: source for source in sources if source.is_dicom for name in (source.pseudonym, source.name)}
    for source in checked:
        for place in (match.start() for match in re.finditer("_", source.name)):
            study = studies.get(source.name[:place])
            if study is not None and study is not source and ending.fullmatch(source.name[place:]):
                raise _both(source, study, source.name)


def refuse_shared_files(sources: Sequence[Source], output: Path, objects: bool) -> None:
    """Refuse cases with names of their own whose files would be one all the same.

    That is so if the disk of the output knows no case or no spelling of accents, or if the object of a phase of one
    study is called like that of another study.

    Args:
        sources: All cases.
        output: Existing folder for the results.
        objects: Whether DICOM objects are written.

    Raises:
        UserError: If there are such cases.
    """
    if objects:
        _refuse_endings(sources, [source for source in sources if source.is_dicom], _OF_PHASE)
    alike: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        alike[folded(source.name)].append(source)
    pairs = [same[:2] for same in alike.values() if len(same) > 1]
    for first, second in pairs:
        if are_one_file(output, first.name, second.name):
            raise _both(second, first, second.name)


def are_one_file(folder: Path, first: str, second: str) -> bool:
    """Whether two names are one file on the disk of a folder."""
    with tempfile.TemporaryDirectory(prefix=".nnunet_cardiac-", dir=folder) as probe:
        try:
            Path(probe, first).touch()
            return Path(probe, second).exists()
        except OSError:  # too long a name: the case fails by itself
            return False


def _both(one: Source, other: Source, name: str) -> UserError:
    return UserError(f"{one.paths[0]} and {other.paths[0]} would both have outputs called {name}; rename one of them.")


def input_names(sources: Sequence[Source], output: Path) -> frozenset[str]:
    """Names in the folder for the results that are inputs, under whatever path or link they were given.

    Args:
        sources: All cases of the input.
        output: Folder for the results.
    """
    if not output.is_dir():
        return frozenset()
    images = {_identity(path) for source in sources if not source.is_dicom for path in source.paths}
    studies = [path for source in sources if source.is_dicom for path in source.paths]
    folders = {os.path.realpath(path) for path in studies}
    here = [entry for entry in output.iterdir() if not entry.name.startswith(".") and not entry.is_dir()]
    linked = any(_may_lie_elsewhere(entry) for entry in here)
    files = {_identity(file) for path in studies for file in _files(path)} if linked else set()
    names = set()
    for entry in here:
        identity = _identity(entry)
        of_study = _below(entry, folders) or identity in files
        if identity is not None and (identity in images or (of_study and not _is_result(entry))):
            names.add(entry.name)
    return frozenset(names)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _may_lie_elsewhere(path: Path) -> bool:
    try:
        return path.is_symlink() or path.stat().st_nlink > 1
    except OSError:
        return False


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)


def _below(path: Path, folders: set[str]) -> bool:
    real = Path(os.path.realpath(path))
    return any(str(parent) in folders for parent in (real, *real.parents))


def _is_result(path: Path) -> bool:
    """Whether a file in the folder of a study is a result of this program."""
    if path.suffix == ".json":
        return read_record(path) is not None
    if path.name.endswith(OBJECT_ENDINGS):
        return is_own_segmentation(path)
    return is_own_label_map(path) or path.suffix == ".csv"
