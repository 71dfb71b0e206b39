import argparse
import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.commands import phantom as command
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.phantom.nifti import write_study
from nnunet_cardiac.phantom.raw_dataset import write_nnunet_dataset
from nnunet_cardiac.phantom.short_axis import make_study

SIZE = {"matrix": (48, 52), "progress": False}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("raw")
    return write_nnunet_dataset(root, 7, "Toy", patients=5, test_patients=1, seed=3, **SIZE)


def test_study_survives_its_files(tmp_path) -> None:
    study = make_study(5, "NOR", frames=3, matrix=(48, 52), spacing=(9.0, 3.5), slices=7)
    files = write_study(study, tmp_path / "new")
    assert [file.name for file in files][:2] == ["phantom000005_frame01.nii.gz", "phantom000005_frame01_gt.nii.gz"]
    image, series = sitk.ReadImage(str(files[2])), sitk.ReadImage(str(files[4]))
    np.testing.assert_allclose(sitk.GetArrayFromImage(image), study.phase(study.es_frame)[0], atol=0.5)
    assert image.GetSpacing() == pytest.approx(study.geometry.spacing_mm[::-1], rel=1e-5)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), study.geometry.direction, atol=1e-5)
    np.testing.assert_allclose(image.GetOrigin(), study.geometry.origin_mm, atol=1e-3)
    assert np.linalg.det(study.geometry.direction) == pytest.approx(1.0)
    assert np.abs(study.geometry.direction).max() < 0.99  # oblique
    assert sitk.GetArrayFromImage(series).shape == study.images.shape
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(files[5]))), study.labels)
    assert not list((tmp_path / "new").glob(".partial*"))


def test_layout_and_names(dataset) -> None:
    assert dataset.name == "Dataset007_Toy"
    description = json.loads((dataset / "dataset.json").read_text())
    assert description["numTraining"] == 10
    assert description["labels"] == {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
    names = sorted(file.name.removesuffix(".nii.gz") for file in (dataset / "labelsTr").iterdir())
    assert len(names) == 10
    assert names[0] == "patient001_frame01"
    images = sorted(file.name for file in (dataset / "imagesTr").iterdir())
    assert images == [f"{name}_0000.nii.gz" for name in names]
    assert {file.name[:10] for file in (dataset / "imagesTs").iterdir()} == {"patient006"}
    assert not [file for file in dataset.parent.iterdir() if file != dataset]


def test_folds_keep_patients_together_and_cover_everyone(dataset) -> None:
    splits = json.loads((dataset / "splits_final.json").read_text())
    held_out = [name for fold in splits for name in fold["val"]]
    assert len(splits) == 5
    assert sorted(held_out) == sorted(file.name.removesuffix(".nii.gz") for file in (dataset / "labelsTr").iterdir())
    for fold in splits:
        assert not {name[:10] for name in fold["train"]} & {name[:10] for name in fold["val"]}
        assert len(fold["train"]) + len(fold["val"]) == 10


def test_table_holds_the_exact_indices(dataset) -> None:
    with (dataset / "patients.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == ["train"] * 5 + ["test"]
    assert len({row["group"] for row in rows}) == 5
    row = rows[1]
    study = make_study(int(row["seed"]), row["group"], frames=int(row["frames"]), phases_only=True, matrix=(48, 52))
    assert float(row["lv_edv_ml"]) == pytest.approx(study.left.edv_ml, abs=1e-3)
    assert float(row["rv_mass_g"]) == pytest.approx(study.right.mass_g, abs=1e-3)
    stored = sitk.ReadImage(str(dataset / "labelsTr" / f"patient002_frame{int(row['es_frame']):02d}.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(stored), study.phase(study.es_frame)[1])


def test_an_existing_folder_is_refused(dataset) -> None:
    with pytest.raises(UserError, match=r"Dataset007_Toy exists already\. Remove it"):
        write_nnunet_dataset(dataset.parent, 7, "Toy", patients=5, **SIZE)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"patients": 3}, "Got 3 patients, .* need at least 2 folds"),
        ({"kind": "xray"}, "'xray' is unknown; choose one of sax"),
        ({"dataset_id": 0}, "number 0 is out of range"),
        ({"kind": "la", "cine": True}, "does not move"),
    ],
)
def test_wrong_arguments_leave_nothing_behind(tmp_path, wrong, message) -> None:
    with pytest.raises(UserError, match=message):
        write_nnunet_dataset(tmp_path / "raw", **{"dataset_id": 5, "name": "X", "patients": 5, **SIZE, **wrong})
    assert not (tmp_path / "raw").exists()


def test_command_writes_what_it_is_asked(tmp_path, capsys) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = f"-o {tmp_path} -d 12 --name Two --patients 2 --test-patients 0 --folds 2 --kind lax --matrix 40 --cine"
    arguments = parser.parse_args(words.split())
    assert command.run(arguments) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "Dataset012_Two")
    series = sitk.ReadImage(str(tmp_path / "Dataset012_Two" / "cine" / "patient001_4d.nii.gz"))
    assert series.GetSize()[:3] == (40, 40, 1)
    with pytest.raises(UserError, match="Nothing to do: give -o FOLDER"):
        command.run(parser.parse_args([]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sax", "lax", "la"])
def test_nnunet_accepts_the_data_set(tmp_path, kind) -> None:
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    folder = write_nnunet_dataset(tmp_path, 8, "Toy", patients=2, folds=2, kind=kind, **SIZE)
    verify_dataset_integrity(str(folder), num_processes=1)


def test_processes_make_the_same_data(tmp_path):
    folders = [
        write_nnunet_dataset(
            tmp_path / str(n), 1, "P", patients=2, folds=2, seed=5, matrix=(48, 48), progress=False, processes=n
        )
        for n in (1, 2)
    ]
    files = [{p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()} for folder in folders]
    assert files[0] == files[1]
    assert len(files[0]) == 4 + 4 + 3


def test_two_structures_of_three(dataset, tmp_path) -> None:
    folder = write_nnunet_dataset(
        tmp_path, 7, "Two", patients=5, test_patients=1, seed=3, structures=("LV", "MYO"), **SIZE
    )
    assert json.loads((folder / "dataset.json").read_text())["labels"] == {"background": 0, "MYO": 1, "LV": 2}
    for path in sorted((dataset / "labelsTr").iterdir()):
        three, two = (sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in (path, folder / "labelsTr" / path.name))
        np.testing.assert_array_equal(two, np.array([0, 0, 1, 2])[three])  # RV 1, MYO 2, LV 3 in ACDC's order
    image = "imagesTr/patient001_frame01_0000.nii.gz"
    assert (folder / image).read_bytes() == (dataset / image).read_bytes()
