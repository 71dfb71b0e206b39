"""What `evaluate` reads: whole files, frames of 4D files, all references of a patient, single slices."""

from __future__ import annotations

import gzip
import json
import logging
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_cardiac.cli import main
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.cases import match_cases, read_pairs
from nnunet_cardiac.evaluation.folders import evaluate_folders
from nnunet_cardiac.evaluation.results import Results

LABELS = {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
SPACING = (1.5, 2.0, 8.0)
VOXEL_ML = 1.5 * 2 * 8 / 1000


def heart(lv: int, slices: int = 2) -> np.ndarray:
    """A cavity of `lv` rows of eight voxels in a wall, and a right ventricle, the same in all slices."""
    plane = np.zeros((24, 24), np.uint8)
    plane[2 : lv + 6, 8:20], plane[4 : lv + 4, 10:18], plane[6:10, 3:8] = 2, 3, 1
    return np.repeat(plane[None], slices, 0)


def write(path: Path, array: np.ndarray, spacing: tuple[float, ...] = SPACING) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    image = sitk.GetImageFromArray(array, isVector=False)
    image.SetSpacing((*spacing, 1.0)[: array.ndim])
    sitk.WriteImage(image, str(path))
    return path


def folders(root: Path, maps: dict[str, np.ndarray]) -> tuple[Path, Path]:
    """References, and predictions that are the same."""
    for folder in ("labelsTs", "pred"):
        for name, array in maps.items():
            write(root / folder / f"{name}.nii.gz", array)
    (root / "dataset.json").write_text(json.dumps({"labels": LABELS}))
    return root / "labelsTs", root / "pred"


def edv(results: Results, index: str = "LV EDV") -> tuple[float, float]:
    row = results.table("indices").set_index("index").loc[index]
    return row["reference"], row["prediction"]


FRAMES = {"p01_frame01": heart(10), "p01_frame05": heart(8), "p01_frame09": heart(5)}


# -- whole files


@pytest.mark.parametrize("side", ["labelsTs", "pred"])
@pytest.mark.parametrize("name", ["p01.nii.gz", "P01.NII.GZ", "p01.nii", "p01.nrrd", "p01.mha"])
def test_a_cut_file_is_refused_by_its_name(tmp_path: Path, side: str, name: str) -> None:
    noise = np.random.default_rng(1).integers(0, 4, (4, 24, 24)).astype(np.uint8)  # hardly compressed
    for folder in ("labelsTs", "pred"):
        made = write(tmp_path / folder / name.lower(), noise)
        made.rename(tmp_path / folder / name)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": LABELS}))
    path = tmp_path / side / name
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=f"{side}.{name}: "):
        evaluate_folders(tmp_path / "labelsTs", tmp_path / "pred", check_order=False)


def test_a_file_that_is_called_gz_but_is_not_packed(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, {"p01": heart(8)})
    path = pred / "p01.nii.gz"
    path.write_bytes(gzip.decompress(path.read_bytes()))
    cases = evaluate_folders(gt, pred).table("cases")
    assert cases["dice"].tolist() == [1, 1, 1]


def test_a_value_that_rounds_to_a_label_is_shown_in_full(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, {"p01": heart(8)})
    write(pred / "p01.nii.gz", heart(8).astype(np.float32) * np.float32(0.9999999))
    with pytest.raises(UserError, match=r"found label values \(0.99999\d+, 1.99999\d+, 2.99999\d+\), expected only"):
        evaluate_folders(gt, pred)


def test_a_link_to_nowhere_and_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, {"p01": heart(8)})
    (pred / "p01.nii.gz").unlink()
    (pred / "p01.nii.gz").symlink_to(tmp_path / "nowhere.nii.gz")
    with pytest.raises(UserError, match=r"pred.p01\.nii\.gz: "):
        evaluate_folders(gt, pred)
    (pred / "p01.nii.gz").unlink()
    write(pred / "p01.nii.gz", heart(8)).rename(pred / os.fsdecode(b"caf\xe9.nii.gz"))
    with pytest.raises(UserError, match=r"the file name 'caf\\udce9\.nii\.gz' cannot be written into a table"):
        evaluate_folders(gt, pred)


def test_tables_of_the_user_are_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gt, pred = folders(tmp_path, {"p01": heart(8)})
    table = tmp_path / "cases.csv"
    table.write_text("case,patient\np01,Smith\n")
    words = ["evaluate", "--quiet", "-gt", str(gt), "-p", str(pred), "-np", "1", "-o", str(tmp_path)]
    assert main(words) == 2
    assert "cases.csv: is not the table of an evaluation" in capsys.readouterr().err
    assert table.read_text() == "case,patient\np01,Smith\n"
    assert not (tmp_path / "evaluation.json").exists()
    out = tmp_path / "out"
    for _ in range(2):  # one's own results may be replaced
        assert main([*words[:-1], str(out)]) == 0


