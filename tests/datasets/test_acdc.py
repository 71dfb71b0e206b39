"""ACDC: phases from Info.cfg, official test set, and what is refused of a damaged or renumbered archive."""

from __future__ import annotations

import gzip
import hashlib
import json
import re

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac import cli
from nnunet_cardiac.checks.dataset import check_raw_dataset

GROUPS = ("NOR", "NOR", "DCM", "DCM")


def patient(make, folder, number, ed=1, es=9, group="NOR", order=None, labelled=True):
    name = f"patient{number:03d}"
    for frame, radius in ((ed, 7.0), (es, 4.0)):
        labels = make.heart(radius=radius) if order is None else make.heart(order, radius)
        make.save(folder / name / f"{name}_frame{frame:02d}.nii.gz", make.scan(labels, 100 * number + frame))
        if labelled:
            make.save(folder / name / f"{name}_frame{frame:02d}_gt.nii.gz", labels)
    series = np.stack([make.scan(make.heart(), 100 * number + t) for t in range(10)])
    make.save(folder / name / f"{name}_4d.nii.gz", series)
    info = f"ED: {ed}\nES: {es}\nGroup: {group}\nHeight: 184.0\nNbFrame: 10\nWeight: 95.0\n"
    (folder / name / "Info.cfg").write_text(info)
    return folder / name


@pytest.fixture
def archive(make, tmp_path):
    root = tmp_path / "ACDC"
    (root / "database").mkdir(parents=True)
    (root / "database" / "MANDATORY_CITATION.md").write_text("cite")
    for number, group in enumerate(GROUPS, start=1):
        # The lower number is not always end-diastole.
        ed, es = (9, 4) if number == 3 else (1, 9)
        patient(make, root / "database" / "training", number, ed, es, group)
    patient(make, root / "database" / "testing", 101, group="RV")
    return root


def test_layout_phases_groups_and_test_set(make, archive, convert):
    done = convert("acdc", archive)
    assert done.code == 0
    assert done.folder.name == "Dataset027_ACDC"
    description = done.json("dataset.json")
    assert description["labels"] == {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
    assert description["numTraining"] == 8
    assert done.names("imagesTr") == [f"{name}_0000" for name in done.names("labelsTr")]
    assert done.names("labelsTs") == ["patient101_frame01", "patient101_frame09"]
    cases = done.rows("cases.csv")
    assert (cases["patient003_frame09"]["phase"], cases["patient003_frame04"]["phase"]) == ("ED", "ES")
    assert cases["patient101_frame01"]["split"] == "test"
    row = done.rows("patients.csv")["patient003"]
    assert (row["group"], row["ed_frame"], row["es_frame"]) == ("DCM", "9", "4")
    assert (row["height_cm"], row["weight_kg"]) == ("184.0", "95.0")
    np.testing.assert_array_equal(done.label("patient001_frame09"), make.heart(radius=4.0))
    np.testing.assert_array_equal(done.image("patient001_frame09"), make.scan(make.heart(radius=4.0), 109))
    # 1.5 x 1.5 x 8 mm voxels
    assert float(cases["patient001_frame01"]["lv_volume_ml"]) == pytest.approx(
        (make.heart() == 3).sum() * 0.018, abs=1e-3
    )


def test_the_result_passes_the_check_of_raw_data_sets(archive, convert):
    report = check_raw_dataset(convert("acdc", archive).folder, ("LV", "MYO", "RV"), progress=False)
    assert len(report.cases) == 8
    assert report.anatomies == {"RV": 1, "MYO": 2, "LV": 3}
    assert report.notes == ()


def test_folds_are_by_patient_and_balanced_by_group(archive, convert):
    done = convert("acdc", archive)
    splits, groups = done.json("splits_final.json"), done.rows("patients.csv")
    assert sorted(name for fold in splits for name in fold["val"]) == done.names("labelsTr")
    for number, fold in enumerate(splits):
        held_out = {name[:10] for name in fold["val"]}
        assert not held_out & {name[:10] for name in fold["train"]}
        assert sorted(groups[name]["group"] for name in held_out) == ["DCM", "NOR"]
        assert {groups[name]["fold"] for name in held_out} == {str(number)}


def test_manifest_has_the_hash_of_every_source_file(archive, convert, monkeypatch):
    monkeypatch.chdir(archive.parent)
    manifest = convert("acdc", archive.name).json("manifest.json")
    files = {path: digest for hashed in manifest["sha256"].values() for path, digest in hashed.items()}
    used = [p for p in archive.rglob("*") if p.is_file() and "4d" not in p.name and "CITATION" not in p.name]
    assert files == {p.relative_to(archive).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in used}
    assert manifest["versions"]["nnunetv2"].startswith("2.8")
    assert manifest["repairs"] == []


def test_cine_writes_every_frame(make, archive, convert):
    done = convert("acdc", archive, "--cine")
    names = done.names("imagesCine")
    assert len(names) == 50
    assert names[0] == "patient001_frame01_0000"
    path = done.folder / "imagesCine" / "patient002_frame04_0000.nii.gz"
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), make.scan(make.heart(), 203))
    assert image.GetSpacing() == pytest.approx((1.5, 1.5, 8.0))


