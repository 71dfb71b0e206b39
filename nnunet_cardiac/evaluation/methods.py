"""Methods under test as a user names them, and how their labels count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.conventions import check_same_order
from nnunet_cardiac.evaluation.labels import find_dataset_json, read_labels
from nnunet_cardiac.evaluation.table import Method


def named_methods(
    words: Sequence[str],
    reference: Path,
    labels: Mapping[str, int],
    prediction_labels: Mapping[str, int] | None = None,
    *,
    map_labels: bool = False,
) -> list[Method]:
    """Read `NAME=FOLDER` or `FOLDER`, whose name is then that of the folder.

    Args:
        words: Arguments in the order of the methods; a name that comes twice joins its folders.
        reference: Folder of the references, for messages.
        labels: Structure -> value in the references.
        prediction_labels: Structure -> value in all predictions; by default from their `dataset.json`.
        map_labels: Translate predictions whose `dataset.json` numbers otherwise, instead of refusing them.

    Raises:
        UserError: If two folders without a name are called the same, or the numbering differs and is not to be
        translated.
    """
    return [
        Method(name, tuple(paths), _translation(paths, reference, labels, prediction_labels, map_labels))
        for name, paths in named_folders(words).items()
    ]


def named_folders(words: Sequence[str]) -> dict[str, list[Path]]:
    """Return the folders of each method, see :func:`named_methods`.

    Raises:
        UserError: If two folders without a name are called the same, or one is given twice.
    """
    folders: dict[str, list[Path]] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        path = Path(folder if equals else word)
        key = name if equals else path.resolve().name
        if not equals and key in folders:
            raise UserError(f"-p: two folders are called {key}; give them names: -p A={folders[key][0]} B={path}")
        if path in folders.setdefault(key, []):
            raise UserError(f"-p: {path} is given twice.")
        folders[key].append(path)
    return folders


def find_patients(reference: Path) -> Path | None:
    """`patients.csv` in or beside the folder of the references."""
    return next((p for p in (reference / "patients.csv", reference.parent / "patients.csv") if p.is_file()), None)


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
