"""LVQuan19: one MATLAB file a patient; what the file holds is shown when it is not what was expected."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.io import savemat
from skimage.segmentation import find_boundaries

FRAMES = 20


def radii():
    """Largest in frame 3, smallest in frame 11, counted from 0."""
    return 5.5 + 1.5 * np.cos(2 * np.pi * (np.arange(FRAMES) - 3) / 16)


def labels(make):
    return np.stack([make.heart({"MYO": 1, "LV": 2}, radius, (1, 40, 44))[0] for radius in radii()])


def content(make, seed):
    maps = labels(make)
    return {
        "image": np.moveaxis(make.scan(maps, seed), 0, -1),
        "endo": np.moveaxis(maps == 2, 0, -1).astype(np.uint8),
        "epi": np.moveaxis(maps > 0, 0, -1).astype(np.uint8),
        "pix_spacing": np.array([[1.25]]),
        "areas": np.arange(2 * FRAMES).reshape(2, FRAMES),
        "dims": np.arange(3 * FRAMES).reshape(3, FRAMES),
        "rwt": np.arange(6 * FRAMES).reshape(6, FRAMES),
        "lv_phase": np.arange(FRAMES)[None] % 2,
    }


@pytest.fixture
def archive(make, tmp_path):
    folder = tmp_path / "LVQuan19" / "TrainingData_LVQuan19"
    folder.mkdir(parents=True)
    for number in range(1, 4):
        savemat(folder / f"patient{number}.mat", content(make, number))
    return folder


def test_every_frame_is_a_slice(make, archive, convert):
    done = convert("lvquan19", archive.parent)
    assert done.code == 0
    assert len(done.names("labelsTr")) == 3 * FRAMES
    assert done.json("dataset.json")["labels"] == {"background": 0, "MYO": 1, "LV": 2}
    np.testing.assert_array_equal(done.label("patient2_frame07"), labels(make)[6][None])
    np.testing.assert_array_equal(done.image("patient2_frame07"), make.scan(labels(make), 2)[6][None])
    path = done.folder / "imagesTr" / "patient1_frame01_0000.nii.gz"
    assert sitk.ReadImage(str(path)).GetSpacing() == pytest.approx((1.25, 1.25, 1.0))
    for fold in done.json("splits_final.json"):
        assert not {name[:8] for name in fold["train"]} & {name[:8] for name in fold["val"]}
    assert "slice distance is unknown" in done.out


def test_phases_by_area_and_indices_of_the_source(archive, convert):
    done = convert("lvquan19", archive)
    row = done.rows("patients.csv")["patient3"]
    assert (row["ed_frame"], row["es_frame"]) == ("4", "12")
    case = done.rows("cases.csv")["patient3_frame04"]
    assert case["phase"] == "ED"
    assert [float(case[name]) for name in ("areas_2", "dims_3", "rwt_6", "lv_phase")] == [23, 43, 103, 1]


def test_outlines_are_filled(make, archive, convert):
    fields = content(make, 1)
    for name in ("endo", "epi"):
        masks = np.moveaxis(fields[name], -1, 0)
        fields[name] = np.moveaxis(np.stack([find_boundaries(m, mode="inner") for m in masks]), 0, -1).astype(np.uint8)
    savemat(archive / "patient1.mat", fields)
    done = convert("lvquan19", archive)
    np.testing.assert_array_equal(done.label("patient1_frame05"), labels(make)[4][None])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"endo": None, "Endo": np.zeros((3, 3))}, "Endo (3, 3); expected endo too. The names in this release"),
        ({"epi": np.zeros((40, 44))}, "epi (40, 44)"),
        ({"pix_spacing": np.zeros((1, 1))}, "pix_spacing is [[0.0]]"),
        ({"endo": np.ones((40, 44, FRAMES))}, "endo has the values [1.0]; expected a mask of 0 and 1"),
        ({"swap": True}, "of endo lies outside epi"),
    ],
)
def test_what_was_found_is_shown(make, archive, convert, change, message):
    fields = content(make, 2)
    if change.pop("swap", False):
        fields["endo"], fields["epi"] = fields["epi"], fields["endo"]
    fields = {name: value for name, value in (fields | change).items() if value is not None}
    savemat(archive / "patient2.mat", fields)
    assert convert("lvquan19", archive).code == 2
    assert f"{archive / 'patient2.mat'}: " in convert.err
    assert message in convert.err


def test_a_file_of_matlab_7_3_and_layout(archive, convert, tmp_path):
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + bytes([0, 2]) + b"IM"
    (archive / "patient2.mat").write_bytes(header + bytes(512))
    assert convert("lvquan19", archive).code == 2
    assert "a MATLAB 7.3 file; expected version 7 or older" in convert.err
    assert convert("lvquan19", archive, "--skip", "patient2").code == 0
    (tmp_path / "empty").mkdir()
    assert convert("lvquan19", tmp_path / "empty", number=28).code == 2
    assert "expected TrainingData_LVQuan19/patientN.mat; found an empty folder" in convert.err


def test_a_file_without_a_direction_is_left_as_stored(archive, convert):
    done = convert("lvquan19", archive)
    total = 3 * FRAMES
    note = f"{total} of {total} images (first patient1_frame01) do not say how they lie in the patient"
    assert note in done.out
    assert done.json("manifest.json")["orientation"]["without_direction"] == total
