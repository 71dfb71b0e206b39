"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_cardiac.files import beside, read_json, replacing, split_name, write_json


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


@pytest.mark.parametrize(
    ("word", "name", "path"),
    [
        ("lr=0.01", "", "lr=0.01"),  # a folder that exists is one
        ("a=lr=0.01", "a", "lr=0.01"),
        ("lr=0.02=plain", "lr=0.02", "plain"),  # what exists decides where the name ends
        ("x/y=plain", "x/y", "plain"),
        ("plain", "", "plain"),
        ("new=nowhere", "new", "nowhere"),
        ("runs/lr=0.5", "", "runs/lr=0.5"),  # nothing exists: a name has no slash
        ("=plain", "", "=plain"),
        ("a=", "", "a="),
    ],
)
def test_a_name_before_an_equals_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, name: str, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("lr=0.01", "plain"):
        (tmp_path / folder).mkdir()
    assert split_name(word) == (name, Path(path))


def test_beside_a_folder_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert beside(".") == tmp_path / "a"
    assert beside("..") == tmp_path
    assert beside(tmp_path / "a" / "b") == tmp_path / "a"
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    assert beside(tmp_path / "link") == tmp_path
