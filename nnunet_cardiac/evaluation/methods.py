"""Methods under test as a user names them, and how their labels count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.conventions import check_same_order
from nnunet_cardiac.evaluation.labels import find_dataset_json, read_labels
from nnunet_cardiac.evaluation.table import Method
from nnunet_cardiac.files import beside, split_name
from nnunet_cardiac.patients.tables import table_in


def named_methods(
    folders: Mapping[str, Sequence[Path]],
    reference: Path,
    labels: Mapping[str, int],
    prediction_labels: Mapping[str, int] | None = None,
    *,
    map_labels: bool = False,
) -> list[Method]:
    """Find out how the methods count the structures.

    Args:
        folders: Folders of each method, as :func:`named_folders` reads them.
        reference: Folder of the references, for messages.
        labels: Structure -> value in the references.
        prediction_labels: Structure -> value in all predictions; by default from their `dataset.json`.
        map_labels: Translate predictions whose `dataset.json` numbers otherwise, instead of refusing them.

    Raises:
        UserError: If the numbering differs and is not to be translated.
    """
    return [
        Method(name, tuple(paths), _translation(paths, reference, labels, prediction_labels, map_labels))
        for name, paths in folders.items()
    ]


def named_folders(words: Sequence[str]) -> dict[str, list[Path]]:
    """Read `NAME=FOLDER` or `FOLDER`, whose name is then that of the folder; a folder that exists is no NAME=FOLDER.

    Args:
        words: Arguments in the order of the methods; a name that comes twice joins its folders.

    Raises:
        UserError: If two folders without a name are called the same, or one is given twice.
    """
    folders: dict[str, list[Path]] = {}
    for word in words:
        name, path = split_name(word)
        key = name or path.resolve().name
        if not name and key in folders:
            raise UserError(f"-p: two folders are called {key}; give them names: -p A={folders[key][0]} B={path}")
        if path in folders.setdefault(key, []):
            raise UserError(f"-p: {path} is given twice.")
        folders[key].append(path)
    return folders


def find_patients(reference: Path) -> Path | None:
    """The table `patients` in or beside the folder of the references."""
    folders = (reference, beside(reference))
    return next((path for folder in folders if (path := table_in(folder, "patients")) is not None), None)


def _translation(
    folders: Sequence[Path],
    reference: Path,
    labels: Mapping[str, int],
    given: Mapping[str, int] | None,
    map_labels: bool,
) -> dict[int, int] | None:
    """Value in the predictions -> value in the references; None if they are the same."""
    own = given
    if own is None:
        found = {folder: path for folder in folders if (path := find_dataset_json(folder)) is not None}
        tables = {folder: read_labels(path).structures for folder, path in found.items()}
        own = next(iter(tables.values()), labels)
        for folder, table in tables.items():
            if table != own:
                raise UserError(
                    f"{folder}: numbers {table}, but {next(iter(tables))} numbers {own}; evaluate them apart."
                )
            if not map_labels:
                check_same_order((str(reference), str(folder)), (labels, table))
    if all(own.get(name) == value for name, value in labels.items()):
        return None
    if missing := [name for name in labels if name not in own]:
        raise UserError(
            f"{folders[0]}: its labels {dict(own)} do not name {', '.join(missing)}, which the references in "
            f"{reference} have. Name the numbers with --prediction-labels, or only what both have with --labels."
        )
    return {0: 0, **{own[name]: value for name, value in labels.items()}}
