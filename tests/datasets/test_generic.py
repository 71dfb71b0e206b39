"""One's own data: a table of image, label, patient and phase."""

from __future__ import annotations

import gzip
import json

import numpy as np
import openpyxl
import pytest

from nnunet_cardiac.datasets.naming import patient_name
from nnunet_cardiac.patients.cohort import patient_of

LABELS = ("--labels", "LV=1", "MYO=2", "RV=3")


@pytest.fixture
def table(make, tmp_path):
    """Four patients: two 3D files each, one of them a frame of a 4D file, and one without a label for the test set."""
    folder = tmp_path / "my data"
    rows = ["Image;label;patient;phase;frame;split;group;height_cm"]
    for i, name in enumerate(("Smith", "p 02", "site1_03"), start=1):
        for phase, radius in (("ED", 7.0), ("ES", 4.0)):
            make.save(folder / f"{name} {phase}.nii.gz", make.scan(make.heart(radius=radius), i))
            make.save(folder / f"{name} {phase} seg.nii.gz", make.heart(make.mnms, radius))
            rows.append(f"{name} {phase}.nii.gz;{name} {phase} seg.nii.gz;{name};{phase};;train;HCM;17{i}")
    series = np.stack([make.scan(make.heart(), 40 + t) for t in range(5)])
    make.save(folder / "cine.nii.gz", series)
    make.save(folder / "cine seg.nii.gz", make.heart(make.mnms))
    rows.append("cine.nii.gz;cine seg.nii.gz;p4;ed;3;train;NOR;160")
    make.save(folder / "new.nrrd", make.scan(make.heart(), 50))
    rows.append("new.nrrd;;p5;;;test;;")
    path = folder / "cases.csv"
    path.write_text("\ufeff" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_everything_in_the_table_arrives(make, table, convert):
    done = convert("generic", table, *LABELS, "--name", "Mine")
    assert done.code == 0
    assert done.folder.name == "Dataset027_Mine"
    assert done.names("labelsTr") == [
        "Smith_ED", "Smith_ES", "p-02_ED", "p-02_ES", "p4_frame03", "site1p03_ED", "site1p03_ES",
    ]  # fmt: skip
    assert done.names("imagesTs") == ["p5_0000"]
    assert not (done.folder / "labelsTs").exists()
    np.testing.assert_array_equal(done.label("Smith_ES"), make.heart(radius=4.0))
    np.testing.assert_array_equal(done.image("p4_frame03"), make.scan(make.heart(), 42))
    assert done.rows("cases.csv")["p4_frame03"]["phase"] == "ED"
    assert done.rows("patients.csv")["Smith"]["height_cm"] == "171.0"
    assert done.rows("patients.csv")["p5"]["split"] == "test"


def test_labels_from_json_merge_values(make, table, convert, tmp_path):
    file = tmp_path / "labels.json"
    file.write_text(json.dumps({"labels": {"left ventricle": 1, "myocardium": [2], "background": [0, 3]}}))
    done = convert("generic", table, "--labels", str(file))
    assert done.json("dataset.json")["labels"] == {"background": 0, "MYO": 1, "LV": 2}
    expected = np.select([make.heart() == 2, make.heart() == 3], [1, 2])
    np.testing.assert_array_equal(done.label("Smith_ED"), expected)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Smith;ES;;train", "Smith;ES;;test", "Smith has the split 'test' and 'train'"),
        ("p 02 ES.nii.gz;", "p 02 ED.nii.gz;", "image p 02 ED.nii.gz is in two rows, for p 02 and p 02"),
        ("Smith;ES", "Smith;", "Smith has several rows"),
        ("Smith;ES", "Smith;MID", "phase 'MID'; expected ED or ES"),
        ("p4;ed;3", "p4;ed;", "4D, size 44 x 40 x 4 x 5; expected one volume"),
        ("p4;ed;3", "p4;ed;9", "5 frames, so 0 to 4; frame 8"),
        ("p4;ed;3", "p4;ed;x", "column frame holds 'x'"),
        ("new.nrrd;;p5;;;test", "new.nrrd;;p5;;;train", "new.nrrd has no label"),
        ("new.nrrd;;p5;;;test", "new.nrrd;;p5;;;other", "split 'other'; expected train, val or test"),
        ("patient;phase", "person;phase", "expected patient too"),
        ("Smith ED.nii.gz;", "Smyth ED.nii.gz;", "Smyth ED.nii.gz: not found; its folder holds"),
        ("new.nrrd;;p5", "new.nrrd;;site1-03", "would both be called site1p03"),
    ],
)
def test_what_is_wrong_in_the_table_is_named(table, convert, old, new, message):
    text = table.read_text(encoding="utf-8-sig")
    assert old in text
    table.write_text(text.replace(old, new))
    assert convert("generic", table, *LABELS).code == 2
    assert message in convert.err
    assert convert.folder is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((), "convert generic needs --labels"),
        (("LV=x",), "expected NAME=VALUE"),
        (("LV=1", "MYO=1"), "value 1 means LV and MYO"),
        (("LV=0", "MYO=2"), "value 0 means background and LV"),
        (("nowhere.json",), "no JSON file and no NAME=VALUE"),
        (("LV=1", "MYO=2"), "label values 3 found; expected 0 background, 1 LV, 2 MYO"),
        (("RV=1", "MYO=2", "LV=3"), "convert with --labels LV=1 MYO=2 RV=3"),
    ],
)
def test_wrong_labels(table, convert, labels, message):
    assert convert("generic", table, *(("--labels", *labels) if labels else ())).code == 2
    assert message in convert.err


