"""Zip archives: what is in them is found, nothing leaves the folder, and nothing is left behind."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import pydicom
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference import archives
from nnunet_cardiac.inference.archives import extract
from nnunet_cardiac.inference.sources import Source, find_sources
from nnunet_cardiac.inference.workspace import Workspace


def archive(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return path


def header(uid: str) -> bytes:
    ds = pydicom.Dataset()
    ds.SOPClassUID, ds.StudyInstanceUID, ds.PatientID = "1.2.840.10008.5.1.4.1.1.4", uid, "7"
    buffer = pydicom.filebase.DicomBytesIO()
    ds.save_as(buffer, implicit_vr=True, little_endian=True)
    return buffer.getvalue()


def names(path: Path, workspace: Workspace) -> list[str]:
    return [source.name for source in find_sources(path, 1, workspace)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "extracted").mkdir()
    return tmp_path / "extracted"


def test_one_study_has_the_name_of_the_archive(tmp_path: Path) -> None:
    one = header("1.2.3")
    flat = archive(tmp_path / "a.zip", {"IM1": one, "IM2": one, "__MACOSX/._IM1": b"x"})
    deep = archive(tmp_path / "b.zip", {"export/DICOM/sax_1/IM1": one, "export/DICOM/sax_2/IM1": one})
    with Workspace(tmp_path / "work") as workspace:
        assert names(flat, workspace) == ["a"]
        assert names(deep, workspace) == ["b"]
        (source,) = find_sources(deep, 1, workspace)
        assert source.is_dicom
        assert source.paths[0].joinpath("sax_2", "IM1").read_bytes() == one
        (only,) = (tmp_path / "work").iterdir()
        assert stat.S_IMODE(only.stat().st_mode) == 0o700
    assert list((tmp_path / "work").iterdir()) == []


def test_several_studies_and_images(tmp_path: Path) -> None:
    several = {"p1/IM1": header("1.2.1"), "p2/IM1": header("1.2.2")}
    archive(tmp_path / "one" / "all.zip", several)
    archive(tmp_path / "many" / "x.zip", several)
    archive(tmp_path / "many" / "y.ZIP", {"data/q_0000.nii.gz": b"", "data/._q_0000.nii.gz": b""})
    archive(tmp_path / "many" / "z.zip", {"notes.txt": b"x"})
    (tmp_path / "many" / "bad.zip").write_bytes(b"PK\x03\x04 cut short")
    (tmp_path / "many" / "r.nii.gz").touch()
    with Workspace() as workspace:
        assert names(tmp_path / "one" / "all.zip", workspace) == ["p1", "p2"]
        sources = find_sources(tmp_path / "many", 1, workspace)
    assert [source.name for source in sources] == ["bad", "q", "r", "x_p1", "x_p2", "z"]
    assert "damaged zip archive" in sources[0].problem
    assert "no image and no DICOM file in this archive" in sources[-1].problem
    assert not any(source.problem for source in sources[1:-1])


def test_interrupted(tmp_path: Path) -> None:
    flat = archive(tmp_path / "a.zip", {"IM1": header("1.2.3")})

    def interrupted() -> list[Source]:
        with Workspace(tmp_path / "work") as workspace:
            find_sources(flat, 1, workspace)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "work").iterdir()) == []
    with pytest.raises(UserError, match="Extract it and give the folder"):
        find_sources(flat, 1)


@pytest.mark.parametrize(
    "name", ["../out.nii", "/etc/out.nii", "a/../../out.nii", "..\\out.nii", "C:\\out.nii", "C:/x"]
)
def test_paths_that_lead_out(tmp_path: Path, folder: Path, name: str) -> None:
    path = archive(tmp_path / "a.zip", {"a.nii": b"x", name: b"y"})
    with pytest.raises(UserError, match="leads out of the archive"):
        extract(path, folder)
    assert list(folder.iterdir()) == []


def test_links_and_devices(tmp_path: Path, folder: Path) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR):
        info = zipfile.ZipInfo("a.nii")
        info.external_attr = (kind | 0o777) << 16
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
            opened.writestr(info, "/etc/passwd")
        with pytest.raises(UserError, match="is a link or a device"):
            extract(tmp_path / "a.zip", folder)
    assert list(folder.iterdir()) == []


def test_too_large(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "a.zip", {"a.nii": bytes(4000), "b.nii": b""})
    monkeypatch.setattr(archives, "MOST_BYTES", 3999)
    with pytest.raises(UserError, match=r"holds 2 files of .* more than any study"):
        extract(path, folder)
    monkeypatch.setattr(archives, "MOST_BYTES", 4000)
    monkeypatch.setattr(archives, "MOST_FILES", 1)
    with pytest.raises(UserError, match="holds 2 files"):
        extract(path, folder)
    monkeypatch.setattr(archives, "MOST_FILES", 2)
    monkeypatch.setattr(archives, "_SPARE_BYTES", 2**60)
    with pytest.raises(UserError, match="to spare"):
        extract(path, folder)
    assert list(folder.iterdir()) == []


def test_two_files_of_one_name(tmp_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr("a/IM1", "x")
        with pytest.warns(UserWarning, match="Duplicate"):
            opened.writestr("a/IM1", "y")
    with pytest.raises(UserError, match=r"two of its files have one name \(a/IM1\)"):
        extract(tmp_path / "a.zip", folder)


def test_encrypted(tmp_path: Path, folder: Path) -> None:
    path = archive(tmp_path / "a.zip", {"a.nii": b"x"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the table of contents
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match="is encrypted"):
        extract(path, folder)


def test_damaged_anywhere(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.zip", {"p/IM1": os.urandom(300), "p/IM2": bytes(300)}).read_bytes()
    for place in range(0, len(whole), 11):
        content = bytearray(whole)
        content[place] ^= 0xFF
        for number, damaged in enumerate((bytes(content), whole[:place])):
            (tmp_path / "b.zip").write_bytes(damaged)
            folder = tmp_path / f"{place}_{number}"
            folder.mkdir()
            outcome: Any = None
            try:
                extract(tmp_path / "b.zip", folder)
            except UserError as error:
                outcome = error
            assert outcome is None or str(outcome).startswith(f"{tmp_path / 'b.zip'}: ")
