"""DICOM files as two-dimensional images in the patient: one entry for a classic file, many for a multi-frame one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_cardiac.dicom.acquisition import Acquisition, read_acquisition
from nnunet_cardiac.dicom.recognise import DICOM_ENDINGS, has_dicom_content
from nnunet_cardiac.dicom.values import items, number, numbers, text, whole
from nnunet_cardiac.errors import UserError

DICOMDIR = "1.2.840.10008.1.3.10"
_CLASSIC_MR = "1.2.840.10008.5.1.4.1.1.4"
#: Seconds between dates such as 20200102 and 20200103; between months it is more, and only equality counts.
_DAY_S = 86400
NO_PLACE = "no position in the patient"
#: Dimensions of a multi-frame file that number the frames of a cycle.
_TIME_DIMENSIONS = (
    *("TemporalPositionIndex", "NominalCardiacTriggerDelayTime", "ActualCardiacTriggerDelayTime", "TriggerTime"),
    *("NominalPercentageOfCardiacPhase", "TemporalPositionTimeOffset", "CardiacTriggerDelayTime"),
)
_ENHANCED_MR = ("1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.3", "1.2.840.10008.5.1.4.1.1.4.4")


@dataclass(frozen=True)
class DicomImage:
    """One two-dimensional MR image.

    Attributes:
        path: File.
        frame: Number in a multi-frame file, counted from 0; None for a classic one.
        study: Study instance UID.
        series: Series instance UID.
        series_number: Number of the series; 0 if unknown.
        description: What the scanner called the series.
        acquisition: How it was acquired.
        acquisition_number: Number of the measurement; None if unknown.
        acquired_s: Time of day of the acquisition in seconds; None if unknown.
        position: Patient coordinates (mm) of the centre of the first pixel.
        orientation: Directions of a row and of a column, six cosines, made orthonormal.
        pixel_mm: Distance of rows and of columns.
        shape: Rows, columns.
        distance_mm: Distance to the next slice as the file says it; None if it does not.
        thickness_mm: Thickness of the slice; None if unknown.
        time_ms: Time after the R wave; None if unknown.
        temporal_index: Number of the frame in the cycle; None if unknown.
        instance: Instance number; None if unknown, and in multi-frame files, whose frames may come in any order.
    """

    path: Path
    frame: int | None
    study: str
    series: str
    series_number: int
    description: str
    acquisition: Acquisition
    acquisition_number: int | None
    acquired_s: float | None
    position: tuple[float, float, float]
    orientation: tuple[float, ...]
    pixel_mm: tuple[float, float]
    shape: tuple[int, int]
    distance_mm: float | None
    thickness_mm: float | None
    time_ms: float | None
    temporal_index: int | None
    instance: int | None

    @property
    def number(self) -> int:
        """Instance number, or the number of the frame; 0 if neither is known."""
        return self.instance or self.frame or 0

    @property
    def order(self) -> tuple[int, int]:
        """Where the image comes among all of a study: by number of its series and of its own."""
        return (self.series_number, self.number)


@dataclass(frozen=True)
class LeftOut:
    """A file that holds no image to segment.

    Attributes:
        study: Study instance UID.
        series: Series instance UID.
        series_number: Number of the series.
        description: What the scanner called the series.
        reason: Why it is left out, as in `CT` or `colour image`.
        images: How many images it holds.
    """

    study: str
    series: str
    series_number: int
    description: str
    reason: str
    images: int = 1


@dataclass(frozen=True)
class DicomFile:
    """What one file holds."""

    images: tuple[DicomImage, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    header: Any = field(default=None, repr=False)


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


def read_file(file: Path) -> DicomFile | None:
    """Read the header of a file; None if it is no DICOM file, or a DICOMDIR.

    Raises:
        UserError: If the file is damaged.
    """
    with explained(file):
        dataset = _read_header(file)
        if dataset is None or text(dataset, "SOPClassUID") == DICOMDIR or "DirectoryRecordSequence" in dataset:
            return None
        obstacle = _no_mr_image(dataset)
        found: list[DicomImage] = []
        if not obstacle:
            obstacle = NO_PLACE
            try:
                found = list(_images_of(dataset, file))
                obstacle = "" if found else obstacle
            except UserError:
                obstacle = read_acquisition(dataset, []).purpose  # a broken localiser or screenshot spoils no study
                if not obstacle:
                    raise
        left_out = [_left_out(dataset, obstacle)] if obstacle else []
        return DicomFile(tuple(found), tuple(left_out), dataset)


def read_images(files: Sequence[Path]) -> list[DicomImage]:
    """Read the headers of files, whoever they say the patient is; those without an MR image are left out.

    Raises:
        UserError: If a file is damaged.
    """
    import_pydicom()
    return [image for file in files if (found := read_file(file)) is not None for image in found.images]


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Say which file it is, whatever pydicom raises at a broken element: when it is read, or when it is asked for.

    Its warnings on values that break a rule of the standard are off meanwhile: they show the values, names among them.
    """
    settings = import_pydicom().config.settings
    mode, settings.reading_validation_mode = settings.reading_validation_mode, import_pydicom().config.IGNORE
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{file}: damaged or truncated DICOM file ({error}). Export the study again.") from error
    finally:
        settings.reading_validation_mode = mode


