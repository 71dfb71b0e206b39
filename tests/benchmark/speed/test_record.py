"""A list of runs in a file."""

import json

import pytest
import torch

from nnunet_cardiac.benchmark.speed.run_file import append_run, describe_run, read_runs
from nnunet_cardiac.errors import UserError


def test_runs_are_added_at_the_end(tmp_path):
    path = tmp_path / "runs.json"
    assert read_runs(path) == []
    for number in (1, 2, 3):
        append_run(path, {"run": number})
    assert json.loads(path.read_text()) == [{"run": 1}, {"run": 2}, {"run": 3}]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"run": 1}', "expected a list of runs, found JSON of type dict"),
        ("[1, 2", r"no JSON \("),
        ("", r"no JSON \("),
    ],
)
def test_other_files_stay_as_they_are(tmp_path, content, message):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(UserError, match=rf"other\.json: {message}"):
        append_run(path, {"run": 1})
    assert path.read_text() == content


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="the folder does not exist; make it first"):
        read_runs(tmp_path / "missing" / "runs.json")


def test_a_run_that_cannot_be_written_leaves_the_file(tmp_path):
    path = tmp_path / "runs.json"
    append_run(path, {"run": 1})
    with pytest.raises(TypeError):
        append_run(path, {"run": object()})
    assert read_runs(path) == [{"run": 1}]
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_says_where_it_was(monkeypatch):
    described = describe_run("speed", {"batch": 2}, [{"trainer": "Any"}], "cpu")
    assert json.loads(json.dumps(described)) == described
    assert (described["benchmark"], described["arguments"], described["results"]) == (
        "speed",
        {"batch": 2},
        [{"trainer": "Any"}],
    )
    assert described["versions"]["torch"] == torch.__version__
    assert described["hardware"]["gpu"] is None
    assert 1 <= described["hardware"]["usable_cores"] <= described["hardware"]["cores"]
