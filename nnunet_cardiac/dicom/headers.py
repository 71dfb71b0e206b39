"""DICOM files as two-dimensional images in the patient: one entry for a classic file, many for an enhanced one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_cardiac.errors import UserError

logger = logging.getLogger(__name__)

_LOCALISER = re.compile(r"\b(locali[sz]er|scout|survey|loc)", re.IGNORECASE)


@dataclass(frozen=True)
class DicomImage:
    """One two-dimensional image.

    Attributes:
        path: File.
        frame: Number in an enhanced file, counted from 0; None for a classic one.
        series: Series instance UID.
        series_number: Number of the series; 0 if unknown.
        description: What the scanner called the series.
        kind: What else tells images of one series apart: type of the values and echo.
        localiser: Whether the file says it is a planning image.
        position: Patient coordinates (mm) of the centre of the first pixel.
        orientation: Directions of a row and of a column, six cosines.
        pixel_mm: Distance of rows and of columns.
        shape: Rows, columns.
        distance_mm: Distance to the next slice as the file says it; None if it does not.
        thickness_mm: Thickness of the slice; None if unknown.
        time_ms: Time after the R wave; None if unknown.
        temporal_index: Number of the frame in the cycle; None if unknown.
        instance: Instance number.
    """

    path: Path
    frame: int | None
    series: str
    series_number: int
    description: str
    kind: tuple[str, ...]
    localiser: bool
    position: tuple[float, float, float]
    orientation: tuple[float, ...]
    pixel_mm: tuple[float, float]
    shape: tuple[int, int]
    distance_mm: float | None
    thickness_mm: float | None
    time_ms: float | None
    temporal_index: int | None
    instance: int


@dataclass(frozen=True)
class DicomStudy:
    """All images of a study and what it says of the patient."""

    images: tuple[DicomImage, ...]
    identifiers: dict[str, str]
    warnings: tuple[str, ...]


def import_pydicom() -> Any:
    """Return pydicom.

    Raises:
        UserError: If it is not installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise UserError("DICOM input needs pydicom. Install it: pip install 'nnunet_cardiac[dicom]'") from error
    return pydicom


def read_study(path: Path) -> DicomStudy:
    """Read the headers of a file, or of all DICOM files in a folder and below.

    Raises:
        UserError: If there is no image with a position, a file is damaged, or there are several patients.
    """
    import_pydicom()
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    images: list[DicomImage] = []
    patients: dict[tuple[str, str], Path] = {}
    identifiers: dict[str, str] = {}
    seen: set[str] = set()
    skipped = copies = 0
    for file in files:
        with _explained(file):
            dataset = _read_header(file)
            if dataset is None or dataset.get("SOPClassUID", "") == "1.2.840.10008.1.3.10":  # DICOMDIR
                continue
            uid = str(dataset.get("SOPInstanceUID", file))
            if uid in seen:
                copies += 1
                continue
            seen.add(uid)
            patients.setdefault((str(dataset.get("PatientID", "")), str(dataset.get("PatientName", ""))), file)
            found = list(_images_of(dataset, file))
            skipped += not found
            images += found
            identifiers = identifiers or {
                name: str(dataset.get(name, "")) for name in ("PatientID", "PatientName", "StudyInstanceUID")
            }
    if len(patients) > 1:
        raise UserError(
            f"{path}: files of {len(patients)} patients in one folder, for example "
            f"{' and '.join(file.name for file in list(patients.values())[:2])}. Put each patient in a folder."
        )
    if not images:
        raise UserError(f"{path}: no DICOM image with a position in the patient among {len(files)} files.")
    warnings = [f"{skipped} DICOM files hold no image with a position and were left out."] if skipped else []
    warnings += [f"{copies} DICOM files are copies of others and were left out."] if copies else []
    return DicomStudy(tuple(images), identifiers, tuple(warnings))


def read_images(files: Iterable[Path]) -> list[DicomImage]:
    """Read the headers of files, whoever they say the patient is; those without an image in a patient are left out.

    Raises:
        UserError: If a file is damaged.
    """
    import_pydicom()
    images: list[DicomImage] = []
    for file in files:
        with _explained(file):
            dataset = _read_header(file)
            images += [] if dataset is None else _images_of(dataset, file)
    return images


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Say which file it is, whatever pydicom raises at a broken element: when it is read, or when it is asked for."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{file}: damaged or truncated DICOM file ({error}). Export the study again.") from error


