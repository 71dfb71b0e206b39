"""Elements that are missing, empty or nonsense are None, and what can be read is read."""

from __future__ import annotations

from typing import Any

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from nnunet_cardiac.dicom.values import items, number, numbers, text, texts, whole


def raw(keyword: str, value: bytes) -> Dataset:
    """A dataset as it is read from a file, the element not yet converted."""
    dataset, tag = Dataset(), Tag(keyword)
    vr = pydicom.datadict.dictionary_VR(tag)
    dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return dataset


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1.25\\1.5", (1.25, 1.5)),
        (b"1,25\\1,5 ", (1.25, 1.5)),
        (b"", None),
        (b"abc", None),
        (b"1.5\\x ", None),
        (b"nan ", None),
    ],
)
def test_numbers(value: bytes, expected: Any) -> None:
    assert numbers(raw("PixelSpacing", value), "PixelSpacing") == expected


def test_what_is_not_there() -> None:
    dataset = Dataset()
    assert (text(dataset, "StudyID"), texts(dataset, "ImageType"), number(dataset, "TriggerTime")) == ("", (), None)
    assert (whole(dataset, "SeriesNumber"), items(dataset, "ReferencedStudySequence")) == (None, [])


def test_whole_numbers() -> None:
    assert whole(raw("SeriesNumber", b"12"), "SeriesNumber") == 12
    assert whole(raw("SeriesNumber", b"7.5 "), "SeriesNumber") is None
    assert whole(raw("SeriesNumber", b"XX"), "SeriesNumber") is None


def test_texts() -> None:
    assert texts(raw("ImageType", b"ORIGINAL\\PRIMARY\\M "), "ImageType") == ("ORIGINAL", "PRIMARY", "M")
    assert text(raw("PatientBirthDate", b"XXXX"), "PatientBirthDate") == "XXXX"