def _read_header(file: Path) -> Any:
    """Return the header of a file, or None if it is no DICOM file; a header that is cut short is an error."""
    pydicom = import_pydicom()
    named = file.suffix.lower() in DICOM_ENDINGS
    if named and not file.stat().st_size:
        raise ValueError("it is empty")
    with file.open("rb") as stream:
        try:
            header = pydicom.dcmread(stream, stop_before_pixels=True, force=has_dicom_content(file))
        except pydicom.errors.InvalidDicomError:
            if named:
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


def _no_mr_image(dataset: Any) -> str:
    """Why a file holds no MR image of grey values; empty if it may hold one. SOP class and modality decide."""
    kind = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or ""
    modality = text(dataset, "Modality").upper()
    name = str(getattr(kind, "name", "")).removesuffix(" Storage")
    if kind and str(kind) not in (_CLASSIC_MR, *_ENHANCED_MR):
        return f"{name or 'object of an unknown kind'}{f' ({modality})' if modality else ''}, no MR image"
    if modality not in ("", "MR"):
        return f"modality {modality}, no MR image"
    colours = text(dataset, "PhotometricInterpretation").upper() not in ("", "MONOCHROME1", "MONOCHROME2")
    if colours or whole(dataset, "SamplesPerPixel") not in (None, 1):
        return "colour image"
    return "" if "Rows" in dataset else "no image"


def _left_out(dataset: Any, reason: str) -> LeftOut:
    return LeftOut(
        text(dataset, "StudyInstanceUID"),
        text(dataset, "SeriesInstanceUID"),
        whole(dataset, "SeriesNumber") or 0,
        text(dataset, "SeriesDescription"),
        reason,
        max(whole(dataset, "NumberOfFrames") or 1, 1),
    )


def _images_of(dataset: Any, path: Path) -> Iterator[DicomImage]:
    frames = whole(dataset, "NumberOfFrames") or 1
    enhanced = text(dataset, "SOPClassUID") in _ENHANCED_MR or frames > 1
    if not enhanced:  # some scanners put an empty sequence of functional groups into classic files
        yield from _image(dataset, path, None, [])
        return
    shared = items(dataset, "SharedFunctionalGroupsSequence")[:1]
    groups = items(dataset, "PerFrameFunctionalGroupsSequence")
    if len(groups) == frames:
        for frame, group in enumerate(groups):
            yield from _image(dataset, path, frame, [group, *shared])


def _image(dataset: Any, path: Path, frame: int | None, groups: Sequence[Any]) -> Iterator[DicomImage]:
    """One image, or none if its place is not known."""
    plane = _find(dataset, groups, "PlanePositionSequence", "ImagePositionPatient", many=frame is not None)
    orientation = _find(dataset, groups, "PlaneOrientationSequence", "ImageOrientationPatient")
    pixel = _find(dataset, groups, "PixelMeasuresSequence", "PixelSpacing")
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    if plane is None or orientation is None or pixel is None or not rows or not columns:
        return
    _check_place(path, plane, orientation, pixel)
    delays = ("NominalCardiacTriggerDelayTime", "ActualCardiacTriggerDelayTime")
    found = (_find(dataset, groups, "CardiacSynchronizationSequence", name) for name in delays)
    time = next((one for one in found if one is not None), None)
    measurement = _find(dataset, groups, "FrameContentSequence", "FrameAcquisitionNumber")
    index = _find(dataset, groups, "FrameContentSequence", "TemporalPositionIndex")
    index = index or (_in_cycle(dataset, groups) if frame is not None else None)
    yield DicomImage(
        path=path,
        frame=frame,
        study=text(dataset, "StudyInstanceUID"),
        series=text(dataset, "SeriesInstanceUID"),
        series_number=whole(dataset, "SeriesNumber") or 0,
        description=text(dataset, "SeriesDescription"),
        acquisition=read_acquisition(dataset, groups),
        acquisition_number=int(measurement[0]) if measurement else whole(dataset, "AcquisitionNumber"),
        acquired_s=_acquired(dataset, groups),
        position=(plane[0], plane[1], plane[2]),
        orientation=_orthonormal(orientation),
        pixel_mm=(pixel[0], pixel[1]),
        shape=(rows, columns),
        distance_mm=_length(_find(dataset, groups, "PixelMeasuresSequence", "SpacingBetweenSlices")),
        thickness_mm=_length(_find(dataset, groups, "PixelMeasuresSequence", "SliceThickness")),
        time_ms=time[0] if time else number(dataset, "TriggerTime"),
        temporal_index=int(index[0]) if index else whole(dataset, "TemporalPositionIdentifier"),
        instance=whole(dataset, "InstanceNumber") if frame is None else None,
    )