@pytest.mark.parametrize(
    "text",
    [
        "Smith",
        "p 02",
        "site1_03",
        "a-1-2",
        "SC-HF-I-01",
        "Case_N006",
        "la_003",
        "Ünal/7",
        "x1frame05",
        "ED 5",
        "Smith1 rest",
        "sub-01 ses-2",
    ],
)
def test_no_name_is_cut_short(text):
    name = patient_name(text)
    assert name.isascii()
    for case in (name, f"{name}_frame12", f"{name}_ED"):
        assert patient_of(case) == name


def test_structures_that_are_not_wanted_become_background(make, table, convert):
    done = convert("generic", table, *LABELS, "--structures", "left ventricle", "myo")
    assert done.json("dataset.json")["labels"] == {"background": 0, "MYO": 1, "LV": 2}
    given = make.heart(make.mnms)
    np.testing.assert_array_equal(done.label("Smith_ED"), np.select([given == 2, given == 1], [1, 2]))
    assert (given == 3).any()  # there was a right ventricle to leave out
    assert done.json("manifest.json")["values_made_background"] == [3]


def test_structures_that_the_source_does_not_have_are_refused(table, convert):
    done = convert("generic", table, *LABELS, "--structures", "LV", "LA")
    assert done.code == 2
    assert "--structures LA LV: expected some of LV, MYO, RV" in done.err


def test_ignore_label_gets_the_highest_value(make, table, convert):
    """Contours of the right ventricle that nobody trusts: no reference, whatever their number in the source."""
    done = convert("generic", table, "--labels", "Ignore=3", "LV=1", "MYO=2")
    assert done.json("dataset.json")["labels"] == {"background": 0, "MYO": 1, "LV": 2, "ignore": 3}
    source = make.heart(make.mnms, 4.0)
    np.testing.assert_array_equal(done.label("Smith_ES"), np.array([0, 2, 1, 3], np.uint8)[source])


@pytest.fixture
def contradicting(make, table):
    """The table, with pixdim of 1 mm in all NIfTI files beside matrices of 1.5 x 1.5 x 8 mm."""
    for path in table.parent.glob("*.nii.gz"):
        content = bytearray(gzip.decompress(path.read_bytes()))
        content[80:92] = np.ones(3, "<f4").tobytes()
        path.write_bytes(gzip.compress(content))
    return table


def test_files_with_two_voxel_sizes_are_refused_with_both(contradicting, convert):
    assert convert("generic", contradicting, *LABELS).code == 2
    assert "pixdim 1 x 1 x 1 mm and sform 1.5 x 1.5 x 8 mm" in convert.err
    assert "--spacing 1.5 1.5 8 if sform is right" in convert.err
    assert convert.folder is None


def test_a_matrix_of_1_mm_is_a_contradiction_too(make, table, convert):
    """The archive of ACDC has it, and its converter takes pixdim; of other files nobody knows."""
    path = table.parent / "Smith ED.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[252:256] = np.array([0, 2], "<i2").tobytes()
    content[280:328] = np.hstack([np.diag([-1, -1, 1]), [[-3], [4], [5]]]).astype("<f4").tobytes()
    path.write_bytes(gzip.compress(content))
    assert convert("generic", table, *LABELS).code == 2
    assert (
        "Smith ED.nii.gz: the header gives two voxel sizes, pixdim 1.5 x 1.5 x 8 mm and sform 1 x 1 x 1 mm"
        in convert.err
    )


