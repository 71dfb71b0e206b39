import logging
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.cases import match_cases, read_pair

ARRAY = np.zeros((3, 4, 5), np.uint8)
ARRAY[1, 2, 3] = 2


def write(path: Path, array: np.ndarray = ARRAY, **fields: tuple[float, ...]) -> Path:
    path.parent.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(fields.get("spacing", (1.25, 1.5, 10.0)))
    image.SetOrigin(fields.get("origin", (-100.0, 20.0, 3.0)))
    image.SetDirection(fields.get("direction", (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    sitk.WriteImage(image, str(path))
    return path


def folders(root: Path, references: str, predictions: str) -> tuple[Path, Path]:
    for name in references.split():
        write(root / "gt" / name)
    for name in predictions.split():
        write(root / "pred" / name)
    return root / "gt", root / "pred"


def test_matches_by_name_whatever_the_ending(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reference, prediction = folders(tmp_path, "b.nii.gz a.nii.gz", "a.mha b.nii.gz c.nii.gz")
    (prediction / "plans.json").write_text("{}")
    with caplog.at_level(logging.WARNING):
        pairs = match_cases(reference, prediction)
    assert [(pair.case, pair.prediction.name) for pair in pairs] == [("a", "a.mha"), ("b", "b.nii.gz")]
    assert "no reference for c; not evaluated" in caplog.text


def test_reads_arrays_and_spacing_in_z_y_x(tmp_path: Path) -> None:
    pair = match_cases(*folders(tmp_path, "a.nii.gz", "a.nii.gz"))[0]
    maps = read_pair(pair, [1, 2])
    np.testing.assert_array_equal(maps.prediction, ARRAY)
    assert maps.spacing_mm == pytest.approx((10.0, 1.5, 1.25))


def test_only_the_named_cases_are_needed(tmp_path: Path) -> None:
    reference, prediction = folders(tmp_path, "a.nii.gz b.nii.gz", "b.nii.gz")
    assert [pair.case for pair in match_cases(reference, prediction, ["b"])] == ["b"]
    with pytest.raises(UserError, match="list of cases to evaluate is empty"):
        match_cases(reference, prediction, [])


def test_missing_predictions_are_listed(tmp_path: Path) -> None:
    reference, prediction = folders(tmp_path, "a.nii.gz b.nii.gz c.nii.gz", "b.nii.gz")
    with pytest.raises(UserError, match=r"pred: 2 of 3 cases have no prediction: a, c\. Expected files named like b"):
        match_cases(reference, prediction)


def test_missing_reference_is_listed(tmp_path: Path) -> None:
    reference, prediction = folders(tmp_path, "a.nii.gz", "a.nii.gz b.nii.gz")
    with pytest.raises(UserError, match="gt: 1 of 2 cases have no reference: b"):
        match_cases(reference, prediction, ["a", "b"])


def test_folder_errors(tmp_path: Path) -> None:
    reference, prediction = folders(tmp_path, "a.nii.gz a.mha", "a.nii.gz")
    with pytest.raises(UserError, match=r"a\.mha and a\.nii\.gz are one case in two formats"):
        match_cases(reference, prediction)
    with pytest.raises(UserError, match="nowhere: no such folder"):
        match_cases(tmp_path / "nowhere", prediction)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no label map in it; expected files ending in"):
        match_cases(prediction, tmp_path / "empty")


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("spacing", (1.25, 1.6, 10.0), r"spacing is \(1.25, 1.6, 10\), expected \(1.25, 1.5, 10\)"),
        ("origin", (-100.0, 21.0, 3.0), r"origin is \(-100, 21, 3\), expected \(-100, 20, 3\)"),
        ("direction", (-1, 0, 0, 0, -1, 0, 0, 0, 1), r"direction is \(-1, 0.* expected \(1, 0"),
    ],
)
def test_different_grids(tmp_path: Path, field: str, value: tuple[float, ...], shown: str) -> None:
    reference, prediction = folders(tmp_path, "a.nii.gz", "a.nii.gz")
    write(prediction / "a.nii.gz", **{field: value})
    with pytest.raises(UserError, match=r"pred.a\.nii\.gz: " + shown):
        read_pair(match_cases(reference, prediction)[0], [2])


def test_different_sizes(tmp_path: Path) -> None:
    reference, prediction = folders(tmp_path, "a.nii.gz", "a.nii.gz")
    write(prediction / "a.nii.gz", ARRAY[:2])
    with pytest.raises(UserError, match=r"size is \(5, 4, 2\), expected \(5, 4, 3\)"):
        read_pair(match_cases(reference, prediction)[0], [2])


def test_rounding_of_the_header_is_no_difference(tmp_path: Path) -> None:
    reference, prediction = folders(tmp_path, "a.nii.gz", "a.nii.gz")
    write(prediction / "a.nii.gz", spacing=(1.25 + 1e-6, 1.5, 10.0), origin=(-100.0, 20.001, 3.0))
    assert read_pair(match_cases(reference, prediction)[0], [2]).prediction.any()


def test_files_that_are_no_label_maps(tmp_path: Path) -> None:
    reference, prediction = folders(tmp_path, "a.nii.gz", "a.nii.gz")
    pair = match_cases(reference, prediction)[0]
    write(prediction / "a.nii.gz", ARRAY.astype(np.float32) / 4)
    with pytest.raises(UserError, match=r"found label values \(0.5\), expected only \[0, 2\]"):
        read_pair(pair, [2])
    write(prediction / "a.nii.gz", ARRAY * 2)
    with pytest.raises(UserError, match=r"found label values \(4\)"):
        read_pair(pair, [2])
    (prediction / "a.nii.gz").write_bytes(b"not an image")
    with pytest.raises(UserError, match="cannot be read as an image"):
        read_pair(pair, [2])
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 2, 2, 2), np.uint8), isVector=False), prediction / "a.nii.gz")
    with pytest.raises(UserError, match=r"a\.nii\.gz: 2 frames, expected one volume as in .*gt.a\.nii\.gz"):
        match_cases(reference, prediction)
