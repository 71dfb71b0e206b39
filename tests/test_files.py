"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_cardiac.files import read_json, replacing, write_json


def test_round_trip(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, "é"]})
    assert read_json(tmp_path / "a.json") == {"b": [1, "é"]}


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