def test_folds_are_ready_where_nnunet_looks(archive, tmp_path, monkeypatch, convert):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
    assert cli.main(["convert", "acdc", str(archive), "-d", "27", "--folds", "2", "--quiet"]) == 0
    written = tmp_path / "preprocessed" / "Dataset027_ACDC" / "splits_final.json"
    assert written.read_text() == (tmp_path / "raw" / "Dataset027_ACDC" / "splits_final.json").read_text()


def test_swapped_label_order_is_caught_and_can_be_named(make, archive, convert):
    """An archive numbered like M&Ms: every mask would carry the wrong name."""
    for number in range(1, 5):
        patient(make, archive / "database" / "training", number, order=make.mnms)
    patient(make, archive / "database" / "testing", 101, order=make.mnms)
    done = convert("acdc", archive)
    assert done.code == 2
    assert "the label values do not mean 0 background, 1 RV, 2 MYO, 3 LV" in done.err
    assert "convert with --labels LV=1 MYO=2 RV=3" in done.err
    assert done.folder is None
    done = convert("acdc", archive, "--labels", "LV=1", "MYO=2", "RV=3")
    assert done.code == 0
    np.testing.assert_array_equal(done.label("patient001_frame01"), make.heart())


def test_one_patient_of_another_convention_is_named(make, archive, convert):
    patient(make, archive / "database" / "training", 2, order=make.mnms)
    done = convert("acdc", archive)
    assert done.code == 2
    assert "1 problem found" in done.err
    assert "patient002_frame01_gt.nii.gz" in done.err


def test_nothing_is_overwritten_and_nothing_half_done_is_left(archive, tmp_path, convert):
    other = tmp_path / "raw" / "Dataset027_Other"
    other.mkdir(parents=True)
    assert convert("acdc", archive).code == 2
    assert "number 27 is taken by Dataset027_Other" in convert.err
    (archive / "database" / "training" / "patient004" / "patient004_frame09_gt.nii.gz").unlink()
    assert convert("acdc", archive, number=28).code == 2
    assert "patient004: " in convert.err
    assert "patient004_frame09_gt.nii.gz: not found; its folder holds Info.cfg, patient004_4d.nii.gz" in convert.err
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["Dataset027_Other"]


def test_skip_leaves_a_patient_out_and_says_so(archive, convert):
    (archive / "database" / "training" / "patient004" / "patient004_frame01.nii.gz").write_bytes(b"no image")
    assert convert("acdc", archive).code == 2
    assert "patient004_frame01.nii.gz: cannot be read as an image (8 bytes;" in convert.err
    done = convert("acdc", archive, "--skip", "patient004")
    assert done.code == 0
    assert done.json("manifest.json")["skipped"] == ["patient004"]
    assert "patient004" not in done.rows("patients.csv")
    assert convert("acdc", archive, "--skip", "patient999", number=28).code == 2
    assert "patient999: no such patient" in convert.err


