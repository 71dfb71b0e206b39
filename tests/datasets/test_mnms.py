"""M&Ms: 4D label files, frames from 0 in the table, parts of the challenge, headers that ITK refuses."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from nnunet_cardiac.datasets import mnms
from nnunet_cardiac.datasets.subject import ConvertOptions

HEADER = ",External code,Vendor,VendorName,Centre,ED,ES,Age,Pathology,Sex,Height,Weight"
TABLE = "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv"
#: Part, code, vendor, ED, ES (from 0), pathology.
PATIENTS = (
    ("Training/Labeled", "A0S9V9", "A", 0, 4, "HCM"),
    ("Training/Labeled", "A1D0Q7", "A", 5, 2, "HCM"),
    ("Training/Labeled", "B1G9J3", "B", 0, 3, "NOR"),
    ("Training/Labeled", "B2F4K5", "B", 0, 3, "NOR"),
    ("Validation", "C1K8P5", "C", 0, 4, "DCM"),
    ("Testing", "D3H6Q2", "D", 1, 5, "NOR"),
)


def frames(make, ed, es, order=None):
    """Label maps (t, z, y, x) of 6 frames, empty but for two."""
    labels = np.zeros((6, *make.heart().shape), np.uint8)
    labels[ed], labels[es] = make.heart(order or make.mnms, 7.0), make.heart(order or make.mnms, 4.0)
    return labels


def images(make, seed):
    return np.stack([make.scan(make.heart(), 10 * seed + t) for t in range(6)])


@pytest.fixture
def archive(make, tmp_path):
    root = tmp_path / "OpenDataset"
    lines = [HEADER]
    for i, (part, code, vendor, ed, es, pathology) in enumerate(PATIENTS):
        make.save(root / part / code / f"{code}_sa.nii.gz", images(make, i))
        make.save(root / part / code / f"{code}_sa_gt.nii.gz", frames(make, ed, es))
        lines.append(f"{i},{code},{vendor},Name,{i},{ed},{es},50,{pathology},F,{'1.7' if i == 3 else '170.0'},")
    # The unlabelled part has label files as well, without any label.
    make.save(root / "Training" / "Unlabeled" / "C0A1B2" / "C0A1B2_sa.nii.gz", images(make, 9))
    make.save(root / "Training" / "Unlabeled" / "C0A1B2" / "C0A1B2_sa_gt.nii.gz", frames(make, 0, 1) * 0)
    lines.append("9,C0A1B2,C,Name,4,0,4,50,NOR,M,,")
    (root / TABLE).write_text("\n".join(lines) + "\n")
    return root


def test_frames_from_0_become_frames_from_1(make, archive, convert):
    done = convert("mnms", archive)
    assert done.code == 0
    assert done.json("dataset.json")["labels"] == {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
    assert done.names("labelsTr")[:4] == ["A0S9V9_frame01", "A0S9V9_frame05", "A1D0Q7_frame03", "A1D0Q7_frame06"]
    np.testing.assert_array_equal(done.label("A1D0Q7_frame06"), make.heart(radius=7.0))  # ED: the higher number
    np.testing.assert_array_equal(done.label("A1D0Q7_frame03"), make.heart(radius=4.0))
    np.testing.assert_array_equal(done.image("A1D0Q7_frame03"), images(make, 1)[2])
    row = done.rows("patients.csv")["A1D0Q7"]
    assert (row["ed_frame"], row["es_frame"], row["vendor"], row["group"]) == ("6", "3", "A", "HCM")


def test_body_size_is_a_number_or_empty(archive, convert):
    done = convert("mnms", archive)
    rows = done.rows("patients.csv")
    assert (rows["A0S9V9"]["height_cm"], rows["A0S9V9"]["weight_kg"]) == ("170.0", "")
    assert rows["B2F4K5"]["height_cm"] == ""
    assert "height_cm of 1 patients left empty (B2F4K5: '1.7'); expected a number from 30 to 250" in done.out
    assert "weight_kg" not in done.out


def test_parts_of_the_challenge_stay_apart(archive, convert):
    done = convert("mnms", archive)
    assert done.names("labelsVal") == ["C1K8P5_frame01", "C1K8P5_frame05"]
    assert done.names("labelsTs") == ["D3H6Q2_frame02", "D3H6Q2_frame06"]
    for fold in done.json("splits_final.json"):
        assert sorted(name[0] for name in fold["val"]) == ["A", "A", "B", "B"]
        assert not {name[:6] for name in fold["train"]} & {name[:6] for name in fold["val"]}
    assert "1 patients without labels left out" in done.out


def test_folds_are_balanced_by_vendor_and_disease(archive):
    (collection,) = mnms.read(archive, ConvertOptions())
    assert [subject.stratum for subject in collection.subjects[:3]] == ["A HCM", "A HCM", "B NOR"]


def test_cine_of_everyone(make, archive, convert):
    done = convert("mnms", archive, "--cine")
    assert len(done.names("imagesCine")) == 7 * 6
    assert done.rows("patients.csv")["C0A1B2"]["split"] == "unlabelled"
    cases = [row for row in done.rows("cases.csv").values() if row["folder"] == "imagesCine"]
    assert {row["case"]: row["phase"] for row in cases}["A1D0Q7_frame06"] == "ED"


def test_a_table_that_counts_from_1_is_caught(archive, convert):
    table = archive / TABLE
    table.write_text(table.read_text().replace("A0S9V9,A,Name,0,0,4,", "A0S9V9,A,Name,0,1,5,"))
    assert convert("mnms", archive).code == 2
    assert "A0S9V9_sa_gt.nii.gz: frame 1 (from 0) has no label" in convert.err
    assert "frames [0, 4] are labelled" in convert.err


def test_validation_headers_are_mended_in_4d(make, archive, convert):
    """The directions of some validation patients are not orthonormal; stock converters leave these patients out."""
    affine = np.diag([-1.5, -1.5, 8.0, 1.0])
    affine[0, 1] = 0.003
    for ending, array in (("", images(make, 4)), ("_gt", frames(make, 0, 4))):
        path = archive / "Validation" / "C1K8P5" / f"C1K8P5_sa{ending}.nii.gz"
        file = nibabel.Nifti1Image(array.T, affine)
        file.set_qform(None, 0)
        nibabel.save(file, path)
    done = convert("mnms", archive)
    assert done.code == 0
    assert len(done.json("manifest.json")["repairs"]) == 2
    np.testing.assert_array_equal(done.image("C1K8P5_frame05", "Val"), images(make, 4)[4])
    np.testing.assert_array_equal(done.label("C1K8P5_frame05", "Val"), make.heart(radius=4.0))


def test_acdc_order_among_mnms_is_caught(make, archive, convert):
    make.save(archive / "Testing" / "D3H6Q2" / "D3H6Q2_sa_gt.nii.gz", frames(make, 1, 5, make.project))
    assert convert("mnms", archive).code == 2
    assert "1 problem found" in convert.err
    assert "D3H6Q2_sa_gt.nii.gz: the label values do not mean 0 background, 1 LV, 2 MYO, 3 RV" in convert.err


def test_folder_without_row_and_table_without_column(make, archive, convert):
    table = archive / TABLE
    text = table.read_text()
    table.write_text(text.replace("D3H6Q2", "D3H6Q3"))
    assert convert("mnms", archive).code == 2
    assert "no row for D3H6Q2 (1 in all)" in convert.err
    table.write_text(text.replace("Centre", "Hospital"))
    assert convert("mnms", archive).code == 2
    assert "expected Centre too" in convert.err
    table.unlink()
    assert convert("mnms", archive).code == 2
    assert "expected a table *information*.csv" in convert.err


def test_table_of_october_2020_without_facts_about_patients(archive, convert):
    """External code, VendorName, Vendor, Centre, ED, ES: no more columns, and the code comes first."""
    lines = (archive / TABLE).read_text().splitlines()[1:]
    (archive / TABLE).unlink()
    head = "External code,VendorName,Vendor,Centre,ED,ES"
    rows = [",".join(row[i] for i in (1, 3, 2, 4, 5, 6)) for row in (line.split(",") for line in lines)]
    path = archive / "201014_M&Ms_Dataset_Information_-_opendataset.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    done = convert("mnms", archive)
    assert done.code == 0
    assert done.names("labelsTr")[:2] == ["A0S9V9_frame01", "A0S9V9_frame05"]
    row = done.rows("patients.csv")["A1D0Q7"]
    assert (row["ed_frame"], row["es_frame"], row["vendor"], row["centre"]) == ("6", "3", "A", "1")
    assert row["group"] == ""
    assert "height_cm" not in row
    assert f"{path.name} has no column Pathology: folds are balanced by vendor alone" in done.out
    (collection,) = mnms.read(archive, ConvertOptions())
    assert [subject.stratum for subject in collection.subjects[:3]] == ["A", "A", "B"]


def test_images_and_labels_stored_otherwise(archive, convert):
    """Axes exchanged and turned round, in labels otherwise than in their images."""
    convert.stored_otherwise("mnms", archive, "--cine")
