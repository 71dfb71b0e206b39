"""Files are known as DICOM by their content, however old or careless the writer; everything else is not."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid

from nnunet_cardiac.dicom.recognise import has_dicom_content, is_dicom, is_system_name


def content(implicit: bool, little: bool, preamble: bool = False, first: str = "SpecificCharacterSet") -> bytes:
    ds = Dataset()
    ds.SpecificCharacterSet, ds.ImageType = "ISO_IR 100", ["ORIGINAL", "PRIMARY", "M"]
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", generate_uid()
    ds.PatientName, ds.Rows, ds.Columns = "TEST^CASE", 4, 4
    if first == "LengthToEnd":
        ds.add_new(0x00080001, "UL", 1234)
    if preamble:
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, "1.2.3"
    buffer = io.BytesIO()
    if preamble:
        ds.save_as(buffer, enforce_file_format=True)
    else:
        ds.save_as(buffer, implicit_vr=implicit, little_endian=little)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        content(implicit=True, little=True),
        content(implicit=False, little=True),
        content(implicit=False, little=False),
        content(implicit=True, little=True, first="LengthToEnd"),
        content(implicit=False, little=True, preamble=True),
        content(implicit=False, little=True, preamble=True)[132:],  # cut off: begins with group 2
    ],
)
def test_with_and_without_preamble(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "IM0001").write_bytes(data)
    assert has_dicom_content(tmp_path / "IM0001")
    assert is_dicom(tmp_path / "IM0001")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x00",
        b"\x08\x00\x05\x00",
        b"x" * 200,
        b"\x00" * 400,
        b"\x08\x00\x00\x00" * 200,  # tags that do not ascend
        b"PK\x03\x04" + b"\x14\x00" * 90,
        b"\x1f\x8b\x08\x00" + bytes(range(200)),
        b'{"a": 1}' * 40,
    ],
)
def test_other_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "notes").write_bytes(data)
    assert not is_dicom(tmp_path / "notes")


def test_an_ending_is_a_promise(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.IMA", "c.dicom"):
        (tmp_path / name).write_bytes(b"")
        assert is_dicom(tmp_path / name)
        assert not has_dicom_content(tmp_path / name)


def test_what_is_no_data(tmp_path: Path) -> None:
    whole = content(implicit=False, little=True, preamble=True)
    for name in ("DICOMDIR", "dicomdir", "._IM1.dcm", ".hidden", "Thumbs.db"):
        (tmp_path / name).write_bytes(whole)
        assert not is_dicom(tmp_path / name)
    assert is_system_name("__MACOSX")
    assert not is_system_name("IM.0001")


def test_what_cannot_be_read_is_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("folder", "loop", "nowhere"):
        assert not is_dicom(tmp_path / name)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_never_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(data)
    assert is_dicom(path) == has_dicom_content(path)
