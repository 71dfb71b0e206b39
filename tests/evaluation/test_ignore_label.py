"""Voxels without a reference count neither way, and what needs a whole structure is not given."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from nnunetv2.evaluation.evaluate_predictions import compute_metrics
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunet_cardiac.cascade.roi import RegionRule
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.agreement import add_volume_agreement
from nnunet_cardiac.evaluation.case_metrics import case_metrics
from nnunet_cardiac.evaluation.cases import LabelMapPair, match_cases, read_pair
from nnunet_cardiac.evaluation.ed_es import assign_phases
from nnunet_cardiac.evaluation.labels import parse_labels, read_labels
from nnunet_cardiac.evaluation.localisation import add_localisation_report
from nnunet_cardiac.evaluation.presence import presence_table
from nnunet_cardiac.evaluation.regions import ended_boxes, slice_boxes
from nnunet_cardiac.evaluation.slice_levels import slice_levels
from nnunet_cardiac.evaluation.summary import presence
from nnunet_cardiac.evaluation.table import evaluate_folder

LABELS, IGNORE = {"RV": 1, "MYO": 2, "LV": 3}, 4
DISTANCES = ("hd_mm", "hd95_pooled_mm", "hd95_max_of_directed_mm", "asd_pooled_mm", "assd_mean_of_means_mm")


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    image = sitk.GetImageFromArray(array.astype(np.uint8))
    image.SetSpacing((1.5, 2.0, 8.0))
    sitk.WriteImage(image, str(path))
    return path


def heart(shift: int = 0, slices: int = 6) -> np.ndarray:
    z, y, x = np.mgrid[:slices, :40, :44].astype(float)
    out = np.zeros(z.shape, np.uint8)
    out[np.hypot(y - 20, x - 12 - shift) < 9 - z] = 1
    out[np.hypot(y - 20, x - 25 - shift) < 12 - z] = 2
    out[np.hypot(y - 20, x - 25 - shift) < 8 - z] = 3
    return out


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """`half`: half of each slice has no reference; `slices`: slices 1 and 4 have none; `whole`: all have one."""
    half, slices = heart(), heart()
    half[:, :, 22:] = IGNORE
    slices[[1, 4]] = IGNORE
    for name, reference in (("half", half), ("slices", slices), ("whole", heart())):
        write(tmp_path / "gt" / f"{name}.nii.gz", reference)
        write(tmp_path / "pred" / f"{name}.nii.gz", heart(shift=2))
    return tmp_path / "gt", tmp_path / "pred"


@pytest.mark.parametrize("seed", range(3))
def test_overlap_is_that_of_nnunet(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, prediction = rng.integers(0, 5, (3, 9, 11)), rng.integers(0, 4, (3, 9, 11))
    paths = write(tmp_path / "gt" / "a.nii.gz", reference), write(tmp_path / "pred" / "a.nii.gz", prediction)
    stock = compute_metrics(*map(str, paths), SimpleITKIO(), [1, 2, 3], ignore_label=IGNORE)["metrics"]
    rows = evaluate_folder(*(path.parent for path in paths), LABELS, progress=False, ignore_label=IGNORE)
    for name, value in LABELS.items():
        row = rows.set_index("structure").loc[name]
        assert row["dice"] == pytest.approx(stock[value]["Dice"])
        assert row["voxels_reference"] == stock[value]["n_ref"]
        assert row["voxels_prediction"] == stock[value]["n_pred"]
        assert row["voxels_common"] == stock[value]["TP"]
        assert row["voxels_ignored"] == (reference == IGNORE).sum()


def test_distances_and_volumes_are_those_of_cases_with_a_whole_reference(folders) -> None:
    rows = evaluate_folder(*folders, LABELS, progress=False, ignore_label=IGNORE).set_index(["case", "structure"])
    plain = case_metrics(LabelMapPair(heart(), heart(shift=2), (8.0, 2.0, 1.5)), LABELS).structures
    columns = [*DISTANCES, "surface_dice", "volume_ml_reference", "volume_ml_prediction"]
    for expected in plain:
        row = rows.loc["whole", expected["structure"]]
        assert [row[name] for name in columns] == [expected[name] for name in columns]
    assert rows.loc[["half", "slices"], columns].isna().all(axis=None)
    assert rows.loc[["half", "slices"], "dice"].notna().all()


def test_slices_with_a_whole_reference_keep_their_distances() -> None:
    ignored = np.zeros(heart().shape, bool)
    ignored[1], ignored[4, :, 22:] = True, True
    reference = np.where(ignored, 0, heart()).astype(np.uint8)
    found = case_metrics(LabelMapPair(reference, heart(shift=2), (8.0, 2.0, 1.5), None, ignored), LABELS)
    plain = case_metrics(LabelMapPair(heart(), heart(shift=2), (8.0, 2.0, 1.5)), LABELS)
    expected = {(row["slice"], row["structure"]): row for row in plain.slices}
    assert {row["slice"] for row in found.slices} == {0, 2, 3, 4, 5}  # of slice 1 there is nothing to say
    for row in found.slices:
        same = expected[row["slice"], row["structure"]]
        if row["slice"] == 4:
            assert all(math.isnan(row[name]) for name in DISTANCES)
            assert row["voxels_ignored"] == 40 * 22
        else:
            assert {k: v for k, v in row.items() if k != "level"} == {k: v for k, v in same.items() if k != "level"}


def test_what_needs_no_reference_is_given_for_the_whole_prediction() -> None:
    ignored = np.zeros(heart().shape, bool)
    ignored[:, :, 22:] = True
    reference = np.where(ignored, 0, heart()).astype(np.uint8)
    found = case_metrics(LabelMapPair(reference, heart(shift=2), (8.0, 2.0, 1.5), None, ignored), LABELS)
    plain = case_metrics(LabelMapPair(heart(), heart(shift=2), (8.0, 2.0, 1.5)), LABELS)
    for name in ("walls", "plausibility"):
        predicted = [row for row in getattr(plain, name) if row["source"] == "prediction"]
        assert predicted
        for row, expected in zip(getattr(found, name), predicted, strict=True):
            # Rays are rounded to pixels of the crop, so that a thickness may differ by a fraction of a step.
            assert row == pytest.approx(expected, abs=0.02, nan_ok=True)


def test_an_edge_to_a_voxel_without_reference_is_no_contact() -> None:
    reference = np.zeros((1, 5, 7), np.uint8)
    reference[0, 1:4, 1:4] = 2
    reference[0, 2, 2] = 3
    ignored = np.zeros(reference.shape, bool)
    ignored[0, 2, 3], ignored[0, :, 4:] = True, True
    maps = LabelMapPair(np.where(ignored, 0, reference).astype(np.uint8), reference, (1, 1, 1), None, ignored)
    contacts = case_metrics(maps, LABELS).contacts
    assert contacts[3].tolist() == [0, 0, 3, 0]  # the fourth edge is not known
    assert contacts[2, 0] == 3 + 3 + 3  # upper, lower and left outline; the right one is not known


def test_a_prediction_with_the_ignore_label_is_refused(folders) -> None:
    write(folders[1] / "half.nii.gz", np.where(heart() == 1, IGNORE, heart()))
    with pytest.raises(UserError, match=r"half.nii.gz: found the value 4 in a prediction, which is the ignore label"):
        evaluate_folder(*folders, LABELS, progress=False, ignore_label=IGNORE)


def test_without_an_ignore_label_its_value_is_unknown(folders) -> None:
    with pytest.raises(UserError, match=r"half.nii.gz: found label values \(4\), expected only \[0, 1, 2, 3\]"):
        evaluate_folder(*folders, LABELS, progress=False)


def test_a_reference_without_such_voxels_is_read_as_ever(folders) -> None:
    pairs = {pair.case: pair for pair in match_cases(*folders)}
    assert read_pair(pairs["whole"], [1, 2, 3], ignore_label=IGNORE).ignored is None
    maps = read_pair(pairs["half"], [1, 2, 3], ignore_label=IGNORE)
    assert maps.ignored[:, :, 22:].all()
    assert not maps.ignored[:, :, :22].any()
    np.testing.assert_array_equal(maps.reference[:, :, :22], heart()[:, :, :22])
    assert not maps.reference[:, :, 22:].any()


def test_the_ignore_label_is_read_from_both_places(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"labels": {"background": 0, **LABELS, "ignore": 4}}))
    for labels in (read_labels(path), parse_labels(["RV=1", "MYO=2", "LV=3", "ignore=4"], "--labels")):
        assert (labels.structures, labels.ignore) == (LABELS, 4)
    assert parse_labels(["RV=1"], "--labels").ignore is None


def test_regions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"labels": {"background": 0, "heart": [1, 2], "LV": 2}, "regions_class_order": [1, 2]}))
    with pytest.raises(UserError, match=r"dataset.json: label 'heart' is \[1, 2\].* Region labels"):
        read_labels(path)


def test_levels_are_those_of_the_structures() -> None:
    array = np.zeros((8, 6, 6), np.uint8)
    for z in range(1, 7):
        array[z, : 7 - z] = 1
    expected = slice_levels(array, {"RV": 1})
    array[[0, 7]] = IGNORE
    array[2, 5, 5] = IGNORE
    assert slice_levels(array, {"RV": 1}) == expected


def test_unknown_volumes_name_no_phase() -> None:
    volumes = {"a_frame01": 100.0, "a_frame02": float("nan"), "b_frame01": 90.0, "b_frame02": 50.0, "c_ED": math.nan}
    expected = {"a_frame01": "", "a_frame02": "", "b_frame01": "ED", "b_frame02": "ES", "c_ED": "ED"}
    assert assign_phases(volumes) == expected


def test_presence_is_judged_where_it_is_known() -> None:
    ignored = np.zeros(heart().shape, bool)
    ignored[2, :, 22:] = True
    reference = np.where(ignored, 0, heart()).astype(np.uint8)
    reference[2][reference[2] == 1] = 0  # the RV may be in the other half
    found = case_metrics(LabelMapPair(reference, heart(), (8.0, 2.0, 1.5), None, ignored), LABELS)
    names = {"method": "m", "run": 0, "case": "a", "patient": "a", "phase": "", "group": ""}
    table = presence(pd.DataFrame([{**names, **row} for row in found.slices]))
    overall = table[table["level"] == "all"].set_index("structure")
    assert overall["slices"].to_dict() == {"RV": 5, "MYO": 6, "LV": 6}
    assert (overall["false_positive"] == 0).all()


def test_presence_table_leaves_out_what_is_not_known() -> None:
    truth, found = np.array([[1, 0], [0, 0], [0, 1]], bool), np.array([[1, 1], [1, 0], [0, 1]], bool)
    known = np.array([[1, 0], [0, 1], [1, 1]], bool)
    table = presence_table(truth, found, ["base", "mid", "apex"], ["RV", "LV"], known)
    assert (table["RV"]["all"].slices, table["RV"]["all"].accuracy) == (2, 1.0)
    assert (table["LV"]["all"].slices, table["LV"]["all"].accuracy) == (2, 1.0)
    assert table["RV"]["mid"].slices == 0
    assert presence_table(truth, found, ["base", "mid", "apex"], ["RV", "LV"])["RV"]["all"].slices == 3


@pytest.mark.parametrize(
    ("ignored", "known"),
    [
        ((slice(6, 8), slice(6, 8)), True),  # inside
        ((slice(0, 20), slice(11, 20)), True),  # a column of background between
        ((slice(0, 20), slice(10, 20)), False),
        ((slice(9, 10), slice(10, 11)), False),  # a corner
    ],
)
def test_boxes_that_may_go_on_are_not_known(ignored, known: bool) -> None:
    mask, hidden = np.zeros((2, 20, 20), bool), np.zeros((2, 20, 20), bool)
    mask[:, 5:9, 5:10] = True
    hidden[0][ignored] = True
    boxes = ended_boxes(slice_boxes(mask), hidden)
    np.testing.assert_array_equal(boxes[1], [5, 5, 9, 10])
    assert np.isnan(boxes[0]).all() != known


def test_box_in_a_corner_of_the_image() -> None:
    mask, hidden = np.zeros((1, 4, 4), bool), np.zeros((1, 4, 4), bool)
    mask[0, :2, :2] = True
    assert ended_boxes(slice_boxes(mask), hidden)[0].tolist() == [0, 0, 2, 2]
    hidden[0, 2, 2] = True
    assert np.isnan(ended_boxes(slice_boxes(mask), hidden)).all()


def test_reports_after_validation(folders) -> None:
    reference, prediction = folders
    for path in prediction.iterdir():
        if path.suffix == ".gz":
            write(path, heart(shift=2))
    found = add_volume_agreement(prediction, reference, LABELS, ".nii.gz", IGNORE)
    assert found["LV"].cases == 1
    report = add_localisation_report(prediction, reference, RegionRule((32, 32)), (2.0, 1.5), ".nii.gz", IGNORE)
    assert (report.cases, report.left_out) == (1, 2)
    assert report.distance_mm == pytest.approx(2 * 1.5)
    assert "2 cases with voxels without a reference left out" in str(report)


def test_reports_without_any_whole_reference_say_so(folders) -> None:
    reference, prediction = folders
    (reference / "whole.nii.gz").unlink()
    (prediction / "whole.nii.gz").unlink()
    with pytest.raises(ValueError, match="2 label maps, none with a reference of every voxel"):
        add_volume_agreement(prediction, reference, LABELS, ".nii.gz", IGNORE)