def test_directions_that_itk_refuses_are_mended_and_reported(make, archive, convert):
    folder = archive / "database" / "training" / "patient001"
    for ending, array in (("", make.scan(make.heart(), 101)), ("_gt", make.heart())):
        path = folder / f"patient001_frame01{ending}.nii.gz"
        path.unlink()
        make.save_sheared(path, array, shear=0.01)
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(path))
    done = convert("acdc", archive)
    assert done.code == 0
    image = sitk.ReadImage(str(done.folder / "imagesTr" / "patient001_frame01_0000.nii.gz"))
    direction = np.reshape(image.GetDirection(), (3, 3))
    np.testing.assert_allclose(direction @ direction.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(direction, np.eye(3), atol=0.006)  # the lean of 0.01 is shared by both axes
    assert image.GetOrigin() == pytest.approx((3.0, -4.0, 5.0), abs=1e-4)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), make.scan(make.heart(), 101))
    repairs = done.json("manifest.json")["repairs"]
    assert repairs[0] == "patient001_frame01.nii.gz: direction made orthonormal, axes turned by up to 0.29 degrees"
    assert "corrected: patient001_frame01.nii.gz" in done.out


def test_a_header_that_is_no_rounding_is_refused(make, archive, convert):
    path = archive / "database" / "training" / "patient001" / "patient001_frame01.nii.gz"
    path.unlink()
    make.save_sheared(path, make.scan(make.heart()), shear=0.5)
    assert convert("acdc", archive).code == 2
    assert "degrees away from right angles" in convert.err


@pytest.mark.parametrize(
    ("origin", "shape", "message"),
    [
        ((3.0, -4.0, 5.4), (4, 40, 44), None),
        ((3.0, -4.0, 25.0), (4, 40, 44), "header differs from the image's"),
        ((3.0, -4.0, 5.0), (5, 40, 44), r"size \(44, 40, 5\), but the image has \(44, 40, 4\)"),
    ],
)
def test_label_on_another_grid(make, archive, convert, origin, shape, message):
    path = archive / "database" / "training" / "patient001" / "patient001_frame01_gt.nii.gz"
    make.save(path, make.heart(shape=shape), origin=origin)
    done = convert("acdc", archive)
    if message is None:
        assert "header of the label set to the image's" in done.json("manifest.json")["repairs"][0]
        label = sitk.ReadImage(str(done.folder / "labelsTr" / "patient001_frame01.nii.gz"))
        assert label.GetOrigin() == pytest.approx((3.0, -4.0, 5.0))
    else:
        assert done.code == 2
        assert re.search(message, done.err)
        assert convert("acdc", archive, "--trust-voxels").code == (2 if "size" in message else 0)


def test_unknown_label_value_is_refused(make, archive, convert):
    path = archive / "database" / "training" / "patient001" / "patient001_frame01_gt.nii.gz"
    labels = make.heart()
    labels[0, 0, 0] = 7
    make.save(path, labels)
    assert convert("acdc", archive).code == 2
    assert "label values 7 found; expected 0 background, 1 RV, 2 MYO, 3 LV" in convert.err


def test_nan_is_refused(make, archive, convert):
    path = archive / "database" / "training" / "patient001" / "patient001_frame01.nii.gz"
    voxels = make.scan(make.heart()).astype(np.float32)
    make.save(path, voxels)
    assert convert("acdc", archive).code == 0
    voxels[0, 0, :3] = np.nan
    nibabel.save(nibabel.Nifti1Image(voxels.T, np.diag([-1.5, -1.5, 8.0, 1.0])), path)
    assert convert("acdc", archive, number=28).code == 2
    assert "patient001_frame01.nii.gz: 3 of 7040 voxels are NaN" in convert.err


def test_the_layout_that_was_found_is_shown(tmp_path, convert):
    (tmp_path / "download" / "images").mkdir(parents=True)
    (tmp_path / "download" / "images" / "a.nii.gz").touch()
    assert convert("acdc", tmp_path / "download").code == 2
    assert "expected training/patientNNN/Info.cfg" in convert.err
    assert "found images/, images/a.nii.gz" in convert.err
    assert convert("acdc", tmp_path / "nowhere").code == 2
    assert "not found; expected the unpacked archive of ACDC" in convert.err


