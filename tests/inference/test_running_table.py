"""The table of indices is whole after each case; a resumed run begins with what is there."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from nnunet_cardiac.inference import running_table
from nnunet_cardiac.inference.results import Result
from nnunet_cardiac.inference.running_table import RunningTable


def record(name: str, lv_ml: float = 50.0) -> dict[str, Any]:
    return {"name": name, "input": {"shape_tzyx": [1, 9, 64, 64]}, "phases": {}, "volumes_ml": {"LV": [lv_ml]}}


def done(name: str, lv_ml: float = 50.0) -> Result:
    return Result(name, "done", sidecar=record(name, lv_ml))


def cases(path: Path) -> list[str]:
    return [line.split(",")[0] for line in path.read_text().splitlines()[1:]]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running_table, "_SHARE", 1e9)  # whatever the time that writing takes
    return tmp_path / "indices.csv"


def test_after_each_case(path: Path) -> None:
    table = RunningTable(path)
    for number, name in enumerate("bac", 1):
        table.add(done(name))
        assert cases(path) == sorted("bac"[:number])
    table.add(Result("d", "failed", message="damaged"))
    assert cases(path) == ["a", "b", "c"]
    rows = table.finish([done("a"), Result("d", "failed")])
    assert rows == [("a", "LV volume", "mL", 50.0)]
    assert path.read_text() == "case,index,unit,value\na,LV volume,mL,50.00\n"
    assert [file.name for file in path.parent.iterdir()] == ["indices.csv"]


def test_resumed(path: Path) -> None:
    table = RunningTable(path, [record("a", 40.0), record("b"), {"name": "c", "made": "by an early version"}])
    table.add(done("a", 60.0))
    assert "a,LV volume,mL,60.00" in path.read_text()
    assert cases(path) == ["a", "b"]
    table.add(Result("b", "failed", message="made by another model"))
    assert cases(path) == ["a"]


def test_a_full_disk_is_told_once_and_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running_table, "write_table", full)
    table = RunningTable(path)
    with caplog.at_level(logging.WARNING):
        table.add(done("a"))
        table.add(done("b"))
    assert [message.split(": ")[-1] for message in caplog.messages] == ["No space left on device"]
    with pytest.raises(OSError, match="No space left"):
        table.finish([done("a")])


def test_a_slow_table_is_written_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 5.0, 19.0, 21.5, 22.0])  # begin and end of the first, two calls in vain, begin and end
    monkeypatch.setattr(running_table.time, "monotonic", lambda: next(clock))
    table = RunningTable(tmp_path / "indices.csv")
    for name in "abc":
        table.add(done(name))
    assert cases(tmp_path / "indices.csv") == ["a"]
    table.add(done("d"))
    assert cases(tmp_path / "indices.csv") == ["a", "b", "c", "d"]
