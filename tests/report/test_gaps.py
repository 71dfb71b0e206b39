"""Pages of evaluations in which something is missing: a structure, a phase, patients, volumes, a part of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from matplotlib.figure import Figure

from nnunet_cardiac.cli import main
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.folders import evaluate_folders
from nnunet_cardiac.evaluation.results import Results, write_results
from nnunet_cardiac.report.chosen_cases import overlay_cases
from nnunet_cardiac.report.header import words
from nnunet_cardiac.report.page import Additions, page_html
from nnunet_cardiac.report.plots import box_figure, level_figure
from nnunet_cardiac.report.sections import _curves

LABELS = {"RV": 1, "MYO": 2, "LV": 3}


def heart(radius: float, shape: tuple[int, ...] = (3, 40, 40)) -> np.ndarray:
    y, x = np.indices(shape)[-2:]
    left = np.hypot(y - 20, x - 22)
    labels = np.zeros(shape, np.uint8)
    labels[np.hypot(y - 20, x - 8) < 6] = 1
    labels[left < radius + 4] = 2
    labels[left < radius] = 3
    return labels


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    image = sitk.GetImageFromArray(array, isVector=False)
    image.SetSpacing((1.5, 1.5, 8.0, 1.0)[: array.ndim])
    sitk.WriteImage(image, str(path))


def evaluated(root: Path, references: dict[str, np.ndarray], missing: tuple[str, ...] = ()) -> Results:
    values = [LABELS[name] for name in missing]
    for name, array in references.items():
        write(root / "labelsTs" / f"{name}.nii.gz", array)
        write(root / "pred" / f"{name}.nii.gz", np.where(np.isin(array, values), 0, array).astype(np.uint8))
    return evaluate_folders(root / "labelsTs", root / "pred", labels=LABELS, check_order=False)


def page(results: Results) -> str:
    return page_html(results, overlay_cases(results), "Title", Additions())


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


PATIENTS = {f"p{n:02d}_frame{t:02d}": heart(11 - t - 0.5 * n) for n in (1, 2, 3) for t in (1, 5)}
SELECTIONS = {
    "all": PATIENTS,
    "one phase": {name: array for name, array in PATIENTS.items() if name.endswith("01")},
    "one case": {"p01_frame01": heart(9)},
    "one slice": {f"p{n:02d}_frame{t:02d}": heart(9 - t - 0.5 * n, (1, 40, 40)) for n in (1, 2) for t in (1, 3, 5)},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("selection", "missing"),
    [
        *(("all", names) for names in (("RV",), ("LV",), ("MYO",), ("RV", "MYO", "LV"))),
        *((name, ("MYO", "LV")) for name in ("one phase", "one slice")),
    ],
)  # fmt: skip
def test_pages_of_methods_that_never_find_a_structure(tmp_path: Path, selection: str, missing: tuple[str, ...]) -> None:
    html = page(evaluated(tmp_path, SELECTIONS[selection], missing))
    assert f"pred never finds {' and '.join(missing)}: there are no distances" in html
    assert ">nan<" not in html.lower()


def test_a_page_of_one_case_without_a_ventricle(tmp_path: Path) -> None:
    html = page(evaluated(tmp_path, SELECTIONS["one case"], ("RV",)))
    assert "pred never finds RV: there are no distances, and volumes of the predictions are 0." in html
    assert ">nan<" not in html.lower()


def test_what_is_in_neither_is_not_missed(tmp_path: Path) -> None:
    references = {name: np.where(array == 1, 0, array).astype(np.uint8) for name, array in PATIENTS.items()}
    assert not [word for word in words(evaluated(tmp_path, references)) if "never finds" in word]


def test_single_slices_have_no_curve(tmp_path: Path) -> None:
    (said,) = _curves(evaluated(tmp_path, SELECTIONS["one slice"]).table("curves"))
    assert said.text == "pred: no volume of any frame is known, as of images of one slice."


def test_boxes_and_bars_without_a_value_say_so() -> None:
    cases = pd.DataFrame({"method": "m", "structure": ["LV", "LV", "RV"], "hd": [1.0, 2.0, np.nan]})
    assert texts(box_figure(cases, {"hd": "HD"})) == ["no value"]
    levels = pd.DataFrame({"method": "m", "structure": "LV", "level": ["base", "apex"], "dice": [0.9, np.nan]})
    assert sorted(texts(level_figure(levels))) == ["0.90", "no value", "no value"]


@pytest.mark.parametrize("folder", ["labelsTs", "pred", "imagesTs"])
def test_a_cut_file_ends_the_report_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    results = evaluated(tmp_path, {"p01_frame01": heart(9)})
    write(tmp_path / "imagesTs" / "p01_frame01_0000.nii.gz", np.random.default_rng(1).random((3, 40, 40)))
    assert list(overlay_cases(results)) == ["lowest Dice"]
    out = tmp_path / "out"
    write_results(out, results)
    path = next((tmp_path / folder).iterdir())
    path.write_bytes(path.read_bytes()[:-20])
    assert main(["report", "--quiet", "-i", str(out)]) == 2
    assert path.name in capsys.readouterr().err
    assert not (out / "report.html").exists()


def test_a_file_that_is_gone_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    results = evaluated(tmp_path, {"p01_frame01": heart(9)})
    (tmp_path / "pred" / "p01_frame01.nii.gz").unlink()
    write(tmp_path / "pred" / "p02.nii.gz", heart(9))
    assert overlay_cases(results) == {}
    assert "p01_frame01: not drawn." in caplog.text


def test_frames_of_a_series_are_drawn_on_their_image(tmp_path: Path) -> None:
    results = evaluated(tmp_path, {"p01": np.stack([heart(9), heart(7), heart(5)])})
    series = np.arange(3 * 3 * 40 * 40, dtype=np.float32).reshape(3, 3, 40, 40)
    write(tmp_path / "imagesTs" / "p01_0000.nii.gz", series)
    drawn = overlay_cases(results)["lowest Dice"]
    frame = int(drawn.case[-2:]) - 1
    np.testing.assert_array_equal(drawn.image, series[frame])
    np.testing.assert_array_equal(drawn.reference, heart((9, 7, 5)[frame]))


def test_names_before_texts_and_trainings_with_an_equals_sign(tmp_path: Path) -> None:
    from nnunet_cardiac.commands.report import _named

    path = tmp_path / "lr=0.01" / "fold_0"
    path.mkdir(parents=True)
    assert _named([str(path)], "--training") == {"lr=0.01/fold_0": path}
    assert _named([f"mine={path}"], "--training") == {"mine": path}
    with pytest.raises(UserError, match="are both called a"):
        _named([f"a={path}", f"a={path.parent}"], "--training")