# -- one slice


def test_distances_in_one_slice_are_those_of_outlines(tmp_path: Path) -> None:
    """Squares of 10 and 4 pixels with one centre: all outlines are 3 pixels apart, which filled masks never are."""
    for folder, side in (("labelsTs", 10), ("pred", 4)):
        plane = np.zeros((1, 24, 24), np.uint8)
        plane[0, 12 - side // 2 : 12 + side // 2, 12 - side // 2 : 12 + side // 2] = 3
        write(tmp_path / folder / "p01.nii.gz", plane, (1.0, 1.0, 8.0))
    results = evaluate_folders(tmp_path / "labelsTs", tmp_path / "pred", labels={"LV": 3})
    case, plane = (results.table(name).iloc[0] for name in ("cases", "slices"))
    assert case["hd_mm"] == pytest.approx(math.hypot(3, 3))
    for metric in ("hd_mm", "hd95_pooled_mm", "hd95_max_of_directed_mm", "asd_pooled_mm", "assd_mean_of_means_mm"):
        assert case[metric] == plane[metric]
    assert case["surface_dice"] == plane["surface_dice"] == 0  # every outline is beyond 2 mm
    assert case[["volume_ml_reference", "volume_ml_prediction"]].isna().all()


def test_a_structure_in_one_slice_of_a_stack_is_measured_in_3d(tmp_path: Path) -> None:
    """As medpy and MONAI do: each voxel of a mask of one slice lies at the surface of the volume."""
    for folder, side in (("labelsTs", 10), ("pred", 4)):
        stack = np.zeros((3, 24, 24), np.uint8)
        stack[1, 12 - side // 2 : 12 + side // 2, 12 - side // 2 : 12 + side // 2] = 3
        write(tmp_path / folder / "p01.nii.gz", stack, (1.0, 1.0, 8.0))
    case = evaluate_folders(tmp_path / "labelsTs", tmp_path / "pred", labels={"LV": 3}).table("cases").iloc[0]
    # of 100 + 16 voxels all 16, and those of the large square within 2 mm: itself, a ring of 1, a ring of 2 without
    # its 4 corners and their neighbours at a distance above 2
    y, x = np.mgrid[-7:9, -7:9]
    outside = np.maximum(np.maximum(-1 - y, y - 2), 0), np.maximum(np.maximum(-1 - x, x - 2), 0)
    inside = (y >= -4) & (y <= 5) & (x >= -4) & (x <= 5)
    near = int((np.hypot(*outside)[inside] <= 2).sum())
    assert case["surface_dice"] == pytest.approx((near + 16) / (100 + 16))
    assert case["volume_ml_reference"] == pytest.approx(100 * 8 / 1000)


def test_single_slices_have_no_volume_but_phases(tmp_path: Path) -> None:
    maps = {name: array[:1] for name, array in FRAMES.items()}
    results = evaluate_folders(*folders(tmp_path, maps))
    cases = results.table("cases").drop_duplicates("case").set_index("case")
    assert cases["phase"].to_dict() == {"p01_frame01": "ED", "p01_frame05": "", "p01_frame09": "ES"}
    assert cases[["volume_ml_reference", "volume_ml_prediction"]].isna().all(axis=None)
    found = results.table("indices").set_index("index")
    assert found[["reference", "prediction"]].isna().all(axis=None)


def test_an_image_of_two_dimensions_is_one_slice(tmp_path: Path) -> None:
    results = evaluate_folders(*folders(tmp_path, {"p01": heart(8)[0]}))
    cases = results.table("cases")
    assert cases["dice"].tolist() == [1, 1, 1]
    assert cases["volume_ml_reference"].isna().all()


# -- phases of all references


def test_a_missing_prediction_leaves_the_reference_as_it_is(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, FRAMES)
    whole = evaluate_folders(gt, pred)
    assert edv(whole) == pytest.approx((10 * 8 * 2 * VOXEL_ML,) * 2)
    (pred / "p01_frame01.nii.gz").unlink()
    results = evaluate_folders(gt, pred, allow_missing=True)
    assert results.table("cases").drop_duplicates("case")["phase"].tolist() == ["", "ES"]
    reference, prediction = edv(results)
    assert reference == pytest.approx(10 * 8 * 2 * VOXEL_ML)
    assert math.isnan(prediction)
    assert edv(results, "LV ESV") == pytest.approx((5 * 8 * 2 * VOXEL_ML,) * 2)
    curve = results.table("curves").set_index(["structure", "frame"]).loc["LV"]
    assert curve["volume_ml_reference"].tolist() == pytest.approx([n * 16 * VOXEL_ML for n in (10, 8, 5)])
    assert curve["volume_ml_prediction"].isna().tolist() == [True, False, False]


def test_phases_of_a_choice_of_cases_are_those_of_the_patient(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, {**FRAMES, "p02_frame01": heart(9)})
    results = evaluate_folders(gt, pred, cases=["p01_frame05", "p01_frame09"])
    assert results.table("cases").drop_duplicates("case")["phase"].tolist() == ["", "ES"]
    assert edv(results)[0] == pytest.approx(10 * 8 * 2 * VOXEL_ML)
    assert set(results.table("indices")["patient"]) == {"p01"}


def test_each_method_has_the_same_reference(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, FRAMES)
    write(tmp_path / "other" / "p01_frame09.nii.gz", FRAMES["p01_frame09"])
    results = evaluate_folders(gt, {"a": pred, "b": tmp_path / "other"}, allow_missing=True)
    found = results.table("indices").set_index(["method", "index"])["reference"]
    assert found["a", "LV EDV"] == found["b", "LV EDV"] == pytest.approx(10 * 8 * 2 * VOXEL_ML)


def test_a_stack_without_one_of_its_slices_has_no_volume(tmp_path: Path) -> None:
    maps = {
        f"p01_frame{frame:02d}_slice{z}": plane[None]
        for frame, n in ((1, 10), (9, 5))
        for z, plane in enumerate(heart(n, slices=3))
    }
    gt, pred = folders(tmp_path, maps)
    assert edv(evaluate_folders(gt, pred)) == pytest.approx((10 * 8 * 3 * VOXEL_ML,) * 2)
    (pred / "p01_frame01_slice1.nii.gz").unlink()
    reference, prediction = edv(evaluate_folders(gt, pred, allow_missing=True))
    assert reference == pytest.approx(10 * 8 * 3 * VOXEL_ML)
    assert math.isnan(prediction)


def test_a_reference_that_only_gives_a_phase_must_be_whole(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, FRAMES)
    (pred / "p01_frame01.nii.gz").unlink()
    path = gt / "p01_frame01.nii.gz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"labelsTs.p01_frame01\.nii\.gz: "):
        evaluate_folders(gt, pred, allow_missing=True)


def test_examinations_count_on_both_sides_or_on_none(tmp_path: Path) -> None:
    maps = {f"p01_visit{v}_{phase}": heart(n - v) for v in (1, 2) for phase, n in (("ED", 10), ("ES", 6))}
    gt, pred = folders(tmp_path, maps)
    assert edv(evaluate_folders(gt, pred)) == pytest.approx(((9 + 8) / 2 * 16 * VOXEL_ML,) * 2)
    (pred / "p01_visit2_ED.nii.gz").unlink()
    reference, prediction = edv(evaluate_folders(gt, pred, allow_missing=True))
    assert reference == pytest.approx((9 + 8) / 2 * 16 * VOXEL_ML)
    assert math.isnan(prediction)


# -- frames of 4D files


def test_frames_of_a_series_are_cases(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, {"p01": np.stack([heart(n) for n in (10, 8, 5, 7)])})
    write(pred / "p01.nii.gz", np.stack([heart(n) for n in (10, 7, 5, 7)]))
    results = evaluate_folders(gt, pred)
    lv = results.table("cases").query("structure == 'LV'").set_index("case")
    assert lv["dice"].to_dict() == pytest.approx(
        {"p01_frame01": 1, "p01_frame02": 2 * 7 / 15, "p01_frame03": 1, "p01_frame04": 1}
    )
    assert lv["phase"].tolist() == ["ED", "", "ES", ""]
    assert edv(results, "LV EF") == pytest.approx((50, 50))
    assert results.facts["patients"] == 1
    curve = results.table("curves").query("structure == 'LV'")
    assert curve["volume_ml_prediction"].tolist() == pytest.approx([n * 16 * VOXEL_ML for n in (10, 7, 5, 7)])


def test_some_frames_of_a_series_and_several_runs(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, {"p01": np.stack([heart(n) for n in (10, 8, 5)]), "p02": heart(8)})
    write(tmp_path / "second" / "p01.nii.gz", np.stack([heart(n) for n in (10, 8, 4)]))
    words = [f"m={pred}", f"m={tmp_path / 'second'}"]
    cases = evaluate_folders(gt, words, cases=["p01_frame03"]).table("cases").query("structure == 'LV'")
    assert cases[["run", "case"]].to_numpy().tolist() == [[0, "p01_frame03"], [1, "p01_frame03"]]
    assert cases["dice"].tolist() == pytest.approx([1, 8 / 9])
    assert edv(evaluate_folders(gt, pred, cases=["p01"]))[0] == pytest.approx(10 * 16 * VOXEL_ML)
    assert len(match_cases(gt, pred, ["p01", "p02"])) == 4


def test_a_series_is_read_once_for_all_its_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gt, pred = folders(tmp_path, {"p01": np.stack([heart(n) for n in (10, 8, 5)])})
    read: list[str] = []
    from nnunet_cardiac.evaluation import label_maps

    whole = label_maps.read_label_map
    monkeypatch.setattr(label_maps, "read_label_map", lambda path: (read.append(str(path)), whole(path))[1])
    found = read_pairs(match_cases(gt, pred), [1, 2, 3])
    assert sorted(read) == sorted([str(gt / "p01.nii.gz"), str(pred / "p01.nii.gz")])
    np.testing.assert_array_equal([maps.reference for maps in found], [heart(n) for n in (10, 8, 5)])


def test_series_of_different_lengths_or_grids(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, {"p01": np.stack([heart(n) for n in (10, 8, 5)])})
    write(pred / "p01.nii.gz", np.stack([heart(n) for n in (10, 8)]))
    with pytest.raises(UserError, match=r"pred.p01\.nii\.gz: 2 frames, expected 3 frames as in .*labelsTs.p01"):
        evaluate_folders(gt, pred)
    write(pred / "p01.nii.gz", heart(10))
    with pytest.raises(UserError, match="one volume, expected 3 frames"):
        evaluate_folders(gt, pred)
    write(pred / "p01.nii.gz", np.stack([heart(n) for n in (10, 8, 5)]), (1.5, 2.0, 7.0))
    with pytest.raises(UserError, match=r"spacing is \(1.5, 2, 7\), expected \(1.5, 2, 8\)"):
        evaluate_folders(gt, pred)
    write(pred / "p01.nii.gz", np.stack([heart(n, 3) for n in (10, 8, 5)]))
    with pytest.raises(UserError, match=r"size is \(24, 24, 3, 3\), expected \(24, 24, 2, 3\) .* \(x, y, z, t\)"):
        evaluate_folders(gt, pred)


def test_a_frame_that_is_a_file_of_its_own_too(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, {"p01": np.stack([heart(n) for n in (10, 8)]), "p01_frame02": heart(8)})
    with pytest.raises(UserError, match=r"p01\.nii\.gz and p01_frame02\.nii\.gz both hold the case p01_frame02"):
        evaluate_folders(gt, pred)


def test_a_series_of_one_frame_is_a_volume(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, {"p01": heart(10)[None]})
    assert set(evaluate_folders(gt, pred).table("cases")["case"]) == {"p01"}


def test_a_table_may_name_the_series(tmp_path: Path) -> None:
    gt, pred = folders(tmp_path, {"x1": np.stack([heart(n) for n in (10, 5)])})
    (tmp_path / "cases.csv").write_text("case;patient\nx1;Smith\n")
    (tmp_path / "patients.csv").write_text("patient;height;weight\nSmith;170,5;70,0\n")
    results = evaluate_folders(gt, pred)
    found = results.table("indices").set_index("index")
    assert set(found["patient"]) == {"Smith"}
    area = math.sqrt(170.5 * 70 / 3600)
    assert found.loc["LV EDVi", "reference"] == pytest.approx(10 * 16 * VOXEL_ML / area)


# -- copies


def test_the_same_label_map_of_two_patients_is_worth_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gt, pred = folders(tmp_path, {"p01": heart(10), "p02": heart(9), "p03": heart(8) * 0, "p04": heart(8) * 0})
    with caplog.at_level(logging.WARNING):
        evaluate_folders(gt, pred)
    assert "same voxels" not in caplog.text
    write(pred / "p02.nii.gz", heart(10))
    with caplog.at_level(logging.WARNING):
        evaluate_folders(gt, {"mine": pred})
    assert "mine: the predictions of p01 and p02 hold the same voxels; is one a copy?" in caplog.text
    assert "The references of" not in caplog.text
    write(gt / "p02.nii.gz", heart(10))
    with caplog.at_level(logging.WARNING):
        evaluate_folders(gt, pred)
    assert "The references of p01 and p02 hold the same voxels" in caplog.text


def test_frames_of_one_patient_may_be_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        evaluate_folders(*folders(tmp_path, {"p01_frame01": heart(10), "p01_frame02": heart(10)}))
    assert "same voxels" not in caplog.text


# -- folders


def test_the_folder_in_which_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gt, pred = folders(tmp_path, {"p01": heart(8)})
    pd.DataFrame({"patient": ["p01"], "group": ["NOR"]}).to_excel(tmp_path / "patients.xlsx", index=False)
    (gt / "inner").mkdir()
    for here, reference in ((gt, "."), (gt / "inner", "..")):
        monkeypatch.chdir(here)
        results = evaluate_folders(reference, pred)
        assert results.table("cases")["group"].tolist() == ["NOR"] * 3