def test_a_given_voxel_size_is_that_of_all_files(contradicting, convert):
    done = convert("generic", contradicting, *LABELS, "--spacing", "1.25", "1.5", "9")
    assert done.code == 0
    row = done.rows("cases.csv")["Smith_ES"]
    assert [float(row[f"spacing_{axis}_mm"]) for axis in "xyz"] == [1.25, 1.5, 9]
    assert done.rows("cases.csv")["p4_frame03"]["spacing_z_mm"] == row["spacing_z_mm"]
    assert (
        "Smith ED.nii.gz: voxel size 1.25 x 1.5 x 9 mm as given, not from the header"
        in done.json("manifest.json")["repairs"]
    )
    assert convert("generic", contradicting, *LABELS, "--spacing", "1.25", "1.5", "0", number=28).code == 2
    assert "--spacing is 1.25 1.5 0; expected three sizes above 0" in convert.err
    assert convert("acdc", contradicting.parent, "--spacing", "1.25", "1.5", "9", number=28).code == 2
    assert "--spacing is for convert generic" in convert.err


def test_a_file_in_a_folder_of_its_name(table, convert):
    for name in ("Smith ED.nii.gz", "Smith ED seg.nii.gz"):
        path = table.parent / name
        content = path.read_bytes()
        path.unlink()
        path.mkdir()
        (path / name).write_bytes(content)
    assert convert("generic", table, *LABELS).code == 0


@pytest.mark.parametrize("name", ["p02.nii", "P02.NII", "p02.nii.gz"])
def test_a_file_without_its_last_bytes_is_refused(table, convert, name):
    source = table.parent / "Smith ES seg.nii.gz"
    content = gzip.decompress(source.read_bytes())[:-300]
    (table.parent / name).write_bytes(content)
    table.write_text(table.read_text(encoding="utf-8-sig").replace("Smith ES seg.nii.gz", name))
    assert convert("generic", table, *LABELS).code == 2
    assert f"{name}: truncated, {len(content)} bytes; expected {len(content) + 300}" in convert.err


def test_a_workbook_is_a_table(make, table, convert):
    """The sheet with the columns is the second one; a height has a decimal comma, a patient a leading zero."""
    rows = [row.split(";") for row in table.read_text(encoding="utf-8-sig").splitlines()]
    book = openpyxl.Workbook()
    book.active.append(["These are the images of our study"])
    sheet = book.create_sheet("images")
    for row in rows:
        sheet.append(["004" if cell == "p4" else "160,5" if cell == "160" else cell or None for cell in row])
    path = table.with_suffix(".xlsx")
    book.save(path)
    done = convert("generic", path, *LABELS)
    assert done.code == 0
    assert "004_frame03" in done.names("labelsTr")
    assert done.rows("patients.csv")["004"]["height_cm"] == "160.5"


def test_a_copied_label_map_is_worth_a_note(make, table, convert):
    rows = table.read_text(encoding="utf-8-sig").splitlines()
    heart, other = (make.heart(make.mnms, radius) for radius in (7.0, 6.0))
    make.save(table.parent / "p 02 ED seg.nii.gz", other)
    make.save(table.parent / "site1_03 ED seg.nii.gz", heart)
    table.write_text("\n".join(row for row in rows if " ES " not in row and "cine" not in row))
    done = convert("generic", table, *LABELS, "--trust-voxels")
    assert done.code == 0
    note = (
        "1 label map with the voxels of another patient's (first Smith_ED and site1p03_ED); copied under a wrong name?"
    )
    assert note in done.json("manifest.json")["notes"]


def test_a_table_of_images_to_predict(make, tmp_path, convert):
    """No training case, no folds: nnU-Net's own predict takes the folder imagesTs."""
    make.save(tmp_path / "new.nii.gz", make.scan(make.heart()))
    (tmp_path / "cases.csv").write_text("image,label,patient,split\nnew.nii.gz,,p1,test\n")
    done = convert("generic", tmp_path / "cases.csv", *LABELS, folds=5)
    assert done.code == 0
    assert done.names("imagesTs") == ["p1_0000"]
    assert "no folds by patient" in done.out
    assert not (done.folder / "splits_final.json").exists()
