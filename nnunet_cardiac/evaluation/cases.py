"""Pairs of reference and predicted label maps: matched by name, read, and checked to lie on one grid."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.image_names import IMAGE_ENDINGS, image_stem
from nnunet_cardiac.images.voxel_size import spacing_is_absent
from nnunet_cardiac.label_values import ignored_mask

logger = logging.getLogger(__name__)


#: Absolute tolerances in mm (spacing, origin) and of the direction cosines: NIfTI stores single precision and rotations
#: as quaternions, so equal grids differ in the last digits.
TOLERANCES = {"spacing": 1e-3, "origin": 1e-2, "direction": 1e-3}


#: Direction cosine from which on an axis counts as parallel to one of the body.
_PARALLEL = 0.9999


@dataclass(frozen=True)
class CasePair:
    """The two files of one case."""

    case: str
    reference: Path
    prediction: Path


@dataclass(frozen=True)
class LabelMapPair:
    """The two label maps of one case on one grid.

    Attributes:
        reference: Label map (Z, Y, X); 0 where there is no reference.
        prediction: Label map of the same shape, there too.
        spacing_mm: Voxel size (z, y, x).
        right_handed: Whether the directions of the x, y and z index form a right-handed system; None if they are
        parallel
            to the body's axes, which in a short-axis stack means that the orientation was lost.
        ignored: Voxels without a reference (nnU-Net's ignore label), of the same shape; None if there are none.
    """

    reference: npt.NDArray[np.uint8]
    prediction: npt.NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    right_handed: bool | None = None
    ignored: npt.NDArray[np.bool_] | None = None


def reference_cases(reference: Path) -> list[str]:
    """Return the names of the cases in a folder of label maps.

    Raises:
        UserError: If the folder is missing or holds no label map, or a case exists in two formats.
    """
    return sorted(_label_maps(reference))


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
    references = _label_maps(reference)
    found = {folder: _label_maps(folder) for folder in folders}
    predicted = set().union(*found.values())
    wanted = sorted(references if cases is None else set(cases))
    if not wanted:
        raise UserError(f"{reference}: the list of cases to evaluate is empty; name at least one case.")
    missing = [case for case in wanted if case not in predicted]
    where = ", ".join(map(str, folders))
    if allow_missing and len(missing) < len(wanted):
        wanted = sorted(set(wanted) - set(missing))
    elif missing:
        _require(wanted, {case: path for held in found.values() for case, path in held.items()}, where, "prediction")
    _require(wanted, references, reference, "reference")
    if cases is None and (extra := sorted(predicted - set(references))):
        logger.warning("%s: no reference for %s; not evaluated.", where, ", ".join(extra))
    pairs = [
        (run, CasePair(case, references[case], path))
        for case in wanted
        for run, path in enumerate(held[case] for held in found.values() if case in held)
    ]
    return pairs, missing


def read_pair(
    pair: CasePair,
    allowed: Iterable[int],
    translation: Mapping[int, int] | None = None,
    ignore_label: int | None = None,
) -> LabelMapPair:
    """Read the two label maps of a case and check that they can be compared.

    Args:
        pair: The two files.
        allowed: Label values that may occur; 0 always may.
        translation: Value in the prediction -> value in the reference, where the two count differently.
        ignore_label: Value of voxels without a reference, or None if there are none.

    Returns:
        Both maps and their voxel size.

    Raises:
        UserError: If a file cannot be read, is not 3D, holds other values, the prediction holds the ignore label, or
            the two grids differ.
    """
    reference, prediction = _read(pair.reference), _read(pair.prediction)
    _check_geometry(pair, reference, prediction)
    allowed = {0, *allowed}
    x, y, z = reference.GetSpacing()
    direction = np.reshape(reference.GetDirection(), (3, 3))
    handed = None if np.abs(direction).max(axis=0).min() > _PARALLEL else bool(np.linalg.det(direction) > 0)
    own = allowed if translation is None else {0, *translation}
    predicted = _label_array(pair.prediction, prediction, own, refused=ignore_label)
    if translation is not None:
        table = np.zeros(256, np.uint8)
        table[list(translation)] = list(translation.values())
        predicted = table[predicted]
    expected = _label_array(pair.reference, reference, allowed if ignore_label is None else {*allowed, ignore_label})
    ignored = ignored_mask(expected, ignore_label)
    if not ignored.any():
        return LabelMapPair(expected, predicted, (z, y, x), handed)
    return LabelMapPair(np.where(ignored, np.uint8(0), expected), predicted, (z, y, x), handed, ignored)


def _label_maps(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected a folder of label maps ({', '.join(IMAGE_ENDINGS)}).")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        case = image_stem(path)
        if case is None:
            continue
        if case in found:
            raise UserError(f"{folder}: {found[case].name} and {path.name} are one case in two formats; remove one.")
        found[case] = path
    if not found:
        raise UserError(f"{folder}: no label map in it; expected files ending in {', '.join(IMAGE_ENDINGS)}.")
    return found


def _require(wanted: Sequence[str], found: dict[str, Path], folder: Path | str, kind: str) -> None:
    missing = [case for case in wanted if case not in found]
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} of {len(wanted)} cases have no {kind}: {', '.join(missing)}. "
            f"Expected files named like {next(iter(found.values())).name}; predict them, or name the cases to evaluate."
        )


def _read(path: Path) -> sitk.Image:
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise UserError(f"{path}: cannot be read as an image; is the file complete? ({error})") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(
            f"{path}: found {image.GetDimension()} dimensions and {image.GetNumberOfComponentsPerPixel()} channels, "
            "expected a 3D label map of one channel. Split cine series into one file for each frame."
        )
    if spacing_is_absent(path):
        raise UserError(
            f"{path}: the header gives no voxel size, so distances and volumes have no unit. Copy the geometry of the "
            "image that it belongs to (SimpleITK: CopyInformation) and write the file again."
        )
    return image


def _check_geometry(pair: CasePair, reference: sitk.Image, prediction: sitk.Image) -> None:
    fields = {
        "size": (reference.GetSize(), prediction.GetSize()),
        "spacing": (reference.GetSpacing(), prediction.GetSpacing()),
        "origin": (reference.GetOrigin(), prediction.GetOrigin()),
        "direction": (reference.GetDirection(), prediction.GetDirection()),
    }
    for field, (expected, found) in fields.items():
        if not np.allclose(expected, found, rtol=0, atol=TOLERANCES.get(field, 0)):
            raise UserError(
                f"{pair.prediction}: {field} is {_shown(found)}, expected {_shown(expected)} as in {pair.reference} "
                "(x, y, z). Predict from the image that belongs to this reference, and do not resample the result."
            )


def _shown(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"


def _label_array(path: Path, image: sitk.Image, allowed: set[int], refused: int | None = None) -> npt.NDArray[np.uint8]:
    array = sitk.GetArrayFromImage(image)
    if array.dtype == np.uint8:  # as good files are: a table is ten times faster than sorting all voxels
        known = np.zeros(256, bool)
        known[list(allowed)] = True
        if known[array].all():
            return array
    values = np.unique(array)
    other = [value for value in values.tolist() if value not in allowed]
    if refused in other:
        raise UserError(
            f"{path}: found the value {refused} in a prediction, which is the ignore label of the references: no "
            f"network predicts it. Expected only {sorted(allowed)}; give a folder of predictions, no annotations."
        )
    if other:
        raise UserError(
            f"{path}: found label values {_shown(other[:8])}, expected only {sorted(allowed)}. "
            "Check that these are label maps and that dataset.json names every label."
        )
    return array.astype(np.uint8)
