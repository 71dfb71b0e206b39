"""Pairs of reference and predicted label maps: matched by name, read, and checked to lie on one grid."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.label_files import LabelFile, label_files
from nnunet_cardiac.evaluation.label_maps import LabelMap, label_values, read_together
from nnunet_cardiac.images.orientation import says_how_it_lies
from nnunet_cardiac.label_values import ignored_mask

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CasePair:
    """The two files of one case.

    Attributes:
        case: Its name.
        reference: Label map.
        prediction: Label map of the same name.
        frame: Where the files are 4D, the frame of the case in them, counted from 0.
    """

    case: str
    reference: Path
    prediction: Path
    frame: int | None = None


@dataclass(frozen=True)
class LabelMapPair:
    """The two label maps of one case on one grid, in canonical storage: the first axis runs across the slices.

    Files that do not say how they lie are left as stored.

    Attributes:
        reference: Label map (Z, Y, X); 0 where there is no reference.
        prediction: Label map of the same shape, there too.
        spacing_mm: Voxel size (z, y, x).
        right_handed: Whether the directions of the x, y and z index form a right-handed system, as those of canonical
            maps do; None if they are parallel to the body's axes, which in a short-axis stack means that the
            orientation was lost.
        ignored: Voxels without a reference (nnU-Net's ignore label), of the same shape; None if there are none.
        direction: Direction cosines (3, 3) of the x, y and z index in the patient, one a column; None if unknown.
    """

    reference: npt.NDArray[np.uint8]
    prediction: npt.NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    right_handed: bool | None = None
    ignored: npt.NDArray[np.bool_] | None = None
    direction: npt.NDArray[np.float64] | None = None


def reference_cases(reference: Path) -> list[str]:
    """Return the names of the cases in a folder of label maps; each frame of a 4D file is one.

    Raises:
        UserError: If the folder is missing or holds no label map, or a case exists in two formats.
    """
    return sorted(label_files(reference))


def match_cases(reference: Path, prediction: Path, cases: Iterable[str] | None = None) -> list[CasePair]:
    """Match the label maps of two folders by file name.

    Args:
        reference: Folder with reference label maps, for example `labelsTs`.
        prediction: Folder with predicted label maps.
        cases: Names to evaluate, for example the validation cases of a fold; by default all of `reference`.

    Returns:
        Pairs in the order of the names.

    Raises:
        UserError: If a folder is missing or holds no label map, `cases` is empty, a case exists in two formats, or
            a reference or a prediction is missing.
    """
    return [pair for _, pair in match_method(reference, [prediction], cases)[0]]


def match_method(
    reference: Path, folders: Sequence[Path], cases: Iterable[str] | None = None, *, allow_missing: bool = False
) -> tuple[list[tuple[int, CasePair]], list[str]]:
    """Match the predictions of one method, which may lie in several folders.

    Args:
        reference: Folder with reference label maps.
        folders: Folders of predictions. A case in several of them was predicted several times, as by several seeds;
        folders
            that share no case are folds.
        cases: Names to evaluate; by default all of `reference`.
        allow_missing: Leave out cases without a prediction instead of refusing.

    Returns:
        Pairs with the number of the run, counted from 0 for each case, ordered by case; and the cases left out.

    Raises:
        UserError: As :func:`match_cases`, a case being missing if no folder holds it, or if nothing is left.
    """
    named = None if cases is None else set(cases)
    references = label_files(reference, named)
    found = {folder: label_files(folder, named) for folder in folders}
    for held in found.values():
        _check_frames(references, held)
    predicted = set().union(*found.values())
    wanted = sorted(references if named is None else _with_frames(named, references))
    if not wanted:
        raise UserError(f"{reference}: the list of cases to evaluate is empty; name at least one case.")
    missing = [case for case in wanted if case not in predicted]
    where = ", ".join(map(str, folders))
    if allow_missing and len(missing) < len(wanted):
        wanted = sorted(set(wanted) - set(missing))
    elif missing:
        _require(wanted, {case: file for held in found.values() for case, file in held.items()}, where, "prediction")
    _require(wanted, references, reference, "reference")
    known = {file.stem for file in references.values()}
    if cases is None and (extra := {f.stem for held in found.values() for f in held.values()} - known):
        logger.warning("%s: no reference for %s; not evaluated.", where, ", ".join(sorted(extra)))
    pairs = [
        (run, CasePair(case, references[case].path, file.path, references[case].frame))
        for case in wanted
        for run, file in enumerate(held[case] for held in found.values() if case in held)
    ]
    return pairs, missing


def read_pair(
    pair: CasePair,
    allowed: Iterable[int],
    translation: Mapping[int, int] | None = None,
    ignore_label: int | None = None,
) -> LabelMapPair:
    """Read the two label maps of a case, see :func:`read_pairs`."""
    return read_pairs([pair], allowed, translation, ignore_label)[0]


def read_pairs(
    pairs: Sequence[CasePair],
    allowed: Iterable[int],
    translation: Mapping[int, int] | None = None,
    ignore_label: int | None = None,
) -> list[LabelMapPair]:
    """Read the label maps of cases in the same two files, each file once, and check that they can be compared.

    Args:
        pairs: One case, or frames of the same 4D files.
        allowed: Label values that may occur; 0 always may.
        translation: Value in the prediction -> value in the reference, where the two count differently.
        ignore_label: Value of voxels without a reference, or None if there are none.

    Returns:
        Both maps and their voxel size, for each pair.

    Raises:
        UserError: If a file cannot be read or is cut short, is neither one volume nor a series of them, holds other
            values, the prediction holds the ignore label, or the two grids differ.
    """
    reference, prediction = read_together(pairs[0].reference, pairs[0].prediction)
    allowed = {0, *allowed}
    own = allowed if translation is None else {0, *translation}
    predicted = label_values(prediction, own, refused=ignore_label)
    if translation is not None:
        table = np.zeros(256, np.uint8)
        table[list(translation)] = list(translation.values())
        predicted = table[predicted]
    expected = label_values(reference, allowed if ignore_label is None else {*allowed, ignore_label})
    if pairs[0].frame is None and len(expected) > 1:
        raise UserError(f"{reference.path}: found {len(expected)} frames, expected one volume, as when it was listed.")
    return [_one_pair(expected[pair.frame or 0], predicted[pair.frame or 0], reference, ignore_label) for pair in pairs]


def _one_pair(
    expected: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], reference: LabelMap, ignore_label: int | None
) -> LabelMapPair:
    ignored = ignored_mask(expected, ignore_label)
    whole = not ignored.any()
    return LabelMapPair(
        expected if whole else np.where(ignored, np.uint8(0), expected),
        predicted,
        reference.spacing_mm,
        reference.right_handed,
        None if whole else ignored,
        reference.direction if says_how_it_lies(reference.header) else None,
    )


def _with_frames(named: set[str], files: Mapping[str, LabelFile]) -> set[str]:
    """The cases, those of all frames where the name of a 4D file is given."""
    frames: dict[str, set[str]] = {}
    for case, file in files.items():
        frames.setdefault(file.stem, set()).add(case)
    return {case for name in named for case in ({name} if name in files else frames.get(name, {name}))}


def _check_frames(references: Mapping[str, LabelFile], predictions: Mapping[str, LabelFile]) -> None:
    """Refuse a prediction with more or fewer frames than its reference."""
    expected = {file.stem: file for file in references.values()}
    for file in {file.stem: file for file in predictions.values()}.values():
        reference = expected.get(file.stem)
        if reference is not None and file.frames != reference.frames:
            raise UserError(
                f"{file.path}: {_count(file.frames)}, expected {_count(reference.frames)} as in {reference.path}. "
                "Predict from the series that the reference belongs to."
            )


def _count(frames: int | None) -> str:
    return "one volume" if frames is None else f"{frames} frames"


def _require(wanted: Sequence[str], found: Mapping[str, LabelFile], folder: Path | str, kind: str) -> None:
    missing = [case for case in wanted if case not in found]
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} of {len(wanted)} cases have no {kind}: {', '.join(missing)}. "
            f"Expected files named like {next(iter(found.values())).path.name}; predict them, or name the cases to "
            "evaluate."
        )
