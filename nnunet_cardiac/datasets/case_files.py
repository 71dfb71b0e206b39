"""Writes the files of one patient: images, renumbered labels, and all frames of a cine series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.checks.values import image_problem
from nnunet_cardiac.datasets.anatomy import Enclosure, check_enclosure
from nnunet_cardiac.datasets.grid import compare_grids
from nnunet_cardiac.datasets.image_files import extract_frame
from nnunet_cardiac.datasets.labels import describe, renumber
from nnunet_cardiac.datasets.naming import case_name
from nnunet_cardiac.datasets.subject import FOLDER_OF_SPLIT, Case, Loaded, Subject, Volume
from nnunet_cardiac.datasets.tables import Written
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.content import content_print

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
) -> list[Written]:
    """Write the cases of a patient, and every frame if asked for.

    Args:
        subject: The patient.
        folder: Data set; the folders are made.
        source: Structure -> values in the source.
        target: Structure -> value in the result.
        cine: Write all frames to `imagesCine`.
        trust_voxels: Labels take the header of their image, whatever their own says.

    Returns:
        What was seen of each case.

    Raises:
        UserError: If a file is missing, damaged, of another grid, has unknown values, or a swapped order of labels.
    """
    written = [_write_case(subject, case, folder, source, target, trust_voxels) for case in subject.cases]
    if cine and subject.cine is not None:
        written += _write_cine(subject, subject.cine, folder)
    return written


def _write_case(
    subject: Subject,
    case: Case,
    folder: Path,
    source: Mapping[str, tuple[int, ...]],
    target: Mapping[str, int],
    trust_voxels: bool,
) -> Written:
    suffix = FOLDER_OF_SPLIT[subject.split]
    loaded = _load_volume(case.image)
    image, repairs = loaded.image, loaded.repairs
    _write_image(image, str(case.image), folder / f"images{suffix}" / f"{case.name}_0000{ENDING}")
    enclosure, volumes, digest = Enclosure(float("nan"), {}), {}, ""
    if case.label is not None:
        label = _load_volume(case.label)
        repairs += label.repairs + compare_grids(label.image, image, str(case.label), trust_voxels)
        array = renumber(sitk.GetArrayFromImage(label.image), source, target, str(case.label))
        enclosure = check_enclosure(array, target)
        if enclosure.better:
            raise UserError(_swapped(case, enclosure, source))
        volumes = _volumes_ml(array, image, target)
        digest = (
            blake2b(repr(array.shape).encode() + array.tobytes(), digest_size=16).hexdigest() if array.any() else ""
        )
        result = sitk.GetImageFromArray(array)
        result.CopyInformation(image)
        _write(result, folder / f"labels{suffix}" / f"{case.name}{ENDING}")
    return Written(
        subject,
        case,
        f"images{suffix}",
        *_grid(image),
        volumes_ml=volumes,
        enclosed=enclosure.share,
        content=content_print(sitk.GetArrayViewFromImage(image)),
        repairs=repairs,
        label_digest=digest,
    )


def _write_cine(subject: Subject, cine: Volume, folder: Path) -> Iterator[Written]:
    loaded = cine.load()
    if loaded.image.GetDimension() != 4:
        raise UserError(f"{cine}: one volume; expected a 4D file with all frames. Leave out --cine for this source.")
    phases = {case.frame: case.phase for case in subject.cases if case.frame is not None}
    for frame in range(loaded.image.GetSize()[3]):
        image = extract_frame(loaded.image, frame, str(cine))
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


def _volumes_ml(labels: np.ndarray, image: sitk.Image, values: Mapping[str, int]) -> dict[str, float]:
    voxel_ml = float(np.prod(image.GetSpacing())) / 1000.0
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
