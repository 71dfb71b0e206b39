"""Writes the files of one patient: images, renumbered labels, and all frames of a cine series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.checks.values import image_problem
from nnunet_cardiac.datasets.anatomy import Enclosure, check_enclosure
from nnunet_cardiac.datasets.grid import way_to_image
from nnunet_cardiac.datasets.image_files import extract_frame
from nnunet_cardiac.datasets.labels import describe, renumber
from nnunet_cardiac.datasets.naming import case_name
from nnunet_cardiac.datasets.storage import header_of, moved, slices_first
from nnunet_cardiac.datasets.subject import FOLDER_OF_SPLIT, Case, Loaded, Subject, Volume
from nnunet_cardiac.datasets.tables import Written
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.content import content_print
from nnunet_cardiac.images.heart_position import position_in_image
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, canonical_way

ENDING = ".nii.gz"
CINE_FOLDER = "imagesCine"


def write_subject(
    subject: Subject,
    folder: Path,
    source: Mapping[str, tuple[int, ...]],
    target: Mapping[str, int],
    *,
    cine: bool = False,
    trust_voxels: bool = False,
    as_stored: bool = False,
) -> list[Written]:
    """Write the cases of a patient, and every frame if asked for.

    Images and labels become canonical, see :mod:`nnunet_cardiac.images.orientation`; those whose source does not say
    how they lie stay as they are.

    Args:
        subject: The patient.
        folder: Data set; the folders are made.
        source: Structure -> values in the source.
        target: Structure -> value in the result.
        cine: Write all frames to `imagesCine`.
        trust_voxels: Labels take the header of their image, whatever their own says.
        as_stored: Images keep the order and the sense of their axes; labels follow them.

    Returns:
        What was seen of each case.

    Raises:
        UserError: If a file is missing, damaged, of another grid, has unknown values, or a swapped order of labels.
    """
    written = [_write_case(subject, case, folder, source, target, trust_voxels, as_stored) for case in subject.cases]
    if cine and subject.cine is not None:
        written += _write_cine(subject, subject.cine, folder, as_stored)
    return written


def _write_case(
    subject: Subject,
    case: Case,
    folder: Path,
    source: Mapping[str, tuple[int, ...]],
    target: Mapping[str, int],
    trust_voxels: bool,
    as_stored: bool,
) -> Written:
    suffix = FOLDER_OF_SPLIT[subject.split]
    loaded = _load_volume(case.image)
    stored, repairs = header_of(loaded), loaded.repairs
    way = IDENTITY if as_stored else canonical_way(stored)
    image = moved(loaded, way)
    _write_image(image, str(case.image), folder / f"images{suffix}" / f"{case.name}_0000{ENDING}")
    seen: dict[str, Any] = {}
    if case.label is not None:
        label = _load_volume(case.label)
        onto, notes = way_to_image(header_of(label), stored, str(case.label), trust_voxels)
        repairs += label.repairs + notes
        array = renumber(onto.then(way).apply(sitk.GetArrayViewFromImage(label.image)), source, target, str(case.label))
        seen = _seen_in_label(case, array, way.moved(stored), source, target)
        result = sitk.GetImageFromArray(array)
        result.CopyInformation(image)
        _write(result, folder / f"labels{suffix}" / f"{case.name}{ENDING}")
    return Written(
        subject,
        case,
        f"images{suffix}",
        *_grid(image),
        content=content_print(sitk.GetArrayViewFromImage(image)),
        repairs=repairs,
        stored=stored,
        way=way,
        **seen,
    )


def _seen_in_label(
    case: Case, array: np.ndarray, header: Header, source: Mapping[str, tuple[int, ...]], target: Mapping[str, int]
) -> dict[str, Any]:
    """Fields of :class:`Written` that come from a label map (Z, Y, X) in the values of the result."""
    enclosure = check_enclosure(slices_first(array, header), target)
    if enclosure.better:
        raise UserError(_swapped(case, enclosure, source))
    digest = blake2b(repr(array.shape).encode() + array.tobytes(), digest_size=16).hexdigest() if array.any() else ""
    return {
        "enclosed": enclosure.share,
        "volumes_ml": _volumes_ml(array, header, target),
        "label_digest": digest,
        "contradiction": position_in_image(array, target, header).contradiction,
    }


def _write_cine(subject: Subject, cine: Volume, folder: Path, as_stored: bool) -> Iterator[Written]:
    loaded = cine.load()
    if loaded.image.GetDimension() != 4:
        raise UserError(f"{cine}: one volume; expected a 4D file with all frames. Leave out --cine for this source.")
    way = IDENTITY if as_stored else canonical_way(header_of(loaded))
    phases = {case.frame: case.phase for case in subject.cases if case.frame is not None}
    for frame in range(loaded.image.GetSize()[3]):
        image = moved(replace(loaded, image=extract_frame(loaded.image, frame, str(cine))), way)
        case = Case(case_name(subject.patient, frame + 1), cine, phase=phases.get(frame + 1, ""), frame=frame + 1)
        _write_image(image, str(cine), folder / CINE_FOLDER / f"{case.name}_0000{ENDING}")
        yield Written(subject, case, CINE_FOLDER, *_grid(image), repairs=loaded.repairs if frame == 0 else ())


def _load_volume(volume: Volume) -> Loaded:
    loaded = volume.load()
    if loaded.image.GetDimension() != 3:
        size = " x ".join(map(str, loaded.image.GetSize()))
        raise UserError(f"{volume}: 4D, size {size}; expected one volume. Name the frame to take.")
    return loaded


def _write_image(image: sitk.Image, where: str, path: Path) -> None:
    if image.GetPixelID() == sitk.sitkFloat64:
        image = sitk.Cast(image, sitk.sitkFloat32)  # twice the size for nothing: nnU-Net computes in single precision
    if problem := image_problem(Path(where), sitk.GetArrayViewFromImage(image)):
        raise UserError(problem)
    _write(image, path)


def _write(image: sitk.Image, path: Path) -> None:
    # The whole data set is made under a temporary name, so a file needs none of its own.
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), useCompression=True)


def _grid(image: sitk.Image) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    x, y, z = image.GetSize()
    dx, dy, dz = image.GetSpacing()
    return (z, y, x), (dz, dy, dx)


def _volumes_ml(labels: np.ndarray, header: Header, values: Mapping[str, int]) -> dict[str, float]:
    voxel_ml = float(np.prod(header.spacing)) / 1000.0
    counts = np.bincount(labels.ravel(), minlength=max(values.values()) + 1)
    return {name: float(counts[value]) * voxel_ml for name, value in values.items() if value}


def _swapped(case: Case, enclosure: Enclosure, source: Mapping[str, tuple[int, ...]]) -> str:
    fitting = {enclosure.better.get(name, name): values for name, values in source.items()}
    given = " ".join(f"{name}={','.join(map(str, values))}" for name, values in fitting.items())
    return (
        f"{case.label}: the label values do not mean {describe(source)}: only {100 * enclosure.share:.0f} % of the "
        f"border of the LV cavity touches the myocardium, with {describe(fitting)} it would be "
        f"{100 * enclosure.better_share:.0f} %. If all label maps of the source are numbered so, convert with --labels "
        f"{given}; if only some are, the source mixes two conventions: renumber those files."
    )
