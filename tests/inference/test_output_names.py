"""Two cases never share an output, and no output has the place of an input, whatever it is called there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import write_json
from nnunet_cardiac.inference import output_names
from nnunet_cardiac.inference.output_names import input_names, refuse_same_names, refuse_shared_files
from nnunet_cardiac.inference.sources import Source


def image(name: str) -> Source:
    return Source(name, (Path("in", f"{name}.nii.gz"),))


def study(name: str, pseudonym: str = "study-1") -> Source:
    return Source(name, (Path("in", name),), is_dicom=True, pseudonym=pseudonym)


@pytest.mark.parametrize(
    "sources",
    [
        [image("a"), study("a")],
        [study("a"), image("a_series5")],
        [study("a"), image("a_series5_2")],
        [study("a"), image("a_study2")],
        [study("a"), image("a_study2_series7")],
        [study("a"), study("a_series-1", "study-2")],
        [study("x", "study-0a1b"), image("study-0a1b_series7")],
    ],
)
def test_one_name(sources: list[Source]) -> None:
    for order in (sources, sources[::-1]):
        with pytest.raises(
            UserError, match=rf"in/.* and in/.* would both have outputs called {sources[1].name}; rename"
        ):
            refuse_same_names(order)


def test_names_of_their_own() -> None:
    names = ["b", "b_series5", "a_5", "a_serie5", "a_series5x", "series5", "a_ED"]
    refuse_same_names([study("a"), *map(image, names), study("a_ES", "study-2")])


def test_objects_of_phases(tmp_path: Path) -> None:
    pair = [study("a"), study("a_series2_ED", "study-2")]
    refuse_shared_files([*pair, image("a_ES")], tmp_path, objects=False)
    refuse_shared_files([study("a"), image("a_ES")], tmp_path, objects=True)
    with pytest.raises(UserError, match="called a_series2_ED; rename"):
        refuse_shared_files(pair, tmp_path, objects=True)


@pytest.mark.parametrize("other", ["CAFE\u0301", "caf\u00e9", "Cafe\u0301"])
def test_names_that_a_disk_takes_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    sources = [image("Caf\u00e9"), image(other), image("b")]
    one_file = output_names.are_one_file(tmp_path, "Caf\u00e9", other)
    assert one_file is _asked_of_the_disk(tmp_path, "Caf\u00e9", other)
    for answer in (False, True):
        monkeypatch.setattr(output_names, "are_one_file", lambda *_, answer=answer: answer)
        if answer:
            with pytest.raises(UserError, match="rename one of them"):
                refuse_shared_files(sources, tmp_path, objects=False)
        else:
            refuse_shared_files(sources, tmp_path, objects=False)
    assert list(tmp_path.iterdir()) == []


def _asked_of_the_disk(folder: Path, first: str, second: str) -> bool:
    (folder / first).touch()
    try:
        return (folder / second).exists()
    finally:
        (folder / first).unlink()


def test_images_in_the_folder_for_the_results(tmp_path: Path) -> None:
    there, out = tmp_path / "there", tmp_path / "out"
    for folder in (there, out):
        folder.mkdir()
    for path in (out / "a.nii.gz", there / "b.nii.gz", there / "c.nii.gz", there / "d.nii.gz", out / "users.nii.gz"):
        path.write_bytes(b"x")
    (out / "b.nii.gz").symlink_to(there / "b.nii.gz")
    os.link(there / "c.nii.gz", out / "hard.nii.gz")
    (tmp_path / "other").symlink_to(out)
    inputs = [out / "a.nii.gz", *(there / f"{name}.nii.gz" for name in "bcd")]
    sources = [Source(path.name, (path,)) for path in inputs]
    expected = {"a.nii.gz", "b.nii.gz", "hard.nii.gz"}
    assert input_names(sources, out) == expected
    assert input_names(sources, tmp_path / "other") == expected
    spelled = Source("a", (tmp_path / "there" / ".." / "other" / "a.nii.gz",))
    assert input_names([spelled], out) == {"a.nii.gz"}
    assert input_names(sources, tmp_path / "new") == frozenset()


def test_a_study_in_the_folder_for_the_results(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    for name in ("IM1.dcm", "p.json", "p.nii.gz", "notes.json", "indices.csv"):
        (folder / name).write_bytes(b"{}")
    write_json(folder / "p.json", {"name": "p", "model": {}, "seconds": {}})
    (folder / "sub").mkdir()
    (folder / "sub" / "IM2.dcm").write_bytes(b"x")
    source = Source("study", (folder,), is_dicom=True)
    assert input_names([source], folder) == {"IM1.dcm", "notes.json"}
    assert input_names([source], folder / "sub") == {"IM2.dcm"}
    assert input_names([Source("IM1", (folder / "IM1.dcm",), is_dicom=True)], folder) == {"IM1.dcm"}
    out = tmp_path / "out"
    out.mkdir()
    os.link(folder / "IM1.dcm", out / "study.dcm")
    (out / "study_ED.dcm").symlink_to(folder / "sub" / "IM2.dcm")
    assert input_names([source], out) == {"study.dcm", "study_ED.dcm"}
