"""Patients kept apart, folds, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.benchmark.accuracy.data import disease_groups, keep_apart, prepare_data
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.patients.cohort import patient_of

#: The 80 patients of ACDC that projects usually train with, two frames each.
ACDC = [f"patient{n:03d}_frame{f}" for g in range(5) for n in range(20 * g + 1, 20 * g + 17) for f in ("01", "12")]


def raw(folder: Path, cases: list[str], test: list[str] = ()) -> Path:
    for part, names in (("Tr", cases), ("Ts", test)):
        for kind, ending in (("images", "_0000.nii.gz"), ("labels", ".nii.gz")):
            (folder / f"{kind}{part}").mkdir(parents=True, exist_ok=True)
            for name in names:
                (folder / f"{kind}{part}" / f"{name}{ending}").write_bytes(name.encode())
    write_json(folder / "dataset.json", {"file_ending": ".nii.gz", "labels": {"background": 0}})
    return folder


def test_every_fifth_patient_is_kept_apart() -> None:
    training, test = keep_apart(ACDC)
    assert (len(training), len(test)) == (128, 32)
    patients = sorted({patient_of(case) for case in test})
    assert patients[:4] == ["patient005", "patient010", "patient015", "patient024"]
    assert not {patient_of(case) for case in training} & set(patients)


def test_groups_by_number_or_table(tmp_path: Path) -> None:
    names = ["patient001", "patient020", "patient021", "patient100", "patient101", "other"]
    assert disease_groups(names, None) == {
        "patient001": "DCM",
        "patient020": "DCM",
        "patient021": "HCM",
        "patient100": "RV",
    }
    table = tmp_path / "patients.csv"
    table.write_text("patient,group\npatient001,NOR\n")
    assert disease_groups(names, table) == {"patient001": "NOR"}


def test_folds_hold_every_disease_evenly_and_no_patient_twice(tmp_path: Path) -> None:
    data = prepare_data(raw(tmp_path / "acdc", ACDC), tmp_path / "raw", progress=False)
    splits = read_json(data.raw / "splits_final.json")
    assert sorted(case for split in splits for case in split["val"]) == sorted(data.training)
    for split in splits:
        assert not {patient_of(c) for c in split["train"]} & {patient_of(c) for c in split["val"]}
        counts = Counter(data.groups[patient_of(case)] for case in split["val"])
        assert len(counts) == 5
        assert max(counts.values()) - min(counts.values()) <= 2  # one patient, two frames
    assert data.test_patients[0] == "patient005"
    assert read_json(data.raw / "dataset.json")["numTraining"] == 128
    for kind in ("images", "labels"):
        assert len(list((data.raw / f"{kind}Ts").iterdir())) == 32
    assert prepare_data(None, tmp_path / "raw") == data  # used again
    assert prepare_data(tmp_path / "acdc", tmp_path / "raw") == data


def test_a_data_set_with_a_test_set_keeps_it(tmp_path: Path) -> None:
    test = ["patient017_frame01", "patient017_frame12"]
    data = prepare_data(raw(tmp_path / "all", ACDC, test), tmp_path / "raw", progress=False)
    assert data.test == tuple(test)
    assert len(data.training) == 160
    assert data.raw.name == "Dataset901_all"


def test_the_fingerprint_follows_labels_and_folds(tmp_path: Path) -> None:
    source = raw(tmp_path / "acdc", ACDC)
    first = prepare_data(source, tmp_path / "one", progress=False).fingerprint
    assert prepare_data(source, tmp_path / "two", progress=False).fingerprint == first
    (source / "labelsTr" / "patient001_frame01.nii.gz").write_bytes(b"corrected")
    assert prepare_data(source, tmp_path / "three", progress=False).fingerprint != first


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no prepared data sets. Name the one to copy with --data"):
        prepare_data(None, tmp_path / "raw")
    with pytest.raises(UserError, match=r"no dataset.json; expected a data set in nnU-Net's raw format"):
        prepare_data(tmp_path, tmp_path / "raw")
    shared = raw(tmp_path / "shared", ACDC, ["patient001_frame05"])
    with pytest.raises(UserError, match="patient001 are in labelsTr and labelsTs; keep patients apart"):
        prepare_data(shared, tmp_path / "raw")
    source = raw(tmp_path / "acdc", ACDC)
    prepare_data(source, tmp_path / "raw", progress=False)
    smaller = raw(tmp_path / "smaller", ACDC[:60])
    with pytest.raises(UserError, match=r"holds 128 training cases and 32 kept apart, but --data .* has 48 and 12"):
        prepare_data(smaller, tmp_path / "raw")
    (smaller / "imagesTr" / "patient001_frame01_0000.nii.gz").unlink()
    with pytest.raises(UserError, match=r"no image patient001_frame01_0000.nii.gz for its label map"):
        prepare_data(smaller, tmp_path / "other", progress=False)
    assert not list((tmp_path / "other").glob("Dataset*"))


def test_patients_of_one_image_are_kept_on_one_side(tmp_path: Path) -> None:
    cases = [f"patient{n:03d}" for n in range(1, 16)]
    source = raw(tmp_path / "heart", cases)
    copies = {"patient006": "patient005", "patient012": "patient011"}  # the fifth is kept apart
    for number, case in enumerate(cases):
        seed = cases.index(copies.get(case, case))
        voxels = np.random.default_rng(seed).normal(size=(3, 48, 52)).astype(np.float32)
        image = sitk.GetImageFromArray(voxels[:, ::-1] if number % 2 else voxels)
        sitk.WriteImage(image, str(source / "imagesTr" / f"{case}_0000.nii.gz"))
    data = prepare_data(source, tmp_path / "raw", progress=False)
    assert data.test == ("patient005", "patient006", "patient010", "patient015")
    splits = read_json(data.raw / "splits_final.json")
    assert [{"patient011", "patient012"} <= set(split["val"]) for split in splits].count(True) == 1
    for part in ("images", "labels"):
        (source / f"{part}Ts").mkdir(exist_ok=True)
        for file in (source / f"{part}Tr").glob("patient006*"):
            file.rename(source / f"{part}Ts" / file.name)
    with pytest.raises(UserError, match="patient005 and patient006 show the same images, some in labelsTr and some in"):
        prepare_data(source, tmp_path / "other", progress=False)
