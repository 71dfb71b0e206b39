"""The page of an evaluation of two methods, with names that are HTML."""

import base64
import configparser
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac import report
from nnunet_cardiac.cli import main
from nnunet_cardiac.evaluation.results import Results, read_results
from nnunet_cardiac.evaluation.table import mean_foreground_dice
from nnunet_cardiac.report.chosen_cases import overlay_cases
from nnunet_cardiac.report.page import Additions, page_html, write_page

VOID = {"meta", "img", "br"}
#: A patient whose name would run as a script, and one whose name would start an element.
PATIENTS = ("<script>alert(1)", "a&amp<i>")
METHODS = ("Stage 1 <2d>", "Stage 2")
TITLE, NOTE = "Hearts of <ellipses> & co", "The <b>marks</b> stay text."
COMMANDS = "nnUNetv2_train 7 2d 0\n# 42 s\necho '<done>' && true"
LOG = """2026-11-20 19:48:25.5: Epoch {n}
2026-11-20 19:48:25.5: train_loss -0.{n}
2026-11-20 19:48:25.5: val_loss -0.{n}
2026-11-20 19:48:25.5: Pseudo dice [np.float64(0.1), np.float64(0.2), np.float64(0.3)]
2026-11-20 19:48:25.5: Epoch time: 4.25 s
"""


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
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def heart(scale: float, shift: int = 0) -> np.ndarray:
    z, y, x = np.mgrid[:4, :36, :40].astype(float)
    labels = np.zeros(z.shape, np.uint8)
    r, rv = np.hypot(y - 18, x - 24 - shift), np.hypot(y - 18, x - 12 - shift)
    labels[rv < scale * (9 - z)] = 1
    labels[r < scale * (8 - z) + 4] = 2
    labels[r < scale * (8 - z)] = 3
    return labels


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 1.5, 8.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evaluation of two methods on two patients; the first method misses the right ventricle of one case."""
    base = tmp_path_factory.mktemp("page")
    for k, patient in enumerate(PATIENTS):
        for frame, scale in (("01", 1.0), ("09", 0.75)):
            name = f"{patient}_frame{frame}.nii.gz"
            first, second = heart(scale, 2 + k), heart(scale, 1)
            if (k, frame) == (1, "09"):
                first[first == 1] = 0
            for part, array in (("labelsTs", heart(scale)), ("one", first), ("two", second)):
                write(base / part / name, array)
            write(base / "imagesTs" / name.replace(".nii", "_0000.nii"), heart(scale).astype(np.float32))
    (base / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3}}))
    owners = [f"{p}_frame{f},{p},{phase}" for p in PATIENTS for f, phase in (("01", "ED"), ("09", "ES"))]
    (base / "cases.csv").write_text("\n".join(["case,patient,phase", *owners]))
    (base / "patients.csv").write_text(f"patient,group\n{PATIENTS[0]},HCM & <u>\n")
    fold = base / "model" / "fold_0"
    fold.mkdir(parents=True)
    (fold / "training_log_2026_11_20_19_48_20.txt").write_text("".join(LOG.format(n=n) for n in range(3)))
    (base / "commands.sh").write_text(COMMANDS)
    methods = [f"{name}={base / part}" for name, part in zip(METHODS, ("one", "two"), strict=True)]
    words = ["-gt", str(base / "labelsTs"), "-p", *methods, "-o", str(base / "out"), "-np", "1"]
    assert main(["evaluate", "--quiet", *words]) == 0
    return base


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return read_results(folder / "out")


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    words = ["-i", str(folder / "out"), "-o", str(folder / "page.html"), "--title", TITLE, "--note", NOTE]
    words += ["--training", f"Stage 1 <2d>={folder / 'model' / 'fold_0'}", str(folder / "model" / "fold_0")]
    words += ["--text", f"What <em>was</em> run={folder / 'commands.sh'}"]
    assert main(["report", "--quiet", *words, "--picture", str(folder / "cases.png")]) == 0
    return (folder / "page.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reader(html: str) -> Reader:
    return Reader(html)


def test_well_formed_and_self_contained(html: str, reader: Reader) -> None:
    assert html.startswith("<!DOCTYPE html>")
    assert reader.open == []
    assert not {"script", "link", "iframe", "object"} & set(reader.tags)
    links = [value for name, value in reader.attributes if name == "href"]
    assert sorted(links) == sorted(f"#{value}" for name, value in reader.attributes if name == "id")
    assert not any(name in ("srcset", "action") or name.startswith("on") for name, _ in reader.attributes)
    pictures = [value.partition(";base64,") for name, value in reader.attributes if name == "src"]
    assert {kind for kind, _, _ in pictures} == {"data:image/png", "data:image/svg+xml"}
    for kind, _, data in pictures:
        start = b"\x89PNG" if kind.endswith("png") else b"<?xml"
        assert base64.b64decode(data, validate=True).startswith(start)
    assert "url(" not in html
    assert "@import" not in html
    assert "http" not in html


def test_every_image_has_words_for_it(reader: Reader) -> None:
    assert all(value for name, value in reader.attributes if name == "alt")
    assert sum(name == "alt" for name, _ in reader.attributes) == reader.tags.count("img") > 5


def test_everything_is_escaped(reader: Reader) -> None:
    for words in (*PATIENTS, *METHODS, TITLE, NOTE, "HCM & <u>", "What <em>was</em> run", "echo '<done>' && true"):
        assert words in reader.text
    assert not {"script", "i", "b", "u", "em", "2d", "done", "ellipses"} & (set(reader.tags) - {"i"})
    assert reader.tags.count("i") == 4  # the legend's three structures and the reference
    assert any(
        value.startswith("<script>alert(1)_frame01: slices") for name, value in reader.attributes if name == "alt"
    )


def test_key_numbers(results: Results, reader: Reader) -> None:
    for method, cases in results.table("cases").groupby("method"):
        assert f"Mean Dice, {method} {mean_foreground_dice(cases):.3f}" in reader.text
    assert "Patients 2 Label maps 4" in reader.text
    assert "Stage 1 <2d>: structures missing on one side, in cases: RV 1." in reader.text


def test_numbers_of_the_table_of_metrics(results: Results, reader: Reader) -> None:
    cases = results.table("cases").query("method == 'Stage 1 <2d>' and structure == 'RV'")
    row = next(row for row in reader.rows if row[:2] == ["Stage 1 <2d>", "RV"])
    dice, distance = cases["dice"], cases["hd_mm"].dropna()
    assert row[2:4] == ["all", "4 (1 missed)"]
    assert row[4] == f"{dice.mean():.3f} ± {dice.std():.3f}"
    assert row[5] == f"{distance.mean():.1f} ± {distance.std():.1f}"


def test_headings_span_their_columns(reader: Reader) -> None:
    heads = [k for k, row in enumerate(reader.rows) if row[1:] == ["Dice", "HD95 pooled (mm)"]]
    assert reader.rows[heads[0] + 1] == ["Method", "Structure", *["base", "mid", "apex"] * 2]
    spans = [int(value) for name, value in reader.attributes if name == "colspan"]
    assert spans[:3] == [2, 3, 3]


def test_training_and_texts(html: str, reader: Reader) -> None:
    assert reader.text.count("3 epochs, 13 s, 4.2 s per epoch") == 2
    assert "model/fold_0" in reader.text  # a training without a name is called after its folder
    assert html.count("<pre>") == 1
    assert "".join(reader.words).count(COMMANDS) == 1  # line breaks are kept


def test_the_picture_is_written_with_the_page(folder: Path, html: str) -> None:
    assert "lowest Dice" in html
    assert (folder / "cases.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def bare(results: Results) -> Results:
    """Without levels, slices, indices, walls and comparison."""
    tables = {name: results.table(name) for name in ("cases", "summary", "plausibility")}
    tables["summary"] = tables["summary"].query("level == 'all' and group == 'all'")
    return replace(results, tables=tables)


def test_only_what_is_there_is_shown(bare: Results) -> None:
    html = page_html(bare, {}, "Bare", Additions())
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", html)
    assert headings == ["Overlap and distances", "Volumes and function", "To review first", "How this was measured"]
    assert "No patient has a frame at ED and one at ES." in html


def test_failure_keeps_the_old_page(tmp_path: Path, bare: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "result.html"
    write_page(path, bare, {})
    before = path.read_bytes()

    def full_disk(self: Path, text: str, **_: str) -> int:
        self.write_bytes(text[:9].encode())
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full_disk)
        with pytest.raises(OSError, match="no space left"):
            write_page(path, bare, {}, "new")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_what_a_user_gets_wrong_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = folder / "wrong.html"
    for words, expected in (
        (["--text", f"Commands={folder / 'none.sh'}"], "none.sh is no file. Write [HEADING=]FILE"),
        (["--training", "a=x", "a=y"], "--training: x and y are both called a; give them different names."),
        (["--training", f"a={folder / 'one'}"], "no training_log_*.txt; expected the fold folder"),
    ):
        assert main(["report", "--quiet", "-i", str(folder / "out"), "-o", str(page), *words]) == 2
        assert expected in capsys.readouterr().err
    assert not page.exists()


def test_cases_without_files_are_left_out(folder: Path, results: Results, tmp_path: Path) -> None:
    assert len(overlay_cases(results)) == 3
    gone = replace(results, facts={**results.facts, "methods": {name: [str(tmp_path)] for name in METHODS}})
    assert overlay_cases(gone) == {}


def test_the_templates_are_packaged() -> None:
    config = configparser.ConfigParser()
    config.read(Path(__file__).resolve().parents[2] / "setup.cfg")
    root = Path(report.__file__).parent
    pattern = config["options.package_data"]["nnunet_cardiac.report"].strip()
    others = {path for path in root.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert others == set(root.glob(pattern)) != set()
