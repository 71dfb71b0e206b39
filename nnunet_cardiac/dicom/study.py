"""All files of a study: its images, what is no image, and everything that says who the patient is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nnunet_cardiac.dicom.headers import DicomImage, LeftOut, import_pydicom, read_file
from nnunet_cardiac.dicom.recognise import is_system_name
from nnunet_cardiac.dicom.values import items, text, texts
from nnunet_cardiac.errors import UserError

#: Elements that identify a patient or an examination. Output names must hold none of them.
_PRIVATE = (
    *("PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName"),
    *("PatientBirthDate", "PatientAddress", "PatientTelephoneNumbers", "MilitaryRank", "MedicalRecordLocator"),
    *("AccessionNumber", "StudyID", "StudyInstanceUID", "AdmissionID", "ReferringPhysicianName"),
    *("PerformingPhysicianName", "OperatorsName", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"),
)
_KEPT = ("PatientID", "PatientName", "StudyInstanceUID")


@dataclass(frozen=True)
class DicomStudy:
    """All images of a study and what it says of the patient.

    Attributes:
        images: MR images with a place in the patient.
        left_out: Files that hold none.
        identifiers: ID and name of the patient and UID of the study, for who asks for them.
        private: Values of all elements that identify patient or examination, as the files have them.
        warnings: What a reader of a result should know; without names, paths and descriptions.
    """

    images: tuple[DicomImage, ...]
    left_out: tuple[LeftOut, ...] = ()
    identifiers: dict[str, str] = field(default_factory=dict)
    private: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_study(paths: Path | Sequence[Path]) -> DicomStudy:
    """Read the headers of files, or of all DICOM files in folders and below.

    Args:
        paths: Files and folders of one study.

    Raises:
        UserError: If there is no DICOM file, a file is damaged, or there are several patients.
    """
    import_pydicom()
    paths = [paths] if isinstance(paths, Path) else list(paths)
    images: dict[tuple[object, ...], DicomImage] = {}
    left_out: list[LeftOut] = []
    patients: list[tuple[str, str, Path]] = []
    identifiers: dict[str, str] = {}
    private: dict[str, None] = {}
    copies, seen = 0, set()
    files = list(_files(paths))
    for file in files:
        found = read_file(file)
        if found is None:
            continue
        header = found.header
        patients.append((text(header, "PatientID"), text(header, "PatientName"), file))
        identifiers = identifiers or {name: text(header, name) for name in _KEPT}
        private |= dict.fromkeys(_private(header))
        key = _same_file(header)
        if key in seen:
            copies += 1
            continue
        seen.add(key)
        left_out += found.left_out
        images |= {(file, image.frame): image for image in found.images}
    if not patients:
        raise UserError(f"{paths[0]}: no DICOM file among {len(files)} files.")
    _refuse_several_patients(paths[0], patients)
    warnings = [f"{copies} DICOM files are copies of others and were left out."] if copies else []
    known = {image.study for image in images.values() if image.study}
    if len(known) == 1:  # some files have lost what the others say
        images = {key: replace(image, study=next(iter(known))) for key, image in images.items()}
    return DicomStudy(tuple(images.values()), tuple(left_out), identifiers, tuple(private), tuple(warnings))


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    """All files, without those of operating systems, such as `._IM1.dcm`."""
    for path in paths:
        if path.is_file():
            yield path
        else:
            below = (file for file in path.rglob("*") if not any(map(is_system_name, file.relative_to(path).parts)))
            yield from sorted(file for file in below if file.is_file())


def _same_file(header: Any) -> tuple[str, ...]:
    """What copies of a file have in common. The UID alone is not enough: careless tools give all files the same."""
    place = ("ImagePositionPatient", "ImageOrientationPatient", "TriggerTime", "InstanceNumber", "AcquisitionNumber")
    kind = (
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "ImageType",
        "EchoNumbers",
        "EchoTime",
        "InversionTime",
        "NumberOfFrames",
    )
    own = tuple(text(header, keyword) for keyword in (*kind, "NumberOfFrames", "TemporalPositionIdentifier", *place))
    frames = items(header, "PerFrameFunctionalGroupsSequence")
    ends = [item for frame in (*frames[:1], *frames[-1:]) for item in items(frame, "PlanePositionSequence")]
    return (*own, *(text(item, "ImagePositionPatient") for item in ends))


def _private(header: Any) -> Iterable[str]:
    for keyword in _PRIVATE:
        yield from texts(header, keyword)
    for item in items(header, "OtherPatientIDsSequence"):
        yield from texts(item, "PatientID")


def _refuse_several_patients(where: Path, patients: Sequence[tuple[str, str, Path]]) -> None:
    """Compare IDs and names. One ID with several spellings of a name is one patient."""
    distinct: list[tuple[str, set[str], Path]] = []
    for identity, name, file in patients:
        if not identity and not name:
            continue  # a report or an image that says nothing
        key, words = _folded(identity), set(re.findall(r"\w+", _folded(name)))
        same = next((known for known in distinct if _same_id(known[0], key) and _same_name(known[1], words)), None)
        if same is None:
            distinct.append((key, words, file))
        else:
            same[1].update(words)
    if len(distinct) > 1:
        raise UserError(
            f"{where}: files of {len(distinct)} patients in one folder, for example "
            f"{' and '.join(file.name for *_, file in distinct[:2])}. Put each patient in a folder."
        )


def _same_id(first: str, second: str) -> bool:
    return not first or not second or first == second


def _same_name(first: set[str], second: set[str]) -> bool:
    joined = ("".join(sorted(first)), "".join(sorted(second)))
    return not first or not second or bool(first & second) or joined[0] == joined[1]


def _folded(value: str) -> str:
    plain = unicodedata.normalize("NFKD", value).casefold().strip()
    return "".join(letter for letter in plain if not unicodedata.combining(letter))
