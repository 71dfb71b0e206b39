"""Segmentation objects of files that lack attributes, or break the standard, as anonymised files do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from tests.inference.dicom.seg_objects import (
    as_bytes,
    edit,
    only,
    referenced,
    written,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Invalid value for VR"),
    pytest.mark.filterwarnings("ignore:The value length"),
]

REFERENCES = ("SourceImageSequence", "ReferencedSeriesSequence")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., tuple[list[Path], list[str]]]:
    return partial(written, tmp_path, compare=False)


#: What tools for removing identifiers take away, or empty.
ATTRIBUTES = (
    *(
        "StudyID",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "ReferringPhysicianName",
        "SeriesNumber",
        "SeriesDescription",
    ),
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PositionReferenceIndicator", "Manufacturer"),
    *("FrameOfReferenceUID", "SliceThickness", "SpacingBetweenSlices", "ImageType", "InstanceNumber", "Modality"),
)


@pytest.mark.parametrize("keyword", ATTRIBUTES)
def test_an_attribute_is_missing_or_empty(scanner: Any, cine: np.ndarray, write: Any, keyword: str) -> None:
    scanner.classic(cine[:1, :2])
    series = only(scanner)
    for change in (lambda ds, _: setattr(ds, keyword, None), lambda ds, _: delattr(ds, keyword)):
        edit(scanner, change)
        files, notes = write(series, {}, values=np.full((1, 2, 20, 17), 2, np.uint8))
        assert len(files) == 1
        assert notes == (
            ["The source names no frame of reference; the DICOM segmentation has one of its own."]
            if keyword == "FrameOfReferenceUID"
            else []
        )
        ds = pydicom.dcmread(files[0])
        if keyword.startswith(("Patient", "Study", "Accession", "Referring", "Position")):
            assert ds[keyword].is_empty  # there, as the standard asks, and nothing is invented
        assert len(referenced(ds)) == 2


#: Values that break their format, and those that follow it but are unusual.
ODD = {
    "StudyDate": b"XXXX",
    "PatientBirthDate": b"00000000",
    "StudyTime": b"anonymous",
    "PatientSex": b"female",
    "PatientAge": b"57",
    "PatientWeight": b"70,5",
    "PatientSize": b"tall",
    "ImageType": b"original\\x",
    "LossyImageCompression": b"no",
    "LossyImageCompressionRatio": b"10:1",
    "AcquisitionDateTime": b"removed",
    "SeriesNumber": b"12345678901",
    "SeriesDate": b"????????",
    "SpecificCharacterSet": b"LATIN",
    "DeidentificationMethod": b"x" * 300,
    "PatientIdentityRemoved": b"yes!",
}
TEXT = {
    "PatientName": "M\xfcller^J\xf6rg".encode("latin-1"),
    "PatientID": b"A-1/2 " * 20 + b".",
    "AccessionNumber": b"12345678901234567890",
    "StudyDescription": b"\xe5\xbf\x83\xe8\x87\x93",
    "InstitutionName": b"\xc3\xa9cole \x81\xff",
    "StudyID": b"too long for a short string",
}


@pytest.mark.parametrize("keyword", [*ODD, *TEXT])
def test_an_attribute_breaks_the_standard(scanner: Any, cine: np.ndarray, write: Any, keyword: str) -> None:
    scanner.classic(cine[:1, :2])
    series = only(scanner)
    edit(scanner, lambda ds, _: as_bytes(ds, keyword, {**ODD, **TEXT}[keyword]))
    files, notes = write(series, {}, values=np.full((1, 2, 20, 17), 2, np.uint8))
    assert len(files) == 1
    assert notes == []
    if keyword in TEXT:  # the bytes of the source: whatever shows its text shows that of the object
        assert TEXT[keyword] in files[0].read_bytes()
    elif keyword in ("PatientAge", "PatientSex", "PatientSize", "PatientWeight", "StudyDate", "StudyTime"):
        assert pydicom.dcmread(files[0])[keyword].is_empty


def test_uids_stay_as_they_are(scanner: Any, cine: np.ndarray, write: Any) -> None:
    """Components with leading zeros, as in the Sunnybrook study: not allowed, but they name the study."""
    odd = {
        "StudyInstanceUID": b"1.3.12.2.1107.5.04.0007",
        "SeriesInstanceUID": b"1.3.12.2.1107.5.04.0008",
        "FrameOfReferenceUID": b"1.3.12.2.1107.5.04.0009",
    }
    scanner.classic(cine[:1])
    series = only(scanner)

    def change(ds: Any, number: int) -> None:
        for keyword, value in {**odd, "SOPInstanceUID": b"1.3.12.2.1107.5.04.00%d" % (10 + number)}.items():
            as_bytes(ds, keyword, value)

    edit(scanner, change)
    files, notes = write(series, {})
    assert notes == []
    ds = pydicom.dcmread(files[0])
    assert ds.StudyInstanceUID == odd["StudyInstanceUID"].decode()
    assert ds.FrameOfReferenceUID == odd["FrameOfReferenceUID"].decode()
    assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == odd["SeriesInstanceUID"].decode()
    assert {uid for uid, _ in referenced(ds)} == {f"1.3.12.2.1107.5.04.00{n}" for n in range(10, 15)}


def test_everything_is_taken_away(scanner: Any, cine: np.ndarray, write: Any) -> None:
    scanner.classic(cine[:1])
    series = only(scanner)
    needed = {"SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"}

    def change(ds: Any, _: int) -> None:
        for element in list(ds):
            if element.keyword not in needed:
                del ds[element.tag]

    edit(scanner, change)
    files, _ = write(series, {})
    assert len(referenced(pydicom.dcmread(files[0]))) == 5


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID"])
def test_without_names_of_images_there_are_no_references(
    scanner: Any, cine: np.ndarray, write: Any, keyword: str
) -> None:
    scanner.classic(cine[:1])
    series = only(scanner)
    edit(scanner, lambda ds, _: setattr(ds, keyword, "1.2.3" if keyword == "SOPInstanceUID" else None))
    files, notes = write(series, {})
    assert "names no source image, because UIDs of the files are missing or repeated" in notes[0]
    ds = pydicom.dcmread(files[0])
    assert not any(name in ds for name in REFERENCES)
    assert not any(group.DerivationImageSequence for group in ds.PerFrameFunctionalGroupsSequence)


def test_an_object_needs_a_study(scanner: Any, cine: np.ndarray, write: Any) -> None:
    scanner.classic(cine[:1])
    series = only(scanner)
    edit(scanner, lambda ds, number: setattr(ds, "StudyInstanceUID", f"1.2.{number}"))
    assert write(series, {}) == (
        [],
        ["No DICOM segmentation: the images are of 5 studies, and an object belongs to one."],
    )
    edit(scanner, lambda ds, _: delattr(ds, "StudyInstanceUID"))
    files, notes = write(series, {})
    assert files == []
    assert "the files have no StudyInstanceUID" in notes[0]
