"""What an attempt left that was cut short: taken if it is complete, else removed or replaced; the user's files stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import write_json
from nnunet_cardiac.inference.existing import finished, remove_partial
from nnunet_cardiac.inference.results import PredictOptions
from nnunet_cardiac.inference.sources import Source

MODEL: dict[str, Any] = {"stages": ["x"]}
IMAGE = Source("a", (Path("a.nii.gz"),))
STUDY = Source("a", (Path("a"),), is_dicom=True)


def record(model: dict[str, Any] = MODEL) -> dict[str, Any]:
    return {"name": "a", "model": model, "seconds": {"read": 1.0, "predict": 2.5}}


def put(folder: Path, *names: str) -> None:
    for name in names:
        if name.endswith(".json"):
            write_json(folder / name, record())
        else:
            (folder / name).write_bytes(b"x")


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("existing", ["refuse", "resume", "overwrite"])
def test_second_attempt(tmp_path: Path, existing: str) -> None:
    options = PredictOptions(tmp_path, existing, before=frozenset({"other.nii.gz"}))
    assert finished("a", MODEL, options) is None
    put(tmp_path, "a.nii.gz")
    assert finished("a", MODEL, options) is None  # half-written: again, not refused
    put(tmp_path, "a.json")
    result = finished("a", MODEL, options)
    assert result is not None
    assert (result.status, result.seconds, result.sidecar) == ("done", 3.5, record())
    (tmp_path / "a.json").write_text("{}")
    assert finished("a", MODEL, options) is None


def test_second_attempt_finds_the_users_files(tmp_path: Path) -> None:
    put(tmp_path, "a.nii.gz", "a.json")
    options = PredictOptions(tmp_path, before=frozenset({"a.nii.gz", "a.json"}))
    with pytest.raises(UserError, match="exists; add --resume"):
        finished("a", MODEL, options)
    assert finished("a", MODEL, replace(options, existing="overwrite")) is None
    result = finished("a", MODEL, replace(options, existing="resume"))
    assert result is not None
    assert result.status == "skipped"
    with pytest.raises(UserError, match="made by another model"):
        finished("a", {}, replace(options, existing="resume"))


def test_first_attempt_replaces_what_was_interrupted(tmp_path: Path) -> None:
    put(tmp_path, "a.nii.gz", ".a.json.12.part")
    for existing in ("resume", "overwrite"):
        assert finished("a", MODEL, PredictOptions(tmp_path, existing)) is None
    with pytest.raises(UserError, match="exists; add --resume"):
        finished("a", MODEL, PredictOptions(tmp_path))


def test_incomplete_files_go(tmp_path: Path) -> None:
    put(tmp_path, "a.nii.gz", "a_ED.dcm", ".a.json.12.part", ".a_ES.dcm.12.part", ".ab.nii.gz.12.part", "ab.nii.gz")
    remove_partial(IMAGE, PredictOptions(tmp_path), frozenset())
    assert names(tmp_path) == [".ab.nii.gz.12.part", "ab.nii.gz"]


def test_incomplete_series_of_a_study_go(tmp_path: Path) -> None:
    put(tmp_path, "a_series1.nii.gz", "a_series1.json", "a_series2.nii.gz", ".a_series3.nii.gz.12.part")
    remove_partial(STUDY, PredictOptions(tmp_path), frozenset())
    assert names(tmp_path) == ["a_series1.json", "a_series1.nii.gz"]


def test_complete_files_and_the_users_stay(tmp_path: Path) -> None:
    put(tmp_path, "a.nii.gz", "a.json")
    remove_partial(IMAGE, PredictOptions(tmp_path), frozenset())
    assert len(names(tmp_path)) == 2
    (tmp_path / "a.json").unlink()
    remove_partial(IMAGE, PredictOptions(tmp_path, "overwrite"), frozenset({"a.nii.gz"}))  # had none before, either
    assert names(tmp_path) == ["a.nii.gz"]
    remove_partial(IMAGE, PredictOptions(tmp_path, "overwrite"), frozenset({"a.nii.gz", "a.json"}))
    assert names(tmp_path) == []
