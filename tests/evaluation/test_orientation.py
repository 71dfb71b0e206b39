"""Hearts that contradict their headers, through `evaluate` and on the page."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_cardiac.cli import main
from nnunet_cardiac.evaluation.results import Results, read_results
from nnunet_cardiac.report.page import Additions, page_html

#: x to the back and left, y to the feet, z from base to apex.
DIRECTION = (0.6, 0.0, 0.8, 0.8, 0.0, -0.6, 0.0, -1.0, 0.0)
LOST = tuple(np.eye(3).ravel())


def heart() -> np.ndarray:
    """Seven slices that narrow along z; the right ventricle at -x of the left one."""
    z, y, x = np.mgrid[:7, :44, :48].astype(float)
    labels = np.zeros(z.shape, np.uint8)
    left = np.hypot(y - 22, x - 28)
    labels[np.hypot(y - 22, x - 15) < 11 - z] = 1
    labels[left < 15 - z] = 2
    labels[left < 10 - z] = 3
    return labels


def write(path: Path, array: np.ndarray, direction: tuple[float, ...] = DIRECTION) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 1.5, 8.0))
    image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


def run(folder: Path) -> tuple[Results, str]:
    """Tables of an evaluation, and what the command printed."""
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3}}))
    words = ["-gt", folder / "labelsTs", "-o", folder / "out", "-np", 1, "-p", f"ours={folder / 'pred'}"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["evaluate", "--quiet", *map(str, words)]) == 0
    return read_results(folder / "out"), said.getvalue()


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, str]:
    """Four cases: right, columns flipped on both sides, slices reversed in the prediction, and without directions."""
    folder = tmp_path_factory.mktemp("hearts")
    for name, reference, prediction, direction in (
        ("p1", heart(), heart(), DIRECTION),
        ("p2", heart()[..., ::-1], heart()[..., ::-1], DIRECTION),
        ("p3", heart(), heart()[::-1], DIRECTION),
        ("p4", heart(), heart(), LOST),
    ):
        write(folder / "labelsTs" / f"{name}.nii.gz", reference, direction)
        write(folder / "pred" / f"{name}.nii.gz", prediction, direction)
    return run(folder)


@pytest.fixture(scope="module")
def results(evaluated: tuple[Results, str]) -> Results:
    return evaluated[0]


def test_tables_counts_and_words(evaluated: tuple[Results, str]) -> None:
    results, said = evaluated
    table = results.table("plausibility").query("method == 'ours' and structure == 'RV'")
    verdicts = {source: part.set_index("case")["orientation"].to_dict() for source, part in table.groupby("source")}
    assert verdicts["reference"] == {"p1": "agrees", "p2": "turned", "p3": "agrees", "p4": "direction lost"}
    assert verdicts["prediction"] == {**verdicts["reference"], "p3": "slices reversed"}
    angles = table[table["source"] == "reference"].set_index("case")["rv_angle_degrees"]
    assert angles["p1"] == pytest.approx(0, abs=0.5)
    assert abs(angles["p2"]) == pytest.approx(180, abs=0.5)
    assert np.isnan(angles["p4"])
    assert results.facts["orientation"] == {
        "references": {"agrees": 2, "turned": 1, "direction lost": 1},
        "predictions of ours": {"agrees": 1, "turned": 1, "slices reversed": 1, "direction lost": 1},
    }
    assert "references (agrees 2, turned 1, direction lost 1), predictions of ours (agrees 1, turned 1, " in said
    assert "p2 (predictions" not in said  # the fault of the file has been told
    assert "p2 (references): The right ventricle lies 180 degrees from where the header of the image puts right" in said
    assert "p3 (predictions of ours): The heart is wide where the header of the image puts its apex" in said
    assert "p1 (" not in said


def test_the_page(results: Results) -> None:
    html = page_html(results, {}, "Hearts", Additions())
    assert "p2 (references): The right ventricle lies 180 degrees" in html
    assert "turned against its header (RV at 180°)" in html
    assert html.count("Against header") == 3  # of predictions and references, and in the caption
    row = next(part for part in html.split("<tr") if ">ours<" in part and ">RV<" in part and "67 %" in part)
    assert "33 %" in row  # two of three predictions that can tell, one of three references


def test_a_table_of_an_earlier_version(results: Results) -> None:
    found = results.table("plausibility").drop(columns=["orientation", "rv_angle_degrees"])
    facts = {name: value for name, value in results.facts.items() if name != "orientation"}
    old = replace(results, facts=facts, tables={**results.tables, "plausibility": found})
    assert "Against header" in page_html(old, {}, "Hearts", Additions())


def test_many_contradictions_are_named(tmp_path: Path) -> None:
    for k in range(5):
        for part in ("labelsTs", "pred"):
            write(tmp_path / part / f"p{k}.nii.gz", np.roll(heart(), k, axis=1)[..., ::-1])
    _, said = run(tmp_path)
    assert said.count("(references): The right ventricle lies") == 3
    assert "Other cases that contradict their headers (references): p3, p4." in said


def test_hearts_without_a_right_ventricle_are_not_mentioned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = heart()
    labels[labels == 1] = 0
    for part in ("labelsTs", "pred"):
        write(tmp_path / part / "p1.nii.gz", labels)
    found, said = run(tmp_path)
    assert found.facts["orientation"] == {}
    assert "against the headers" not in said
    assert pd.isna(found.table("plausibility")["rv_angle_degrees"]).all()


def test_hearts_that_agree_are_counted_and_not_mentioned(tmp_path: Path) -> None:
    for part in ("labelsTs", "pred"):
        write(tmp_path / part / "p1.nii.gz", heart())
    found, said = run(tmp_path)
    assert found.facts["orientation"] == {"references": {"agrees": 1}, "predictions of ours": {"agrees": 1}}
    assert "against the headers" not in said
