"""Sunnybrook: contours that name nothing but an instance number, in both layouts of the archive."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from skimage.measure import find_contours

FRAMES, SHAPE = 6, (5, 40, 44)
#: Frames from 0. The cavity is largest in the later one: the lower number is not always ED.
ED, ES = 4, 1
ORIENTATION = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def instance(z, t):
    """Instance numbers run through the frames of a slice, then to the next slice."""
    return z * FRAMES + t + 1


def write_dicom(path, pixels, number, series, description, height, geometry=ORIENTATION):
    image = sitk.GetImageFromArray(pixels.astype(np.int16))
    image.SetSpacing((1.25, 1.5))
    position = np.array([10.0, 20.0, 30.0]) + height * np.cross(geometry[:3], geometry[3:])
    tags = {
        "0008|0016": "1.2.840.10008.5.1.4.1.1.4",
        "0008|0060": "MR",
        "0008|103e": description,
        "0018|0050": "8",
        "0020|000d": "1.2.3",
        "0020|000e": f"1.2.3.{series}",
        "0008|0018": f"1.2.3.{series}.{number}",
        "0020|0013": str(number),
        "0020|0032": "\\".join(f"{v:.6f}" for v in position),
        "0020|0037": "\\".join(map(str, geometry)),
    }
    for tag, value in tags.items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    writer.Execute(image)


def write_contour(path, mask):
    """The border of a mask as a polygon that lies just outside its pixel centres."""
    points = max(find_contours(np.pad(mask, 1).astype(float), 0.4), key=len) - 1.0
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, points[:, ::-1], fmt="%.3f")


def labels_at(make, t):
    return make.heart({"MYO": 1, "LV": 2}, {ED: 7.0, ES: 4.0}.get(t, 5.0), SHAPE)


def pixels_at(make, t, seed):
    return make.scan(labels_at(make, t), 100 * seed + t)


class Archive:
    """Cases with all contours at ED on slices 1 to 3 (of 0 to 4), and inner ones at ES on slices 1 and 2."""

    def __init__(self, root, make):
        self.root, self.make = root, make

    def contour_folder(self, case):
        return self.root / "TrainingDataContours" / case / "contours-manual" / "IRCCI-expert"

    def image_folder(self, case):
        return self.root / "TrainingDataDICOM" / case / "DICOM"

    def contour(self, case, z, t, kind="i"):
        return self.contour_folder(case) / f"IM-0001-{instance(z, t):04d}-{kind}contour-manual.txt"

    def add(self, case, seed, heights=(0, 8, 16, 24, 32)):
        for t in range(FRAMES):
            frame = pixels_at(self.make, t, seed)
            for z, height in enumerate(heights):
                number = instance(z, t)
                path = self.image_folder(case) / f"IM-0004-{number:04d}.dcm"
                write_dicom(path, frame[z], number, 4, "cine SAX", height)
        for z, t in ((1, ED), (2, ED), (3, ED), (1, ES), (2, ES)):
            self.draw(case, z, t)
        # A long-axis cine with the same instance numbers, which has no cardiac stack of slices.
        for number in range(1, 7):
            path = self.image_folder(case) / f"IM-0002-{number:04d}.dcm"
            write_dicom(path, frame[0], number, 2, "cine 4ch", 0.0)
        return self

    def draw(self, case, z, t, outer=None):
        labels = labels_at(self.make, t)[z]
        write_contour(self.contour(case, z, t), labels == 2)
        if t == ED if outer is None else outer:
            write_contour(self.contour(case, z, t, "o"), labels > 0)


@pytest.fixture
def archive(make, tmp_path):
    built = Archive(tmp_path / "Sunnybrook", make)
    for seed, case in enumerate(("SC-HF-I-1", "SC-N-10"), start=1):
        built.add(case, seed)
    # Zeros before the number come and go between releases, and papillary muscles have contours of their own.
    folder = built.root / "TrainingDataContours"
    (folder / "SC-HF-I-1").rename(folder / "SC-HF-I-01")
    np.savetxt(folder / "SC-N-10" / "contours-manual" / "IRCCI-expert" / "IM-0001-0005-p1-manual.txt", np.eye(3, 2))
    return built


def expected(make, t, drawn):
    labels = labels_at(make, t)
    labels[[z for z in range(5) if z not in drawn]] = 0
    return labels


def test_contours_meet_their_images(make, archive, convert):
    done = convert("sunnybrook", archive.root)
    assert done.code == 0
    assert done.json("dataset.json")["labels"] == {"background": 0, "MYO": 1, "LV": 2}
    assert done.names("labelsTr") == ["SC-HF-I-01_frame05", "SC-N-10_frame05"]
    np.testing.assert_array_equal(done.label("SC-HF-I-01_frame05"), expected(make, ED, (1, 2, 3)))
    np.testing.assert_array_equal(done.image("SC-HF-I-01_frame05"), pixels_at(make, ED, 1))
    row = done.rows("patients.csv")["SC-HF-I-01"]
    assert (row["group"], row["ed_frame"]) == ("HF-I", "5")
    assert "SC-N-10: ES left out, no slice has all contours" in done.out


def test_geometry_of_the_stack(archive, convert):
    done = convert("sunnybrook", archive.root)
    image = sitk.ReadImage(str(done.folder / "imagesTr" / "SC-N-10_frame05_0000.nii.gz"))
    assert image.GetSpacing() == pytest.approx((1.25, 1.5, 8.0))
    assert image.GetOrigin() == pytest.approx((10.0, 20.0, 30.0), abs=1e-4)
    direction = np.reshape(image.GetDirection(), (3, 3))
    x, y = np.reshape(ORIENTATION, (2, 3))
    np.testing.assert_allclose(direction, np.column_stack([x, y, np.cross(x, y)]), atol=1e-6)
    assert image.GetPixelID() == sitk.sitkInt16  # as stored: a file twice the size would say no more


def test_scaled_pixels(make, archive, convert):
    for path in archive.image_folder("SC-N-10").glob("IM-0004-*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.RescaleSlope, dataset.RescaleIntercept = "2.5", "-10"
        dataset.save_as(path)
    done = convert("sunnybrook", archive.root)
    np.testing.assert_array_equal(done.image("SC-N-10_frame05"), 2.5 * pixels_at(make, ED, 2) - 10)


def test_without_pydicom(archive, convert, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert convert("sunnybrook", archive.root).code == 2
    assert "needs pydicom. Install it: pip install 'nnunet_cardiac[dicom]'" in convert.err


def test_cavity_alone_has_both_phases(make, archive, convert):
    done = convert("sunnybrook", archive.root, "--cavity-only")
    assert done.json("dataset.json")["labels"] == {"background": 0, "LV": 1}
    assert done.names("labelsTr")[:2] == ["SC-HF-I-01_frame02", "SC-HF-I-01_frame05"]
    np.testing.assert_array_equal(done.label("SC-HF-I-01_frame02"), expected(make, ES, (1, 2)) == 2)
    row = done.rows("patients.csv")["SC-HF-I-01"]
    assert (row["ed_frame"], row["es_frame"]) == ("5", "2")
    assert done.rows("cases.csv")["SC-N-10_frame02"]["phase"] == "ES"


def test_gaps_cut_the_stack(make, archive, convert):
    """A slice in the middle without contours, and a basal one without the outer contour."""
    archive.draw("SC-N-10", 4, ED, outer=False)
    archive.contour("SC-HF-I-01", 2, ED).unlink()
    archive.contour("SC-HF-I-01", 2, ED, "o").unlink()
    done = convert("sunnybrook", archive.root)
    np.testing.assert_array_equal(done.label("SC-N-10_frame05"), expected(make, ED, (1, 2, 3))[:4])
    assert done.label("SC-HF-I-01_frame05").shape[0] == 2
    assert "SC-N-10: ED keeps slices 1 to 4 of 5" in done.out
    assert "SC-HF-I-01: ED keeps slices 1 to 2 of 5" in done.out


def test_a_missing_slice_cuts_the_stack(make, archive, convert):
    shutil.rmtree(archive.image_folder("SC-N-10").parent)
    archive.add("SC-N-10", 2, heights=(0, 8, 16, 24, 40))
    done = convert("sunnybrook", archive.root)
    assert done.label("SC-N-10_frame05").shape[0] == 4
    image = sitk.ReadImage(str(done.folder / "imagesTr" / "SC-N-10_frame05_0000.nii.gz"))
    assert image.GetSpacing()[2] == pytest.approx(8.0)


def test_cardiac_atlas_layout(make, archive, convert, tmp_path):
    """Renumbered patients, a table that names both numbers, parts of the archive side by side."""
    root = tmp_path / "CAP"
    (root / "SCD_ManualContours").mkdir(parents=True)
    lines = ["PatientID,OriginalID,Gender,Age,PathologyID,Pathology"]
    for number, case in ((101, "SC-HF-I-1"), (4401, "SC-N-10")):
        patient = f"SCD{number:07d}"
        shutil.move(archive.image_folder(case), root / "SCD_IMAGES_01" / patient / "CINESAX_300")
        lines.append(f"{patient},{case},Female,60,1,Heart failure")
    for folder in (archive.root / "TrainingDataContours").iterdir():
        shutil.move(folder, root / "SCD_ManualContours" / folder.name)
    (root / "scd_patientdata.csv").write_text("\n".join(lines) + "\n")
    done = convert("sunnybrook", root, "--cine")
    assert done.code == 0
    np.testing.assert_array_equal(done.label("SC-N-10_frame05"), expected(make, ED, (1, 2, 3)))
    assert done.rows("patients.csv")["SC-N-10"]["gender"] == "Female"
    assert len(done.names("imagesCine")) == 2 * FRAMES


def test_contours_that_fit_no_series(archive, convert):
    path = archive.contour("SC-N-10", 3, ED)
    path.rename(path.with_name("IM-0001-0999-icontour-manual.txt"))
    assert convert("sunnybrook", archive.root).code == 2
    assert "SC-N-10: " in convert.err
    assert "0 series fit the contours, which need a cine stack with the instances 8 to 999" in convert.err
    assert "'cine SAX' (30 images at 5 places, instances 1 to 30)" in convert.err
    archive.add("SC-N-11", 3)
    archive.add("SC-HF-NI-3", 4)
    done = convert("sunnybrook", archive.root, "--skip", "SC-N-10")
    assert done.code == 0
    assert done.names("labelsTr") == ["SC-HF-I-01_frame05", "SC-HF-NI-03_frame05", "SC-N-11_frame05"]


@pytest.mark.parametrize(("description", "code"), [("tagged", 0), ("SAX repeat", 2)])
def test_a_second_stack_with_the_same_numbers(make, archive, convert, description, code):
    for t in range(FRAMES):
        for z in range(5):
            path = archive.image_folder("SC-N-10") / f"IM-0009-{instance(z, t):04d}.dcm"
            write_dicom(path, pixels_at(make, t, 9)[z], instance(z, t), 9, description, 8 * z)
    assert convert("sunnybrook", archive.root).code == code
    if code == 0:
        np.testing.assert_array_equal(convert.image("SC-N-10_frame05"), pixels_at(make, ED, 2))
    else:
        assert "2 series fit the contours" in convert.err


@pytest.mark.parametrize("first_take", [True, False])
def test_a_slice_that_was_taken_twice(make, archive, convert, first_take):
    """The contours tell which take they were drawn on."""
    for t in range(FRAMES):
        path = archive.image_folder("SC-N-10") / f"IM-0004-{31 + t:04d}.dcm"
        write_dicom(path, pixels_at(make, t, 7)[2], 31 + t, 4, "cine SAX", 16)
    if not first_take:
        for t, kinds in ((ED, "io"), (ES, "i")):
            for kind in kinds:
                path = archive.contour("SC-N-10", 2, t, kind)
                path.rename(path.with_name(path.name.replace(f"{instance(2, t):04d}", f"{31 + t:04d}")))
    done = convert("sunnybrook", archive.root)
    assert done.code == 0
    frame = pixels_at(make, ED, 2)
    if not first_take:
        frame[2] = pixels_at(make, ED, 7)[2]
    np.testing.assert_array_equal(done.image("SC-N-10_frame05"), frame)
    np.testing.assert_array_equal(done.label("SC-N-10_frame05"), expected(make, ED, (1, 2, 3)))


def test_files_that_are_series_of_their_own_go_by_their_names(make, archive, convert):
    """Some anonymisers give every file new identifiers."""
    for t in range(FRAMES):
        for z in range(5):
            path = archive.image_folder("SC-N-10") / f"IM-0004-{instance(z, t):04d}.dcm"
            write_dicom(path, pixels_at(make, t, 2)[z], instance(z, t), f"4.{instance(z, t)}", "", 8 * z)
    for path in archive.image_folder("SC-N-10").glob("IM-0002-*"):
        write_dicom(path, pixels_at(make, 0, 2)[0], int(path.stem[-4:]), f"2.{path.stem[-4:]}", "", 0.0)
    done = convert("sunnybrook", archive.root)
    assert done.code == 0
    np.testing.assert_array_equal(done.image("SC-N-10_frame05"), pixels_at(make, ED, 2))


def test_broken_contours_and_layout(archive, convert):
    archive.contour("SC-N-10", 2, ED).write_text("12 13\n14 fifteen\n")
    assert convert("sunnybrook", archive.root).code == 2
    assert "no list of points" in convert.err
    shutil.rmtree(archive.image_folder("SC-N-10"))
    assert convert("sunnybrook", archive.root).code == 2
    assert "0 DICOM files of this case; expected both" in convert.err
    assert convert("sunnybrook", archive.root / "TrainingDataDICOM").code == 2
    assert "expected SC-HF-I-1/contours-manual/IRCCI-expert" in convert.err
