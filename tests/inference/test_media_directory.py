"""A DICOMDIR stands for the files that it lists, where they lie, one source a study."""

from __future__ import annotations

import logging
from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.sources import find_sources


def write_cd(folder: Path, patients: int = 1, files: int = 3) -> Path:
    """A CD with one study a patient."""
    content = FileSet()
    for patient in range(patients):
        study, series = generate_uid(), generate_uid()
        for number in range(files):
            ds = pydicom.Dataset()
            ds.file_meta = pydicom.dataset.FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
            ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", generate_uid()
            ds.PatientName, ds.PatientID, ds.StudyDate, ds.StudyTime = "TEST^CASE", f"T{patient}", "20200102", "1011"
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.StudyID = study, series, "1"
            ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.AccessionNumber = "MR", 5, number + 1, "7"
            content.add(ds)
    content.write(folder)
    return folder / "DICOMDIR"


def test_one_study(tmp_path: Path) -> None:
    (source,) = find_sources(write_cd(tmp_path / "cd"), 1)
    assert source.name == "cd"
    assert source.is_dicom
    files = {file for file in (tmp_path / "cd").rglob("*") if file.is_file()} - {tmp_path / "cd" / "DICOMDIR"}
    assert set(source.paths) == files
    assert len(files) == 3


def test_several_patients(tmp_path: Path) -> None:
    sources = find_sources(write_cd(tmp_path / "cd", patients=3), 1)
    assert [source.name for source in sources] == ["cd_1", "cd_2", "cd_3"]
    assert [len(source.paths) for source in sources] == [3, 3, 3]
    for source in sources:
        assert len({str(pydicom.dcmread(path).PatientID) for path in source.paths}) == 1


def test_the_folder_of_the_cd(tmp_path: Path) -> None:
    write_cd(tmp_path / "cd", patients=2)
    assert len(find_sources(tmp_path / "cd", 1)) == 2


def test_a_disk_that_changed_the_case(tmp_path: Path) -> None:
    path = write_cd(tmp_path / "cd")
    for file in sorted((tmp_path / "cd").rglob("*"), reverse=True):  # what lies deeper comes first
        if file != path:
            file.rename(file.with_name(file.name.lower() + (";1" if file.is_file() else "")))
    (source,) = find_sources(path, 1)
    assert len(source.paths) == 3


def test_files_that_are_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_cd(tmp_path / "cd")
    files = find_sources(path, 1)[0].paths
    files[0].unlink()
    with caplog.at_level(logging.WARNING):
        assert set(find_sources(path, 1)[0].paths) == set(files[1:])
    assert "1 of the 3 files that it lists are missing" in caplog.text
    for file in files[1:]:
        file.unlink()
    with pytest.raises(UserError, match="lists 3 files, and none of them lies beside it"):
        find_sources(path, 1)


def test_nothing_outside_the_cd(tmp_path: Path) -> None:
    path = write_cd(tmp_path / "cd")
    (tmp_path / "secret").write_bytes(b"x")
    ds = pydicom.dcmread(path)
    for record in ds.DirectoryRecordSequence:
        if "ReferencedFileID" in record:
            record.ReferencedFileID = ["..", "secret"]
    ds.save_as(path)
    with pytest.raises(UserError, match="none of them lies beside it"):
        find_sources(path, 1)


@pytest.mark.parametrize("content", [b"", b"no DICOM at all" * 30])
def test_no_directory(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "DICOMDIR").write_bytes(content)
    with pytest.raises(UserError, match="DICOMDIR: lists no files"):
        find_sources(tmp_path / "DICOMDIR", 1)