def test_info_without_phase(archive, convert):
    (archive / "database" / "training" / "patient001" / "Info.cfg").write_text("ED: first\nES: 9\n")
    assert convert("acdc", archive).code == 2
    assert "found ED: first, ES: 9; expected a line 'ED: 12'" in convert.err


def test_a_patient_without_info_is_not_left_out_silently(archive, convert):
    (archive / "database" / "training" / "patient002" / "Info.cfg").unlink()
    assert convert("acdc", archive).code == 2
    assert "Info.cfg: not found; its folder holds patient002_4d.nii.gz" in convert.err


def test_too_many_folds_are_refused_before_anything_is_read(archive, convert):
    (archive / "database" / "training" / "patient001" / "patient001_frame01.nii.gz").unlink()
    assert convert("acdc", archive, folds=5).code == 2
    assert "4 training patients and 5 folds" in convert.err


def test_own_folds_are_taken_and_leaky_ones_refused(archive, tmp_path, convert):
    cases = [f"patient{n:03d}_frame{f:02d}" for n in range(1, 5) for f in ((9, 4) if n == 3 else (1, 9))]
    file = tmp_path / "splits.json"
    file.write_text(json.dumps([{"train": cases[:5], "val": cases[5:]}]))
    assert convert("acdc", archive, "--splits", str(file)).code == 2
    assert "1 patients (patient003) are in training and validation" in convert.err
    file.write_text(json.dumps([{"train": cases[:6], "val": cases[6:]}]))
    done = convert("acdc", archive, "--splits", str(file))
    assert done.json("splits_final.json") == [{"train": cases[:6], "val": cases[6:]}]
    assert done.json("manifest.json")["folds"] == "given"


def test_a_patient_in_training_and_test_is_refused(make, archive, convert):
    patient(make, archive / "database" / "testing", 1)
    assert convert("acdc", archive).code == 2
    assert "patient patient001 is in train and in test" in convert.err


def test_patients_of_one_image_come_into_one_fold(archive, convert):
    training = archive / "database" / "training"
    image = training / "patient001" / "patient001_frame01.nii.gz"
    for other in (2, 3, 4):  # whichever the draw without it would put on the other side
        folder = training / f"patient{other:03d}"
        path = next(iter(sorted(folder.glob("*_frame??.nii.gz"))))
        before = path.read_bytes()
        path.write_bytes(image.read_bytes())
        done = convert("acdc", archive, number=30 + other)
        path.write_bytes(before)
        pair = {"patient001", folder.name}
        assert f"patient001 and {folder.name} show the same images (first patient001_frame01 and " in done.out
        assert "; the folds keep them together" in done.out
        assert any(pair <= {case[:10] for case in fold["val"]} for fold in done.json("splits_final.json"))
        assert done.json("manifest.json")["image_groups"] == [sorted(pair)]
        rows = done.rows("patients.csv")
        assert {name for name, row in rows.items() if row["image_group"] == "patient001"} == pair


def test_an_image_stored_in_another_way_is_the_same(make, archive, convert):
    training = archive / "database" / "training"
    image = make.read(training / "patient001" / "patient001_frame01.nii.gz")
    part = np.rint(3.0 * image[3:0:-1, 2:38, 2:42].astype(float) + 7)
    folder = training / "patient002"
    make.save(folder / "patient002_frame01.nii.gz", part.astype(np.float32))
    make.save(folder / "patient002_frame01_gt.nii.gz", make.heart()[3:0:-1, 2:38, 2:42])
    done = convert("acdc", archive)
    assert "patient001 and patient002 show the same images" in done.out
    assert done.json("manifest.json")["image_groups"] == [["patient001", "patient002"]]


def test_without_repeated_images_nothing_is_added(archive, convert):
    done = convert("acdc", archive)
    assert "show the same images" not in done.out
    assert "image_group" not in done.rows("patients.csv")["patient001"]
    assert done.json("manifest.json")["image_groups"] == []


