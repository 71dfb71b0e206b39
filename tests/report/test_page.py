import base64
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nnunet_cardiac.evaluation.indices import indices
from nnunet_cardiac.evaluation.table import mean_foreground_dice
from nnunet_cardiac.report.content import OverlayCase, ResultPage, Stage
from nnunet_cardiac.report.page import MAX_OVERLAYS, result_page_html, write_result_page

VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Collects text, attributes and table rows, and checks that every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += ("|" if self.open[-1] == "small" else "") + data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html(page: ResultPage) -> str:
    return result_page_html(page)


@pytest.fixture(scope="module")
def reader(html: str) -> Reader:
    return Reader(html)


def test_well_formed_and_self_contained(html: str, reader: Reader) -> None:
    assert reader.open == []
    assert not {"script", "link", "iframe", "object"} & set(reader.tags)
    assert not any(name in ("href", "srcset", "action") or name.startswith("on") for name, _ in reader.attributes)
    sources = [value for name, value in reader.attributes if name == "src"]
    assert len(sources) == 4 + 2  # overlays and curves
    for source in sources:
        assert source.startswith("data:image/png;base64,")
        assert base64.b64decode(source.split(",")[1], validate=True).startswith(b"\x89PNG")
    assert "url(" not in html
    assert "@import" not in html
    assert "http" not in html
    assert len(html) < 3_000_000


def test_every_image_has_words_for_it(reader: Reader) -> None:
    assert all(value for name, value in reader.attributes if name == "alt")
    assert sum(name == "alt" for name, _ in reader.attributes) == reader.tags.count("img")


def test_everything_is_escaped(page: ResultPage, reader: Reader) -> None:
    assert page.title in reader.text
    assert "the <b>marks</b> stay text" in reader.text
    assert "echo '<done>'" in reader.text
    assert "Stage 1 <2d>" in reader.text
    assert not {"b", "ellipses", "done", "2d"} & set(reader.tags)


def test_key_numbers(page: ResultPage, reader: Reader) -> None:
    for stage in page.stages:
        assert f"Mean Dice, {stage.name} {mean_foreground_dice(stage.table):.3f}" in reader.text
    for words in ("12 min 34 s", "3.0 GiB", "CPU, 2 cores & no accelerator", "nnU-Net 2.8.1", "5 min 03 s", "8.4 s"):
        assert words in reader.text
    assert "12 epochs, 51 s, 4.2 s per epoch" in reader.text


def test_dice_table(page: ResultPage, reader: Reader) -> None:
    table = page.stages[1].table
    lv = table[table["structure"] == "LV"]["dice"]
    row = next(row for row in reader.rows if row[:2] == ["LV", "all"])
    assert row[2] == "4"
    assert row[6:] == [f"{lv.mean():.3f}", f"{lv.min():.3f} to {lv.max():.3f}", "1.2"]
    mean = next(row for row in reader.rows if row[0] == "Mean of structures")
    assert mean[6] == f"{mean_foreground_dice(table):.3f}"


def test_volume_table_takes_differences_from_the_exact_value(page: ResultPage, reader: Reader) -> None:
    stage = indices(page.stages[0].table).set_index(["patient", "index"])
    start = next(i for i, row in enumerate(reader.rows) if row[:2] == ["patient001", "Exact"])
    exact, reference, first = reader.rows[start : start + 3]
    head = reader.rows[start - 1]
    assert head[2:5] == ["LV EDV (mL)", "LV ESV (mL)", "LV EF (%)"]
    assert exact[2:6] == ["151.5", "–", "61.2", "–"]
    edv, esv = stage.loc[("patient001", "LV EDV")], stage.loc[("patient001", "LV ESV")]
    assert reference[1:4] == ["Reference", f"{edv.reference:.1f}|−{151.5 - edv.reference:.1f}", f"{esv.reference:.1f}"]
    assert first[2] == f"{edv.prediction:.1f}|−{151.5 - edv.prediction:.1f}"
    assert first[3] == f"{esv.prediction:.1f}|+{esv.difference:.1f}"
    errors = (151.5 - edv.prediction, abs(stage.loc[("patient002", "LV EDV"), "difference"]))
    mean = next(row for row in reader.rows if row[0] == "Mean absolute difference")
    assert mean[2] == f"{sum(errors) / 2:.1f}"


