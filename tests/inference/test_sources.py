"""Which cases a folder holds: images by their names, studies by what their files say, and nothing that we wrote."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pydicom
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import write_json
from nnunet_cardiac.inference.sources import Source, find_sources
from nnunet_cardiac.inference.workspace import Workspace

MR, SEG = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.66.4"


def dicom(path: Path, uid: str = "1.2.3", patient: str = "DOE^JANE", identity: str = "7", **tags: Any) -> Path:
    """A file with a header alone."""
    ds = pydicom.Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = MR, pydicom.uid.generate_uid()
    ds.StudyInstanceUID, ds.PatientName, ds.PatientID = uid, patient, identity
    for name, value in tags.items():
        setattr(ds, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, implicit_vr=False, little_endian=True)
    return path


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def record(path: Path) -> None:
    write_json(path, {"schema": 1, "name": path.stem, "model": {}, "seconds": {}})


def found(path: Path, channels: int = 1) -> dict[str, list[str]]:
    """Names of the cases and what they read, relative to the input."""
    return {
        source.name: [os.path.relpath(one, path) for one in source.paths] for source in find_sources(path, channels)
    }


# ------------------------------------------------------------------------------------------------ images


def test_numbers_without_a_first_channel_are_names(tmp_path: Path) -> None:
    touch(tmp_path / "IMG_0001.nii.gz", tmp_path / "IMG_0002.nii.gz", tmp_path / "p_0000.nii.gz", tmp_path / "q.nii")
    assert list(found(tmp_path)) == ["IMG_0001", "IMG_0002", "p", "q"]
    assert [source.name for source in find_sources(tmp_path / "IMG_0002.nii.gz", 1)] == ["IMG_0002"]


def test_a_first_channel_makes_the_others_channels(tmp_path: Path) -> None:
    touch(tmp_path / "p_0000.nii.gz", tmp_path / "p_0001.nii.gz", tmp_path / "IMG_0001.nii.gz")
    for path in (tmp_path, tmp_path / "p_0001.nii.gz"):
        with pytest.raises(
            UserError, match=r"case p has 2 channels \(p_0000\.nii\.gz, p_0001\.nii\.gz\).*trained with 1"
        ):
            find_sources(path, 1)
    assert [source.name for source in find_sources(tmp_path / "p_0000.nii.gz", 1)] == ["p"]
    with pytest.raises(UserError, match="case IMG has 1 channels"):
        find_sources(tmp_path, 2)


def test_a_file_in_a_folder_of_its_name(tmp_path: Path) -> None:
    touch(tmp_path / "a.nii" / "a.nii", tmp_path / "b.nii" / "other.nii", tmp_path / "c.nii.gz")
    assert found(tmp_path) == {"a": ["a.nii/a.nii"], "c": ["c.nii.gz"]}


def test_files_of_operating_systems(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("a.nii.gz", "._a.nii.gz", ".DS_Store", "Thumbs.db", "desktop.ini")))
    dicom(tmp_path / "__MACOSX" / "p" / "IM1", "1.5")
    dicom(tmp_path / "p" / "IM1", "1.6")
    touch(tmp_path / "q" / "._IM1.dcm")
    assert list(found(tmp_path)) == ["a", "p"]


def test_a_link_that_leads_nowhere_is_a_case_that_fails(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    touch(tmp_path / "b.nii.gz")
    assert list(found(tmp_path)) == ["a", "b"]


def test_results_of_this_program_are_no_input(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(*(tmp_path / name for name in ("p_0000.nii.gz", "p.nii.gz", "q.nii.gz", "r.nrrd", "r.nii.gz")))
    record(tmp_path / "p.json")
    record(tmp_path / "r.json")
    write_json(tmp_path / "q.json", {"SeriesDescription": "of a converter"})
    assert found(tmp_path) == {"p": ["p_0000.nii.gz"], "q": ["q.nii.gz"], "r": ["r.nrrd"]}
    assert "Results of this program, by the JSON file beside each, are left out: p.nii.gz, r.nii.gz." in caplog.text
    with pytest.raises(UserError, match=r"p\.nii\.gz: a result of an earlier run"):
        find_sources(tmp_path / "p.nii.gz", 1)


def test_results_inside_a_cohort_of_studies(tmp_path: Path) -> None:
    for n in (1, 2):
        dicom(tmp_path / f"p{n}" / "IM1", f"1.2.{n}")
        dicom(tmp_path / "out" / f"p{n}.dcm", f"1.2.{n}", SOPClassUID=SEG, Manufacturer="nnunet_cardiac")
    dicom(tmp_path / "p1" / "p1.dcm", "1.2.1", SOPClassUID=SEG, Manufacturer="nnunet_cardiac")
    assert found(tmp_path) == {"p1": ["p1"], "p2": ["p2"]}


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"b_caf\xe9.nii.gz")
    try:
        odd.write_bytes(b"content")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    dicom(tmp_path / os.fsdecode(b"p\xfc") / "IM1")
    touch(tmp_path / "a.nii.gz")
    with Workspace() as workspace:
        sources = find_sources(tmp_path, 1, workspace)
        assert [source.name for source in sources] == ["a", "b_caf_xE9", "p_xFC"]
        for source in sources:
            str(source.paths[0]).encode()  # libraries can take it
        assert sources[1].paths[0].read_bytes() == b"content"
        assert sources[1].paths[0].name.endswith(".nii.gz")
        assert [path.name for path in sources[2].paths[0].rglob("*")] == ["IM1"]
        link = sources[1].paths[0]
    assert not os.path.lexists(link)
    problems = [source.problem for source in find_sources(tmp_path, 1)]  # without a place for links
    assert problems[0] == ""
    assert all("the name is not UTF-8. Rename" in problem for problem in problems[1:])


# ------------------------------------------------------------------------------------------------ studies


def test_a_folder_a_slice_is_one_study(tmp_path: Path) -> None:
    for n in (0, 1, 2, 10):
        dicom(tmp_path / "case" / f"sax_{n}" / "IM1")
    assert found(tmp_path / "case") == {"case": ["."]}
    dicom(tmp_path / "other" / "IM1", "9.9")
    assert found(tmp_path) == {"case": ["case"], "other": ["other"]}


def test_some_of_the_folders_are_one_study(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for n in (10, 2):
        dicom(tmp_path / f"a{n}" / "IM1")
    dicom(tmp_path / "b" / "IM1", "9.9")
    with caplog.at_level(logging.INFO):
        assert found(tmp_path) == {"a2": ["a2", "a10"], "b": ["b"]}
    assert "the folders a2, a10 are one study" in caplog.text


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ({}, {}, True),
        ({}, {"patient": "Doe^Jane^^"}, True),  # spellings of one
        ({}, {"uid": "1.2.4"}, False),
        ({}, {"identity": "8"}, False),  # a tool gave two patients one UID
        ({}, {"patient": "DOE^JOHN"}, False),
        ({"uid": ""}, {"uid": ""}, False),  # says nothing
    ],
)
def test_what_makes_one_study(tmp_path: Path, first: dict[str, str], second: dict[str, str], together: bool) -> None:
    dicom(tmp_path / "a" / "IM1", **first)
    dicom(tmp_path / "b" / "IM1", **second)
    assert list(found(tmp_path)) == ([tmp_path.name] if together else ["a", "b"])


def test_studies_below_the_folders(tmp_path: Path) -> None:
    for patient in "12":
        for series in "ab":
            dicom(tmp_path / "DICOM" / f"P{patient}" / "ST1" / series / "IM1", f"1.{patient}", identity=patient)
    dicom(tmp_path / "DICOM" / "P2" / "ST2" / "a" / "IM1", "1.3", identity="2")
    assert found(tmp_path) == {
        "DICOM_P1": ["DICOM/P1"],
        "DICOM_P2_ST1": ["DICOM/P2/ST1"],
        "DICOM_P2_ST2": ["DICOM/P2/ST2"],
    }


@pytest.mark.parametrize("below", ["", "sax_"])
def test_images_beside_a_study(tmp_path: Path, caplog: pytest.LogCaptureFixture, below: str) -> None:
    for n in (1, 2):
        dicom(tmp_path / "case" / (f"{below}{n}/IM1" if below else f"IM{n}"))
    touch(tmp_path / "case" / "seg.nii.gz")
    assert found(tmp_path / "case") == {"case": ["."]}
    assert "are left out: seg.nii.gz" in caplog.text


def test_images_beside_studies(tmp_path: Path) -> None:
    dicom(tmp_path / "a" / "IM1")
    dicom(tmp_path / "b" / "IM1", "9.9")
    touch(tmp_path / "c.nii.gz", tmp_path / "broken.dcm")  # no study of its own beside images
    assert list(found(tmp_path)) == ["a", "b", "c"]


def test_a_broken_file_alone_is_a_study_that_fails(tmp_path: Path) -> None:
    touch(tmp_path / "p" / "a.dcm")
    assert found(tmp_path / "p") == {"p": ["."]}
    assert found(tmp_path) == {"p": ["p"]}


def test_links_are_followed_and_keep_their_names(tmp_path: Path) -> None:
    dicom(tmp_path / "archive" / "DOE_JANE" / "IM1")
    dicom(tmp_path / "archive" / "DOE_JANE_slice" / "IM1")
    dicom(tmp_path / "in" / "p002" / "sax_1" / "IM1", "9.9")
    (tmp_path / "in" / "p001").symlink_to(tmp_path / "archive" / "DOE_JANE")
    (tmp_path / "in" / "p002" / "sax_2").symlink_to(tmp_path / "archive" / "DOE_JANE_slice")
    (tmp_path / "in" / "p002" / "sax_1" / "up").symlink_to(tmp_path / "in")  # a circle
    sources = find_sources(tmp_path / "in", 1)
    assert "p001" in [source.name for source in sources]
    assert not [source for source in sources if "DOE" in source.name]
    (tmp_path / "p003").symlink_to(tmp_path / "archive" / "DOE_JANE")
    assert [source.name for source in find_sources(tmp_path / "p003", 1)] == ["p003"]


def test_a_search_below_the_paths_finds_what_links_lead_to(tmp_path: Path) -> None:
    dicom(tmp_path / "elsewhere" / "IM2")
    dicom(tmp_path / "in" / "sax_1" / "IM1")
    (tmp_path / "in" / "sax_2").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "in", tmp_path / "in" / "sax_1"):
        (source,) = find_sources(path, 1)
        files = sorted(file.name for one in source.paths for file in one.rglob("*") if file.is_file())
        assert files == (["IM1", "IM2"] if path.name == "in" else ["IM1"])
    dicom(tmp_path / "in" / "IM0")  # now the folder itself is the study
    (source,) = find_sources(tmp_path / "in", 1)
    assert source.paths == (tmp_path / "in", tmp_path / "in" / "sax_2")


def test_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dicom(tmp_path / "p007" / "below" / "IM1")
    monkeypatch.chdir(tmp_path / "p007" / "below")
    assert [source.name for source in find_sources(Path(), 1)] == ["below"]
    assert [source.name for source in find_sources(Path("../below/.."), 1)] == ["below"]
    dicom(tmp_path / "p007" / "IM1")
    assert [source.name for source in find_sources(Path(".."), 1)] == ["p007"]


def test_a_folder_that_cannot_be_searched_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (1, 2):
        dicom(tmp_path / f"p{n}" / "IM1", f"1.{n}")
    listed = Path.iterdir

    def refuse(path: Path) -> Any:
        if path.name == "p1":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    sources = find_sources(tmp_path, 1)
    assert [source.name for source in sources] == ["p1", "p2"]
    assert "Permission denied" in sources[0].problem
    assert not sources[1].problem


# ------------------------------------------------------------------------------------------------ pseudonyms


def pseudonyms(path: Path) -> dict[str, str]:
    return {source.name: source.pseudonym for source in find_sources(path, 1)}


def test_pseudonyms_are_told_apart(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        dicom(tmp_path / name / "IM1", identity=str(number))
    dicom(tmp_path / "d" / "IM1", "9.9")
    names = pseudonyms(tmp_path)
    first = "study-c47f5b18"  # of the SHA-256 of 1.2.3
    assert [names[name] for name in "abc"] == [first, f"{first}-2", f"{first}-3"]
    assert names["d"] not in names["a"]
    assert pseudonyms(tmp_path) == names
    touch(tmp_path / f"{first}.nii.gz")  # an image may be called like that
    assert pseudonyms(tmp_path)["a"] == f"{first}-2"


def test_studies_without_uid(tmp_path: Path) -> None:
    for name in "ab":
        dicom(tmp_path / name / "IM1", "")
    assert list(pseudonyms(tmp_path).values()) == ["study-without-uid", "study-without-uid-2"]


def test_images_have_no_pseudonym(tmp_path: Path) -> None:
    touch(tmp_path / "a.nii.gz")
    assert find_sources(tmp_path, 1) == [Source("a", (tmp_path / "a.nii.gz",))]
