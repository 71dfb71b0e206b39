import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_cardiac.cli import main
from nnunet_cardiac.evaluation.distances import surface_distances
from nnunet_cardiac.evaluation.results import JSON_NAME, TABLES, read_results

ACDC = {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
SPACING = (1.25, 1.5, 8.0)
CASES = [f"patient{p:03d}_frame{f:02d}" for p in (1, 2, 3) for f in (1, 9)]


def heart(scale: float = 1.0, shift: int = 0) -> np.ndarray:
    z, y, x = np.mgrid[:7, :44, :48].astype(float)
    plane = np.zeros(z.shape, np.uint8)
    r, rv = np.hypot(y - 22, x - 28 - shift), np.hypot(y - 22, x - 15 - shift)
    plane[rv < scale * (11 - z)] = 1
    plane[r < scale * (10 - z) + 5] = 2
    plane[r < scale * (10 - z)] = 3
    plane[0] = 0
    return plane


def write(path: Path, array: np.ndarray, spacing: tuple[float, ...] = SPACING) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three patients; ED is the larger frame; predictions shifted by a pixel."""
    for case in CASES:
        scale = 1.0 if case.endswith("01") else 0.7
        write(tmp_path / "labelsTs" / f"{case}.nii.gz", heart(scale))
        write(tmp_path / "pred" / f"{case}.nii.gz", heart(scale, shift=1))
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": ACDC}))
    (tmp_path / "patients.csv").write_text("patient,group,height_cm,weight_kg\npatient001,NOR,180,80\n")
    return tmp_path


def evaluate(data: Path, *words: str) -> int:
    return main(["evaluate", "-gt", str(data / "labelsTs"), "-p", str(data / "pred"), "-np", "1", "--quiet", *words])


def test_files_and_numbers(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(data) == 0
    folder = data / "pred" / "evaluation"
    assert "12 files" in capsys.readouterr().out or len(list(folder.glob("*.csv"))) >= 9
    cases = pd.read_csv(folder / "cases.csv", keep_default_na=False)
    assert len(cases) == len(CASES) * 3
    row = cases[(cases["case"] == CASES[0]) & (cases["structure"] == "RV")].iloc[0]
    expected = surface_distances(heart() == 1, heart(shift=1) == 1, SPACING[::-1])
    assert float(row["hd_mm"]) == pytest.approx(expected.hd_mm(), rel=1e-5)
    assert float(row["assd_mean_of_means_mm"]) == pytest.approx(expected.assd_mean_of_means_mm(), rel=1e-5)
    assert row["phase"] == "ED"
    assert row["group"] == "NOR"
    slices = pd.read_csv(folder / "slices.csv")
    one = slices[(slices["case"] == CASES[0]) & (slices["structure"] == "LV") & (slices["slice"] == 3)].iloc[0]
    plane = surface_distances(heart()[3] == 3, heart(shift=1)[3] == 3, SPACING[1::-1])
    assert one["hd95_pooled_mm"] == pytest.approx(plane.hd95_pooled_mm(), rel=1e-5)
    content = json.loads((folder / JSON_NAME).read_text())
    assert (content["cases"], content["patients"]) == (6, 3)
    # a shift by one column of 1.25 mm moves two of the four coordinates of every box
    found = content["localisation"]["pred"]
    assert (found["slices"], found["missed"]) == (36, 0)
    assert found["rmse_mm"] == pytest.approx(1.25 * np.sqrt(2 / 4))
    assert content["labels"] == {"RV": 1, "MYO": 2, "LV": 3}
    indices = pd.read_csv(folder / "indices.csv").set_index(["patient", "index"])
    assert indices.loc[("patient001", "LV EDVi"), "reference"] == pytest.approx(
        indices.loc[("patient001", "LV EDV"), "reference"] / 2, rel=1e-5
    )
    assert ("patient002", "LV EDVi") not in indices.index


def test_workers_give_the_same_files(data: Path) -> None:
    for n, out in ((1, "a"), (2, "b")):
        assert main(["evaluate", "--quiet", "-gt", str(data / "labelsTs"), "-p", f"m={data / 'pred'}",
                     "-o", str(data / out), "-np", str(n)]) == 0  # fmt: skip
    for name in TABLES:
        first, second = (data / out / f"{name}.csv" for out in "ab")
        assert first.exists() == second.exists()
        assert not first.exists() or first.read_bytes() == second.read_bytes()


def test_seeds_are_averaged_and_folds_joined(data: Path) -> None:
    for k, case in enumerate(CASES):
        write(data / f"fold{k % 2}" / f"{case}.nii.gz", heart(1.0 if case.endswith("01") else 0.7, shift=2))
    words = [f"one={data / 'pred'}", f"one={data / 'labelsTs'}", f"two={data / 'fold0'}", f"two={data / 'fold1'}"]
    assert main(["evaluate", "--quiet", "-gt", str(data / "labelsTs"), "-p", *words, "-o", str(data / "out")]) == 0
    results = read_results(data / "out")
    cases = results.table("cases").groupby(["method", "run"]).size()
    assert cases.to_dict() == {("one", 0): 18, ("one", 1): 18, ("two", 0): 18}
    comparison = results.table("comparison")
    row = comparison[(comparison["metric"] == "dice") & (comparison["structure"] == "LV")].iloc[0]
    assert row["n_patients"] == 3
    assert row["mean_a"] > row["mean_b"]


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        (lambda d: (d / "pred" / f"{CASES[0]}.nii.gz").unlink(), [], "1 of 6 cases have no prediction: patient001"),
        (lambda d: write(d / "pred" / f"{CASES[0]}.nii.gz", heart()[1:]), [], r"size is \(48, 44, 6\), expected"),
        (lambda d: write(d / "pred" / f"{CASES[0]}.nii.gz", heart(), (1.3, 1.5, 8)), [], "spacing is .* expected"),
        (lambda d: write(d / "pred" / f"{CASES[0]}.nii.gz", heart() * 2), [], r"found label values \(4, 6\)"),
        (lambda d: (d / "pred" / f"{CASES[0]}.nii.gz").write_bytes(b""), [], "cannot be read as an image"),
        (lambda d: write(d / "pred" / f"{CASES[0]}.mha", heart()), [], "one case in two formats"),
        (lambda d: (d / "dataset.json").unlink(), [], "no dataset.json in it or beside it"),
        (lambda d: None, ["--labels", "RV=one"], "'RV=one' is no NAME=NUMBER"),
        (lambda d: None, ["--labels", "RV=1", "MYO=1"], "repeats a name or a number"),
        (lambda d: None, ["--labels", "RV=1", "MYO=2", "LV=3", "ignore=3"], "'ignore=3' repeats a name or a number"),
        (lambda d: (d / "dataset.json").write_text('{"labels": {"background": 0, "RV": [1, 2]}}'), [],
         r"dataset.json: label 'RV' is \[1, 2\]; .* Region labels"),
        (lambda d: None, ["--tolerance", "-1"], "expected 0 mm or more"),
        (lambda d: None, ["--cases", "nobody"], "have no prediction: nobody"),
    ],
)  # fmt: skip
def test_bad_input(
    data: Path, capsys: pytest.CaptureFixture[str], change, words: list[str], message: str
) -> None:  # fmt: skip
    import re

    change(data)
    assert evaluate(data, *words) == 2
    assert re.search(message, capsys.readouterr().err)


def test_every_bad_file_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for case in CASES[:2]:
        write(data / "pred" / f"{case}.nii.gz", heart() + 5)
    assert evaluate(data) == 2
    error = capsys.readouterr().err
    assert all(case in error for case in CASES[:2])


def test_header_without_voxel_size(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = nib.Nifti1Image(heart().T, None)
    nib.save(image, data / "pred" / f"{CASES[0]}.nii.gz")
    assert evaluate(data) == 2
    assert "the header gives no voxel size" in capsys.readouterr().err


def test_missing_predictions_can_be_allowed_and_are_listed(data: Path) -> None:
    (data / "pred" / f"{CASES[0]}.nii.gz").unlink()
    assert evaluate(data, "--allow-missing") == 0
    content = json.loads((data / "pred" / "evaluation" / JSON_NAME).read_text())
    assert content["left_out"] == {"pred": [CASES[0]]}
    assert content["cases"] == 5


def test_empty_prediction_counts(data: Path) -> None:
    write(data / "pred" / f"{CASES[0]}.nii.gz", np.zeros_like(heart()))
    assert evaluate(data) == 0
    content = json.loads((data / "pred" / "evaluation" / JSON_NAME).read_text())
    assert content["distance_failed"] == {"pred": {"RV": 1, "MYO": 1, "LV": 1}}


def test_nothing_labelled_anywhere(tmp_path: Path) -> None:
    for folder in ("labelsTs", "pred"):
        write(tmp_path / folder / "x.nii.gz", np.zeros_like(heart()))
    assert evaluate(tmp_path, "--labels", "LA=1") == 0
    content = json.loads((tmp_path / "pred" / "evaluation" / JSON_NAME).read_text())
    assert content["both_empty"] == {"pred": {"LA": 1}}
    assert main(["report", "--quiet", "-i", str(tmp_path / "pred" / "evaluation")]) == 0


def test_mixed_conventions_are_named_and_mended(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(data, "-o", str(data / "right")) == 0
    for case in CASES:
        path = data / "pred" / f"{case}.nii.gz"
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        write(path, np.array([0, 3, 2, 1], np.uint8)[array])
    assert evaluate(data) == 2
    error = capsys.readouterr().err
    assert "M&Ms order (1 LV, 2 MYO, 3 RV)" in error
    assert "ACDC order" in error
    assert evaluate(data, "-o", str(data / "translated"), "--prediction-labels", "RV=3", "MYO=2", "LV=1") == 0
    assert (data / "translated" / "cases.csv").read_bytes() == (data / "right" / "cases.csv").read_bytes()
    # predictions that say themselves how they count
    (data / "pred" / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LV": 1, "MYO": 2, "RV": 3}}))
    assert evaluate(data) == 2
    assert "--map-labels" in capsys.readouterr().err
    assert evaluate(data, "-o", str(data / "mapped"), "--map-labels") == 0
    assert (data / "mapped" / "cases.csv").read_bytes() == (data / "right" / "cases.csv").read_bytes()


def test_report_is_one_file_without_network(data: Path) -> None:
    from html.parser import HTMLParser

    for folder, shift in (("labelsTs", 0), ("pred", 1)):  # a third frame makes a curve
        write(data / folder / "patient001_frame05.nii.gz", heart(0.85, shift))
    write(data / "imagesTs" / "patient001_frame05_0000.nii.gz", heart())
    assert evaluate(data, "-o", str(data / "out")) == 0
    assert main(["report", "--quiet", "-i", str(data / "out"), "--title", "A <b> & c"]) == 0
    html = (data / "out" / "report.html").read_text(encoding="utf-8")
    found: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(html)
    sources = [attributes.get("src") or attributes.get("href") or "" for _, attributes in found]
    assert all(source.startswith(("data:", "#")) for source in sources if source)
    assert "script" not in {tag for tag, _ in found}
    assert all(attributes.get("alt") for tag, attributes in found if tag == "img")
    assert "A &lt;b&gt; &amp; c" in html
    for heading in (
        "Overlap and distances",
        "Base, mid and apex",
        "Volumes and function",
        "Wall thickness",
        "Volume over time",
        "To review",
    ):
        assert heading in html


def test_figures_of_single_slices(data: Path) -> None:
    assert evaluate(data, "-o", str(data / "out")) == 0
    content = json.loads((data / "out" / JSON_NAME).read_text())
    rows = {(row["structure"], row["metric"]): row for row in content["slice_summary"]}
    hd = pd.read_csv(data / "out" / "slices.csv").query("structure == 'LV'")["hd_pixels"]
    assert rows["LV", "hd_pixels"]["mean"] == pytest.approx(hd.mean(), rel=1e-5)
    accuracy = pd.read_csv(data / "out" / "images.csv")["accuracy"]
    assert rows["all", "accuracy"]["mean"] == pytest.approx(accuracy.mean(), rel=1e-5)
    assert main(["report", "--quiet", "-i", str(data / "out")]) == 0
    assert "Slice by slice" in (data / "out" / "report.html").read_text(encoding="utf-8")


def test_results_of_earlier_versions_still_open(data: Path) -> None:
    assert evaluate(data, "-o", str(data / "out")) == 0
    for name in ("images.csv", "slice_summary.csv"):
        (data / "out" / name).unlink()
    content = json.loads((data / "out" / JSON_NAME).read_text())
    del content["slice_summary"]
    (data / "out" / JSON_NAME).write_text(json.dumps(content))
    slices = pd.read_csv(data / "out" / "slices.csv")
    slices.drop(columns=[c for c in slices if c.endswith("_pixels")]).to_csv(data / "out" / "slices.csv", index=False)
    assert main(["report", "--quiet", "-i", str(data / "out")]) == 0
    html = (data / "out" / "report.html").read_text(encoding="utf-8")
    assert "Overlap and distances" in html
    assert "Slice by slice" not in html


def test_report_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "-i", str(tmp_path)]) == 2
    assert "no evaluation.json; expected the folder" in capsys.readouterr().err


def test_partly_annotated_references(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the first case and a slice of all of patient 3 have no reference."""
    assert evaluate(data, "-o", str(data / "plain")) == 0
    partly = [CASES[0], *CASES[4:]]
    for case in partly:
        array = heart(1.0 if case.endswith("01") else 0.7)
        array[(slice(None), slice(None), slice(24, None)) if case == CASES[0] else 2] = 4
        write(data / "labelsTs" / f"{case}.nii.gz", array)
    assert evaluate(data) == 2
    assert "found label values (4)" in capsys.readouterr().err
    (data / "dataset.json").write_text(json.dumps({"labels": {**ACDC, "ignore": 4}}))
    assert evaluate(data, "-o", str(data / "out")) == 0
    assert "3 of 6 references have voxels without a label" in capsys.readouterr().out
    found, plain = read_results(data / "out"), read_results(data / "plain")
    assert found.facts["partly_annotated"] == partly
    assert found.facts["ignore_label"] == 4
    whole = [case for case in CASES if case not in partly]
    for name in ("cases", "slices", "plausibility"):
        tables = [results.table(name) for results in (found, plain)]
        kept, expected = (t[t["case"].isin(whole) & (t["phase"] != "")].reset_index(drop=True) for t in tables)
        expected = expected[expected["patient"].isin(kept["patient"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, expected, check_dtype=False)
    function = found.table("indices").set_index(["patient", "index"])
    assert function.loc[("patient002", "LV EF"), "reference"] > 0
    assert function.loc[("patient002", "LV EF")].equals(
        plain.table("indices").set_index(["patient", "index"]).loc[("patient002", "LV EF")]
    )
    assert ("patient003", "LV EF") not in function.dropna(subset="reference").index
    assert found.table("agreement").set_index("index").loc["LV EF", "n"] == 1


@pytest.mark.slow
def test_report_of_references_that_are_all_annotated_in_part(data: Path) -> None:
    for case in CASES:
        array = heart(1.0 if case.endswith("01") else 0.7)
        array[:, :, 24:] = 4
        write(data / "labelsTs" / f"{case}.nii.gz", array)
    words = ["--labels", "RV=1", "MYO=2", "LV=3", "ignore=4"]
    (data / "patients.csv").write_text(
        "patient,ed_frame,es_frame\n" + "".join(f"patient{p:03d},1,9\n" for p in (1, 2, 3))
    )
    assert evaluate(data, *words, "-o", str(data / "out")) == 0
    assert main(["report", "--quiet", "-i", str(data / "out")]) == 0
    walls = read_results(data / "out").table("walls")
    assert set(walls["source"]) == {"prediction"}
    page = (data / "out" / "report.html").read_text(encoding="utf-8")
    assert "6 references have voxels without a label (patient001_frame01, " in page
    tables = page[page.index("Label maps with at least one") :]
    assert "nan" not in tables[: tables.index("</table>")].lower()


def spelled(data: Path, name: str) -> None:
    """Call `patient001_frame01` as `name` says."""
    for folder in ("labelsTs", "pred"):
        for path in sorted((data / folder).glob("patient*")):
            patient, frame = path.name.removesuffix(".nii.gz").split("_frame")
            phase = {"01": "ED", "09": "ES"}[frame]
            new = name.format(patient=patient, n=int(patient[-3:]), frame=frame, phase=phase, low=phase.lower())
            path.rename(path.with_name(f"{new}.nii.gz"))


@pytest.mark.parametrize(
    "name",
    [
        "{patient}-{low}", "{patient}_t{frame}", "{phase}_{patient}", "sub-{n:02d}_ses-1_phase-{phase}_bold",
    ],
)  # fmt: skip
def test_usual_spellings_are_three_patients(data: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (data / "patients.csv").unlink()
    spelled(data, name)
    words = [f"a={data / 'pred'}", f"b={data / 'labelsTs'}"]
    assert main(["evaluate", "--quiet", "-gt", str(data / "labelsTs"), "-p", *words, "-o", str(data / "out")]) == 0
    assert "Patients: 3 patients of 6 cases, such as " in capsys.readouterr().out
    results = read_results(data / "out")
    assert results.facts["patients"] == 3
    indices = results.table("indices")
    assert (indices[indices["method"] == "a"]["index"] == "LV EF").sum() == 3
    comparison = results.table("comparison")
    row = comparison[(comparison["metric"] == "dice") & (comparison["structure"] == "LV")].iloc[0]
    # three pairs that all differ one way: 2 of 2^3 arrangements of signs are as extreme
    assert (row["n_patients"], row["wilcoxon_p"]) == (3, pytest.approx(0.25))


def test_slices_of_a_volume_are_added_up(data: Path) -> None:
    assert evaluate(data, "-o", str(data / "whole"), "--cases", *CASES[:2]) == 0
    for folder in ("labelsTs", "pred"):
        for path in sorted((data / folder).glob("patient001*.nii.gz")):
            for z, plane in enumerate(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))):
                write(data / f"{folder}_cut" / path.name.replace(".nii.gz", f"_slice{z:02d}.nii.gz"), plane[None])
    words = ["-gt", str(data / "labelsTs_cut"), "-p", str(data / "pred_cut"), "-o", str(data / "cut")]
    assert main(["evaluate", "--quiet", *words]) == 0
    whole, cut = (
        read_results(data / name).table("indices").set_index(["patient", "index"]) for name in ("whole", "cut")
    )
    for index in ("LV EDV", "LV ESV", "LV EF", "RV EDV", "LV mass"):
        for side in ("reference", "prediction"):
            assert cut.loc[("patient001", index), side] == pytest.approx(
                whole.loc[("patient001", index), side], rel=1e-5
            )


def test_a_table_says_whose_the_cases_are(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{case},{'Smith' if case < 'patient003' else 'Jones'}," for case in CASES]
    (data / "patients.csv").write_text("patient,group\nSmith,NOR\n")
    (data / "cases.csv").write_text("case,patient,phase\n" + "\n".join(rows))
    assert evaluate(data) == 0
    assert f"Patients: 2 patients of 6 cases, such as Jones: {CASES[4]}, {CASES[5]}, by " in capsys.readouterr().out
    cases = read_results(data / "pred" / "evaluation").table("cases")
    assert set(cases[cases["patient"] == "Smith"]["case"]) == set(CASES[:4])
    assert set(cases[cases["patient"] == "Smith"]["group"]) == {"NOR"}
    other = data / "other.csv"
    other.write_text("case,patient\nCASE_1,1\n")
    assert evaluate(data, "--patients", str(other)) == 2
    assert "other.csv: its cases (CASE_1, ...) fit no case" in capsys.readouterr().err


def test_a_guess_is_warned_of(data: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    (data / "patients.csv").unlink()
    spelled(data, "{n}_{frame}")
    assert evaluate(data) == 0
    said = caplog.text + capsys.readouterr().err
    assert (
        "the patients are a guess. 1_01, 1_09 are taken for one patient, their last number for that of a frame" in said
    )
