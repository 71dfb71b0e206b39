"""LASC 2018: NRRD, a value of 255, folders with a space in their names."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.phantom.left_atrium import make_left_atrium

TRAINING = ("0RZDK210BSMWAA6467LU", "1D7CUD1955YZPGK8XHJX", "4URSJYI2QUH1T5S5PP47")
TEST = "EUQBE9SMGIDGFPJLSNJM"
SPACING = (4.0, 4.0, 4.0)


@pytest.fixture(scope="module")
def atria():
    return [make_left_atrium(seed, matrix=(64, 64)) for seed in range(4)]


@pytest.fixture
def archive(make, tmp_path, atria):
    root = tmp_path / "Atrial Segmentation"
    for i, name in enumerate((*TRAINING, TEST)):
        folder = root / ("Testing Set" if name == TEST else "Training Set") / name
        atrium = atria[i]
        make.save(folder / "lgemri.nrrd", np.rint(atrium.image + i).astype(np.uint8), SPACING)
        make.save(folder / "laendo.nrrd", atrium.label * np.uint8(255), SPACING)
        make.save(folder / "lawall.nrrd", atrium.label * np.uint8(7), SPACING)
    return root


def test_values_names_and_test_set(archive, atria, convert):
    done = convert("lasc", archive)
    assert done.code == 0
    description = done.json("dataset.json")
    assert description["labels"] == {"background": 0, "LA": 1}
    assert description["channel_names"] == {"0": "LGE"}
    assert description["file_ending"] == ".nii.gz"
    assert done.names("labelsTr") == list(TRAINING)
    assert done.names("labelsTs") == [TEST]
    np.testing.assert_array_equal(done.label(TRAINING[1]), atria[1].label)
    path = done.folder / "imagesTr" / f"{TRAINING[2]}_0000.nii.gz"
    assert sitk.ReadImage(str(path)).GetSpacing() == pytest.approx(SPACING)
    assert [len(fold["val"]) for fold in done.json("splits_final.json")] == [2, 1]
    volume = float(done.rows("cases.csv")[TRAINING[0]]["la_volume_ml"])
    assert volume == pytest.approx(atria[0].label.sum() * 0.064, abs=1e-3)


def test_a_folder_of_patients_is_a_training_set(archive, convert):
    done = convert("lasc", archive / "Training Set")
    assert done.names("labelsTr") == list(TRAINING)
    assert "the data set has no test set" in done.out


def test_other_values_and_missing_files(make, archive, atria, convert):
    make.save(archive / "Training Set" / TRAINING[0] / "laendo.nrrd", atria[0].label * np.uint8(128), SPACING)
    (archive / "Training Set" / TRAINING[1] / "laendo.nrrd").unlink()
    assert convert("lasc", archive).code == 2
    assert "label values 128 found; expected 0 background, 1 LA, 255 LA" in convert.err
    assert f"{TRAINING[1]}/laendo.nrrd: not found; its folder holds lawall.nrrd, lgemri.nrrd" in convert.err


def test_layout(tmp_path, convert):
    (tmp_path / "x" / "y").mkdir(parents=True)
    assert convert("lasc", tmp_path / "x").code == 2
    assert "expected 'Training Set/ID/lgemri.nrrd'" in convert.err


def test_files_in_folders_of_their_name(archive, convert):
    for path in list(archive.rglob("*.nrrd")):
        content = path.read_bytes()
        path.unlink()
        path.mkdir()
        (path / path.name).write_bytes(content)
    done = convert("lasc", archive)
    assert done.code == 0
    assert done.names("labelsTr") == list(TRAINING)


def test_images_and_labels_stored_otherwise(archive, convert):
    """Axes exchanged and turned round, in labels otherwise than in their images."""
    convert.stored_otherwise("lasc", archive)
