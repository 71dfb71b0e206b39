import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.indices import indices
from nnunet_cardiac.evaluation.table import evaluate_folder, mean_foreground_dice

LABELS = {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
VOXEL_ML = 10.0 * 2.0 * 2.5 / 1000  # 0.05 mL


def label_map(rv: int, myo: int, lv: int) -> np.ndarray:
    """Rows of the given numbers of voxels, so that volumes and overlaps are known."""
    array = np.zeros((2, 3, 100), np.uint8)
    array[0, 0, :rv], array[0, 1, :myo], array[0, 2, :lv] = 1, 2, 3
    return array


def write(folder: Path, case: str, array: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((2.5, 2.0, 10.0))
    sitk.WriteImage(image, str(folder / f"{case}.nii.gz"))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    cases = {
        "patient001_frame01": ((30, 40, 20), (30, 40, 10)),  # ES although it is the first frame
        "patient001_frame09": ((60, 36, 50), (40, 36, 60)),  # ED
        "patient002_frame01": ((0, 10, 10), (0, 10, 0)),  # no RV anywhere, LV missed, one frame
    }
    for case, (reference, prediction) in cases.items():
        write(tmp_path / "gt", case, label_map(*reference))
        write(tmp_path / "pred", case, label_map(*prediction))
    return tmp_path / "gt", tmp_path / "pred"


@pytest.fixture
def table(folders: tuple[Path, Path]) -> pd.DataFrame:
    return evaluate_folder(*folders, LABELS, progress=False)


@pytest.mark.slow
def test_dice_equals_nnunet(folders: tuple[Path, Path], table: pd.DataFrame) -> None:
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    for case, rows in table.groupby("case"):
        files = [str(folder / f"{case}.nii.gz") for folder in folders]
        theirs = compute_metrics(*files, SimpleITKIO(), [1, 2, 3])["metrics"]
        values = rows["structure"].map(LABELS)
        assert rows["dice"].tolist() == pytest.approx([theirs[v]["Dice"] for v in values], nan_ok=True)
        assert rows["voxels_prediction"].tolist() == [theirs[v]["n_pred"] for v in values]


def test_rows(table: pd.DataFrame) -> None:
    assert table["structure"].tolist() == ["RV", "MYO", "LV"] * 3
    assert table.drop_duplicates("case")["phase"].tolist() == ["ES", "ED", ""]
    row = table.set_index(["case", "structure"]).loc[("patient001_frame09", "RV")]
    assert row["patient"] == "patient001"
    assert row["dice"] == pytest.approx(2 * 40 / 100)
    assert (row["voxels_reference"], row["voxels_prediction"]) == (60, 40)
    assert row["volume_ml_reference"] == pytest.approx(60 * VOXEL_ML)
    # rows of voxels 2.5 mm apart: the 20 missed ones lie 2.5 to 50 mm from the prediction, the 80 others at 0
    assert row["hd95_pooled_mm"] == pytest.approx(np.percentile([0.0] * 80 + [2.5 * i for i in range(1, 21)], 95))


def test_empty_masks(table: pd.DataFrame) -> None:
    rows = table.set_index(["case", "structure"]).loc["patient002_frame01"]
    assert math.isnan(rows.loc["RV", "dice"])
    assert not rows.loc["RV", "distance_failed"]
    assert rows.loc["LV", "dice"] == 0.0
    assert math.isnan(rows.loc["LV", "hd95_pooled_mm"])
    assert rows.loc["LV", "distance_failed"]


def test_mean_foreground_dice(table: pd.DataFrame) -> None:
    rv = (1.0 + 0.8) / 2  # two cases, the third is undefined
    lv = (20 / 30 + 100 / 110 + 0.0) / 3
    assert mean_foreground_dice(table) == pytest.approx((rv + 1.0 + lv) / 3)


def test_indices_by_hand(table: pd.DataFrame) -> None:
    result = indices(table)
    assert set(result["patient"]) == {"patient001"}
    rows = result.set_index("index")
    assert rows["unit"].to_dict() == {
        **dict.fromkeys(["LV EDV", "LV ESV", "LV SV", "RV EDV", "RV ESV", "RV SV"], "mL"),
        **dict.fromkeys(["LV EF", "RV EF"], "%"),
        "LV mass": "g",
    }
    expected = {
        "LV EDV": (50 * VOXEL_ML, 60 * VOXEL_ML),
        "LV ESV": (20 * VOXEL_ML, 10 * VOXEL_ML),
        "LV SV": (30 * VOXEL_ML, 50 * VOXEL_ML),
        "LV EF": (60.0, 100 * 50 / 60),
        "RV EF": (50.0, 25.0),
        "LV mass": (36 * VOXEL_ML * 1.05, 36 * VOXEL_ML * 1.05),
    }
    for index, (reference, prediction) in expected.items():
        assert rows.loc[index, ["reference", "prediction"]].tolist() == pytest.approx([reference, prediction])
        assert rows.loc[index, "difference"] == pytest.approx(prediction - reference)


def test_missing_phase_is_not_a_number(tmp_path: Path) -> None:
    write(tmp_path / "gt", "a_frame1", label_map(1, 2, 3))
    write(tmp_path / "pred", "a_frame1", label_map(1, 2, 3))
    table = evaluate_folder(tmp_path / "gt", tmp_path / "pred", LABELS, progress=False, frames={"a": {"ED": 1}})
    rows = indices(table).set_index("index")
    assert rows.loc["LV EDV", "reference"] == pytest.approx(3 * VOXEL_ML)
    assert math.isnan(rows.loc["LV EF", "reference"])


def test_without_phases_there_are_no_indices(table: pd.DataFrame) -> None:
    result = indices(table[table["patient"] == "patient002"])
    assert result.empty
    assert list(result.columns) == ["patient", "index", "unit", "reference", "prediction", "difference"]


def test_atrium_alone(tmp_path: Path) -> None:
    for folder in ("gt", "pred"):
        write(tmp_path / folder, "a_frame1", label_map(5, 0, 0))
    table = evaluate_folder(tmp_path / "gt", tmp_path / "pred", {"LA": 1}, progress=False)
    assert table[["structure", "phase", "dice"]].to_numpy().tolist() == [["LA", "", 1.0]]
    assert indices(table)["index"].tolist() == ["LA volume"]


def test_rejects_background_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one structure besides the background"):
        evaluate_folder(tmp_path, tmp_path, {"background": 0}, progress=False)