def _find(
    dataset: Any, groups: Sequence[Any], sequence: str, name: str, many: bool = False
) -> tuple[float, ...] | None:
    """Numbers of an image: of its functional groups, or (unless there are many images) of the file itself."""
    for group in groups:
        for item in items(group, sequence)[:1]:
            if (found := numbers(item, name)) is not None:
                return found
    return None if many else numbers(dataset, name)


def _in_cycle(dataset: Any, groups: Sequence[Any]) -> tuple[float, ...] | None:
    """Number of a frame in the cycle: by the dimension of the file that says it, or by its share of the cycle."""
    for position, dimension in enumerate(items(dataset, "DimensionIndexSequence")):
        pointer = dimension.get("DimensionIndexPointer")
        if str(import_pydicom().datadict.keyword_for_tag(pointer) if pointer is not None else "") in _TIME_DIMENSIONS:
            values = _find(dataset, groups, "FrameContentSequence", "DimensionIndexValues") or ()
            return values[position : position + 1] or None
    percent = _find(dataset, groups, "CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase")
    return (round(100 * percent[0]),) if percent else None


def _length(values: tuple[float, ...] | None) -> float | None:
    """A length in mm, or None if it is not given."""
    return abs(values[0]) or None if values else None


def _acquired(dataset: Any, groups: Sequence[Any]) -> float | None:
    """When an image was acquired (s), by the most exact of the elements that say it."""
    frame = [item for group in groups for item in items(group, "FrameContentSequence")[:1]]
    for source in frame:
        for keyword in ("FrameAcquisitionDateTime", "FrameReferenceDateTime"):
            if (found := _seconds(text(source, keyword)[8:])) is not None:
                return found
    offset = _find(dataset, groups, "TemporalPositionSequence", "TemporalPositionTimeOffset")
    if offset:
        return offset[0]
    said = (text(dataset, "AcquisitionDateTime")[8:], text(dataset, "AcquisitionTime"), text(dataset, "ContentTime"))
    time = next((found for one in said if (found := _seconds(one)) is not None), None)
    day = text(dataset, "AcquisitionDate")
    return time if time is None or not day.isdecimal() else time + _DAY_S * int(day)


def _seconds(time: str) -> float | None:
    """Time of day (HHMMSS.FFFFFF, or with colons as in old files) in seconds."""
    digits = re.sub(r"[+-].*$", "", time.replace(":", "")).partition(".")
    if len(digits[0]) != 6 or not digits[0].isdecimal():
        return None
    hours, minutes, seconds = (int(digits[0][at : at + 2]) for at in (0, 2, 4))
    fraction = digits[2] if digits[2].isdecimal() else "0"
    return 3600 * hours + 60 * minutes + seconds + float(f"0.{fraction}")


def _orthonormal(orientation: Sequence[float]) -> tuple[float, ...]:
    """The two directions at a right angle that are nearest to what was written with some digits."""
    left, _, right = np.linalg.svd(np.reshape(orientation, (2, 3)), full_matrices=False)
    return tuple((left @ right).ravel().tolist())


def _check_place(path: Path, position: Sequence[float], orientation: Sequence[float], pixel: Sequence[float]) -> None:
    if len(position) != 3 or len(pixel) != 2 or not all(size > 0 for size in pixel):
        raise UserError(
            f"{path}: the position is {position} and the pixel spacing {pixel}; expected three coordinates and two "
            "sizes above 0. Export it again."
        )
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    if len(orientation) != 6 or not np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=1e-2):
        raise UserError(
            f"{path}: the image orientation {tuple(orientation)} is not two directions at a right angle. Export it "
            "again."
        )
