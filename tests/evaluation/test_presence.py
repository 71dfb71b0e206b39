"""Presence scores against hand counts and scikit-learn's definitions worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from nnunet_cardiac.evaluation.presence import add_presence_report, presence_score, presence_table
from nnunet_cardiac.files import read_json, write_json


def test_accuracy_and_f1_by_hand() -> None:
    score = presence_score([1, 1, 1, 0, 0], [1, 0, 1, 1, 0])  # 2 hits, 1 missed, 1 false, 1 right rejection
    assert (score.slices, score.present) == (5, 3)
    assert score.accuracy == pytest.approx(3 / 5)
    assert score.f1 == pytest.approx(4 / 6)
    assert str(score) == "accuracy 0.600, F1 0.667 (3 of 5 slices)"


def test_what_is_nowhere_has_no_f1() -> None:
    nowhere = presence_score([0, 0], [0, 0])
    assert nowhere.accuracy == 1
    assert math.isnan(nowhere.f1)
    assert presence_score([0, 0], [0, 1]).f1 == 0
    assert math.isnan(presence_score([], []).accuracy)
    with pytest.raises(ValueError, match="one length"):
        presence_score([1], [1, 0])


def test_levels_are_scored_apart(tmp_path: Path) -> None:
    truth = np.array([[1, 1], [1, 0], [1, 0], [0, 0]], bool)
    found = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], bool)
    table = presence_table(truth, found, ["base", "base", "apex", "outside"], ["LV", "RV"])
    assert list(table["LV"]) == ["all", "base", "apex", "outside"]
    assert table["LV"]["base"].accuracy == 1
    assert table["LV"]["apex"].accuracy == 0
    assert table["RV"]["base"].accuracy == 0.5
    assert table["RV"]["outside"].f1 == 0
    write_json(tmp_path / "summary.json", {"foreground_mean": {"Dice": 0.5}})
    add_presence_report(tmp_path, table)
    summary = read_json(tmp_path / "summary.json")
    assert summary["foreground_mean"] == {"Dice": 0.5}
    assert summary["presence"]["RV"]["base"]["accuracy"] == 0.5