def test_one_image_in_training_and_test_is_refused(archive, convert):
    database = archive / "database"
    image = database / "training" / "patient002" / "patient002_frame09.nii.gz"
    (database / "testing" / "patient101" / "patient101_frame01.nii.gz").write_bytes(image.read_bytes())
    assert convert("acdc", archive).code == 2
    assert "patient002 (train) and patient101 (test); expected every heart in one part" in convert.err
    assert "--skip" in convert.err
    assert convert.folder is None
    assert convert("acdc", archive, "--skip", "patient002").code == 0


def test_own_folds_with_one_image_on_both_sides_are_refused(archive, tmp_path, convert):
    training = archive / "database" / "training"
    image = training / "patient001" / "patient001_frame01.nii.gz"
    (training / "patient004" / "patient004_frame01.nii.gz").write_bytes(image.read_bytes())
    cases = [f"patient{n:03d}_frame{f:02d}" for n in range(1, 5) for f in ((9, 4) if n == 3 else (1, 9))]
    file = tmp_path / "splits.json"
    file.write_text(json.dumps([{"train": cases[:6], "val": cases[6:]}]))
    assert convert("acdc", archive, "--splits", str(file)).code == 2
    assert "Fold 0: patient001 and patient004 show the same images, but some of them are in training" in convert.err
    file.write_text(json.dumps([{"train": cases[2:6], "val": cases[:2] + cases[6:]}]))
    done = convert("acdc", archive, "--splits", str(file))
    assert "the given folds have them on one side" in done.out


def forget_matrix(path):
    """Put diag(-1, -1, 1) into the sform and leave the true sizes in pixdim, as in the archive."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[252:256] = np.array([0, 2], "<i2").tobytes()
    content[280:328] = np.hstack([np.diag([-1, -1, 1]), np.zeros((3, 1))]).astype("<f4").tobytes()
    path.write_bytes(gzip.compress(content))


def test_pixdim_counts_beside_the_unit_matrix_of_the_archive(archive, convert):
    """The archive's files have the matrix diag(-1, -1, 1), whatever their voxel size."""
    for path in archive.rglob("*.nii.gz"):
        forget_matrix(path)
    done = convert("acdc", archive)
    assert done.code == 0
    assert done.json("manifest.json")["repairs"] == []
    image = sitk.ReadImage(str(done.folder / "imagesTr" / "patient001_frame01_0000.nii.gz"))
    assert image.GetSpacing() == pytest.approx((1.5, 1.5, 8))
    # nnU-Net's own converter copies such files; nnU-Net reads pixdim, so the check lets them pass.
    for path in done.folder.rglob("patient001_frame01*.nii.gz"):
        forget_matrix(path)
    report = check_raw_dataset(done.folder, ("LV", "MYO", "RV"), progress=False)
    assert report.cases[0].spacing == pytest.approx((8, 1.5, 1.5))


@pytest.mark.parametrize("inner", ["patient001_frame01.nii", "patient001_frame01_0000.nii"])
def test_archive_in_which_files_are_folders_of_their_name(archive, convert, inner):
    """Some programs unpack `x.nii.gz` as `x.nii/x.nii`."""
    folder = archive / "database" / "training" / "patient001"
    for path in list(folder.glob("*.nii.gz")):
        place = path.with_suffix("")
        place.mkdir()
        name = inner if path.name == "patient001_frame01.nii.gz" else place.name
        (place / name).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    done = convert("acdc", archive)
    assert done.code == 0
    assert "patient001_frame01" in done.names("labelsTr")


def test_images_and_labels_stored_otherwise(archive, convert):
    """Axes exchanged and turned round, in labels otherwise than in their images."""
    second = convert.stored_otherwise("acdc", archive, "--cine")
    assert "stored otherwise (first patient001_frame01" in second.out
    changed = second.json("manifest.json")["orientation"]["changed"]
    assert set(changed.values()) <= {"-x +y +z", "+z +x -y", "-y -x -z", "+x +z +y", "+y -z +x", "-z -y -x"}
    assert second.json("manifest.json")["orientation"]["written"] == "canonical"
