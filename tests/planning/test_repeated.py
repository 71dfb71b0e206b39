"""Planning finds training cases that show the same image, in raw and in preprocessed data."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.patients.cohort import patient_of, read_patients
from nnunet_cardiac.patients.repeated import FILE_NAME
from nnunet_cardiac.planning.plan import ensure_patient_splits
from nnunet_cardiac.planning.repeated import groups_by_image

CASES = [f"patient{n:03d}_{phase}" for n in range(1, 9) for phase in ("ED", "ES")]
COPY = ("patient002_ES", "patient007_ED")


def voxels(case: str) -> np.ndarray:
    """Noise of its own for each case; the second of `COPY` is the first, mirrored, rescaled and with fewer slices."""
    if case == COPY[1]:
        return (2.5 * voxels(COPY[0])[2:0:-1, :, ::-1] + 100).astype(np.float32)
    return np.random.default_rng(CASES.index(case)).normal(400.0, 90.0, (4, 48, 52)).round().astype(np.int16)


@pytest.fixture
def preprocessed(tmp_path: Path) -> Path:
    folder = tmp_path / "preprocessed" / "Dataset027_ACDC"
    (folder / "gt_segmentations").mkdir(parents=True)
    write_json(folder / "dataset.json", {"file_ending": ".nii.gz"})
    for case in CASES:
        (folder / "gt_segmentations" / f"{case}.nii.gz").touch()
    return folder


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw" / "Dataset027_ACDC"
    (folder / "imagesTr").mkdir(parents=True)
    write_json(folder / "dataset.json", {"file_ending": ".nii.gz"})
    for case in CASES:
        sitk.WriteImage(sitk.GetImageFromArray(voxels(case)), str(folder / "imagesTr" / f"{case}_0000.nii.gz"))
    return folder


def assert_together(folder: Path) -> None:
    for fold in read_json(folder / "splits_final.json"):
        held_out = {patient_of(case) for case in fold["val"]}
        assert ("patient002" in held_out) == ("patient007" in held_out)
        assert len(held_out) <= 2


def test_folds_keep_raw_copies_together(preprocessed: Path, raw: Path, caplog: pytest.LogCaptureFixture) -> None:
    ensure_patient_splits(preprocessed, raw)
    assert_together(preprocessed)
    assert "patient002 and patient007 show the same images; the folds keep them together" in caplog.text


def test_folds_keep_preprocessed_copies_together(preprocessed: Path) -> None:
    data = preprocessed / "nnUNetPlans_2d"
    data.mkdir()
    for case in CASES:
        normalised = voxels(case).astype(np.float32)
        normalised = (normalised - normalised.mean()) / normalised.std()
        nnUNetDatasetBlosc2.save_case(normalised[None], np.zeros((1, *normalised.shape), np.int8), {}, str(data / case))
    ensure_patient_splits(preprocessed, None)
    assert_together(preprocessed)
    assert read_json(preprocessed / FILE_NAME)["pairs"] == [list(COPY)]


def test_the_second_channel_counts_too(preprocessed: Path, raw: Path) -> None:
    channel = sitk.GetImageFromArray(voxels("patient003_ED"))
    for case in CASES:
        noise = np.random.default_rng(100 + CASES.index(case)).normal(size=(4, 48, 52)).astype(np.float32)
        image = channel if case in ("patient001_ED", "patient008_ED") else sitk.GetImageFromArray(noise)
        sitk.WriteImage(image, str(raw / "imagesTr" / f"{case}_0001.nii.gz"))
    groups = groups_by_image(preprocessed, raw, read_patients(CASES), progress=False)
    assert groups == {
        **dict.fromkeys(("patient001", "patient003", "patient008"), "patient001"),
        **dict.fromkeys(("patient002", "patient007"), "patient002"),
    }


def test_images_are_read_once(preprocessed: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = read_patients(CASES)
    expected = {"patient002": "patient002", "patient007": "patient002"}
    assert groups_by_image(preprocessed, raw, cohort, progress=False) == expected
    read: list[object] = []
    monkeypatch.setattr("nnunet_cardiac.planning.repeated.content_print", lambda _: read.append(1) or np.empty(0, "u8"))
    assert groups_by_image(preprocessed, raw, cohort, progress=False) == expected
    assert not read
    (raw / "imagesTr" / f"{COPY[1]}_0000.nii.gz").touch()
    assert groups_by_image(preprocessed, raw, cohort, progress=False) == {}
    assert len(read) == len(CASES)


def test_the_table_of_patients_rules(preprocessed: Path, raw: Path) -> None:
    owner = {case: "heart2" if "002" in case or "007" in case else patient_of(case) for case in CASES}
    (raw / "cases.csv").write_text("case,patient\n" + "".join(f"{c},{p}\n" for c, p in owner.items()))
    cohort = read_patients(CASES, [raw / "cases.csv"])
    assert groups_by_image(preprocessed, raw, cohort, progress=False) == {}


def test_existing_folds_are_kept_and_warned_of(preprocessed: Path, raw: Path, caplog: pytest.LogCaptureFixture) -> None:
    held_out = [case for case in CASES if "002" in case]
    folds = [{"train": [c for c in CASES if c not in held_out], "val": held_out}]
    write_json(preprocessed / "splits_final.json", folds)
    ensure_patient_splits(preprocessed, raw)
    assert read_json(preprocessed / "splits_final.json") == folds
    assert "patient002 and patient007 show the same images and are on both sides of a fold" in caplog.text


def test_an_image_that_cannot_be_read_is_said(preprocessed: Path, raw: Path, caplog: pytest.LogCaptureFixture) -> None:
    (raw / "imagesTr" / "patient005_ED_0000.nii.gz").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        assert len(groups_by_image(preprocessed, raw, read_patients(CASES), progress=False)) == 2
    assert "1 images are not compared with others" in caplog.text
    assert "patient005_ED_0000.nii.gz" in caplog.text