def test_worst_patient_comes_first_and_the_worst_case_is_marked(reader: Reader) -> None:
    assert reader.text.index("patient002_frame01") < reader.text.index("patient001_frame01")
    assert "patient002_frame12 ES · HCM & co lowest Dice" in reader.text
    cases = [row[:2] for row in reader.rows if "_frame" in row[0]]
    assert cases[0] == ["patient002_frame12", "ES"]
    assert len(cases) == 4


def test_missed_structure_is_counted(page: ResultPage) -> None:
    table = page.stages[1].table.copy()
    missed = (table["case"] == "patient001_frame01") & (table["structure"] == "RV")
    table.loc[missed, ["dice", "hd95_pooled_mm", "distance_failed"]] = [0.0, float("nan"), True]
    html = result_page_html(replace(page, stages=[Stage("only", table)], overlays=()))
    assert next(row for row in Reader(html).rows if row[:2] == ["RV", "all"])[5] == "1.2 (1 missing)"


def test_only_what_is_there_is_shown(page: ResultPage) -> None:
    bare = ResultPage(title="Bare", summary=[], stages=page.stages[:1], wall_time_s=1.0, device="CPU")
    text = Reader(result_page_html(bare)).text
    for heading in ("Segmentations", "Training", "What was run", "On your own data", "Peak memory"):
        assert heading not in text
    table = page.stages[0].table.assign(phase="")
    assert "Volumes and function" not in result_page_html(replace(bare, stages=[Stage("a", table)]))


def test_many_overlays_are_cut(page: ResultPage, make_heart: Callable[..., OverlayCase]) -> None:
    small = [replace_arrays(make_heart(f"patient{i:03d}_frame01", "ED")) for i in range(MAX_OVERLAYS + 2)]
    reader = Reader(result_page_html(replace(page, overlays=small, curves={})))
    assert reader.tags.count("img") == MAX_OVERLAYS
    assert f"{MAX_OVERLAYS} of {MAX_OVERLAYS + 2} cases are drawn" in reader.text


def replace_arrays(case: OverlayCase) -> OverlayCase:
    """The middle slice alone, quick to draw."""
    predictions = {"Stage 2": case.predictions["Stage 2"][4:5]}
    return replace(case, image=case.image[4:5], reference=case.reference[4:5], predictions=predictions)


def test_stages_of_different_cases(page: ResultPage) -> None:
    first, second = page.stages
    fewer = Stage(second.name, second.table[second.table["case"] != "patient002_frame12"])
    with pytest.raises(ValueError, match="must hold the same cases and structures; they differ in patient002_frame12"):
        result_page_html(replace(page, stages=[first, fewer]))
    with pytest.raises(ValueError, match="at least one stage, got none"):
        result_page_html(replace(page, stages=[]))


def test_failure_keeps_the_old_page(tmp_path: Path, page: ResultPage, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "result.html"
    bare = replace(page, overlays=(), curves={})
    write_result_page(path, bare)
    before = path.read_bytes()

    def full_disk(self: Path, text: str, **_: str) -> int:
        self.write_bytes(text[:9].encode())
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full_disk)
        with pytest.raises(OSError, match="no space left"):
            write_result_page(path, replace(bare, title="new"))
    with pytest.raises(ValueError, match="at least one stage"):
        write_result_page(path, replace(page, stages=[]))
    assert path.read_bytes() == before
    assert before.startswith(b"<!DOCTYPE html>")
    assert list(path.parent.iterdir()) == [path]