def _read_header(file: Path) -> Any:
    """Return the header of a file, or None if it is no DICOM file; a header that is cut short is an error."""
    pydicom = import_pydicom()
    with file.open("rb") as stream:
        try:
            header = pydicom.dcmread(stream, stop_before_pixels=True)
        except pydicom.errors.InvalidDicomError:
            if file.suffix.lower() in (".dcm", ".ima") and not file.name.startswith("."):
                raise
            return None
        at_end = not stream.read(1)
    # Elements are in the order of their tags, so a file that is cut may still be read without error: it lacks the
    # patient's name, the position, or the pixels. A deflated file is read to its end in any case.
    kind = header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID")
    deflated = header.file_meta.get("TransferSyntaxUID") == pydicom.uid.DeflatedExplicitVRLittleEndian
    if at_end and not deflated and (not len(header) or "Image Storage" in getattr(kind, "name", "")):
        raise ValueError("it ends within its header")
    return header


def _images_of(dataset: Any, path: Path) -> Iterator[DicomImage]:
    if "PerFrameFunctionalGroupsSequence" in dataset:
        shared = dataset.get("SharedFunctionalGroupsSequence") or [None]
        for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            groups = [group] if shared[0] is None else [group, shared[0]]
            yield from _image(dataset, path, number, groups)
    elif "ImagePositionPatient" in dataset and "Rows" in dataset:
        yield from _image(dataset, path, None, [])


def _image(dataset: Any, path: Path, frame: int | None, groups: Sequence[Any]) -> Iterator[DicomImage]:
    """One image, or none if its position is not known."""
    plane = _find(dataset, groups, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _find(dataset, groups, "PlaneOrientationSequence", "ImageOrientationPatient")
    pixel = _find(dataset, groups, "PixelMeasuresSequence", "PixelSpacing")
    if plane is None or orientation is None or pixel is None:
        return
    orientation = tuple(float(v) for v in orientation)
    _check_orthonormal(path, orientation)
    distance = _find(dataset, groups, "PixelMeasuresSequence", "SpacingBetweenSlices")
    thickness = _find(dataset, groups, "PixelMeasuresSequence", "SliceThickness")
    time = _find(dataset, groups, "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")
    time = dataset.get("TriggerTime") if time is None else time
    index = _find(dataset, groups, "FrameContentSequence", "TemporalPositionIndex")
    index = dataset.get("TemporalPositionIdentifier") if index is None else index
    types = [str(word) for word in dataset.get("ImageType", [])]
    description = str(dataset.get("SeriesDescription", ""))
    yield DicomImage(
        path=path,
        frame=frame,
        series=str(dataset.get("SeriesInstanceUID", "")),
        series_number=int(dataset.get("SeriesNumber") or 0),
        description=description,
        kind=(*types[2:3], str(dataset.get("EchoNumbers", ""))),
        localiser="LOCALIZER" in types or bool(_LOCALISER.search(description)),
        position=tuple(float(v) for v in plane),  # type: ignore[arg-type]
        orientation=orientation,
        pixel_mm=(float(pixel[0]), float(pixel[1])),
        shape=(int(dataset.Rows), int(dataset.Columns)),
        distance_mm=_positive(distance),
        thickness_mm=_positive(thickness),
        time_ms=None if time in (None, "") else float(time),
        temporal_index=None if index in (None, "") else int(index),
        instance=int(dataset.get("InstanceNumber") or 0) if frame is None else frame,
    )


def _find(dataset: Any, groups: Sequence[Any], sequence: str, name: str) -> Any:
    """An element of an image: of its functional groups, or of the file itself."""
    for group in groups:
        items = group.get(sequence)
        if items and name in items[0]:
            return items[0].get(name)
    return dataset.get(name)


def _positive(value: Any) -> float | None:
    """A length in mm, or None if it is not given."""
    return abs(float(value)) or None if value not in (None, "") else None


def _check_orthonormal(path: Path, orientation: tuple[float, ...]) -> None:
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    if len(orientation) != 6 or not np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=1e-2):
        raise UserError(
            f"{path}: the image orientation {orientation} is not two directions at a right angle. Export it again."
        )
