"""Three folds instead of five, and fold `all`, through both stages, with our command and nnU-Net's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.patients.splits import patient_splits

pytestmark = pytest.mark.slow

TRAINER = "CroCNetTrainer_1epochs"


@pytest.fixture(scope="module")
def space(make_workspace):
    """Five patients in three folds, both stages planned for predictions out of fold."""
    space = make_workspace("sax", 929, ("2d",))
    log = space.run("nnunet_cardiac", "plan", "-d", space.number)
    assert "Patients: 5 patients of 10 cases, such as patient001: patient001_frame" in log
    assert f"by {space.raw / 'patients.csv'}" in log
    space.narrow(space.preprocessed / "nnUNetPlans.json")
    cases = [case for fold in read_json(space.preprocessed / "splits_final.json") for case in fold["val"]]
    write_json(space.preprocessed / "splits_final.json", patient_splits(cases, 3))
    return space


def train_all_stages(space, *folds: object) -> list[str]:
    """Run our command; return the trainings that it ran."""
    words = ["nnunet_cardiac", "train", "-d", space.number, "-c", "2d_crop", "-tr", TRAINER, "-device", "cpu"]
    log = space.run(*words, "--all-stages", "-f", *folds)
    return [" ".join(line.split()[3:5]) for line in log.splitlines() if line.startswith("[")]


@pytest.fixture(scope="module")
def trained(space):
    """All that fold 1 of the second stage needs, by one command."""
    assert train_all_stages(space, 1) == ["2d 0", "2d 1", "2d 2", "2d_crop 1"]
    return space


def predictions(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in folder.glob("*.b2nd")}


def test_three_folds_predict_every_case_out_of_fold(trained) -> None:
    folds = read_json(trained.preprocessed / "splits_final.json")
    every = {case for fold in folds for case in fold["val"]}
    assert len(every) == 10
    assert set(predictions(trained.model("2d") / "predicted_next_stage" / "2d_crop")) == every
    assert sorted(path.name for path in trained.model("2d").glob("fold_*")) == ["fold_0", "fold_1", "fold_2"]
    validated = (trained.model("2d_crop") / "fold_1" / "validation").glob("*.nii.gz")
    assert {path.name.removesuffix(".nii.gz") for path in validated} == set(folds[1]["val"])
    assert train_all_stages(trained, 1) == []


def test_a_fold_that_the_file_lacks_is_refused(trained) -> None:
    for configuration in ("2d", "2d_crop"):
        with pytest.raises(UserError, match=r"Fold 3: .*splits_final.json has 3 folds, 0 to 2"):
            trained.train(configuration, 3)
    with pytest.raises(UserError, match=r"Fold 4: .*splits_final.json has 3 folds, 0 to 2"):
        train_all_stages(trained, 4)
    assert not list(trained.model("2d").glob("fold_3/checkpoint*"))


def test_fold_all_leaves_predictions_out_of_fold_alone(trained) -> None:
    shared = trained.model("2d") / "predicted_next_stage" / "2d_crop"
    before = predictions(shared)
    trained.train("2d", "all")
    assert predictions(shared) == before
    own = trained.model("2d") / "fold_all" / "predicted_next_stage" / "2d_crop"
    assert set(predictions(own)) == set(before)
    held_back = {path: path.rename(path.with_suffix(".held")) for path in shared.glob("*.b2nd")}
    try:
        for fold in (0, "all"):  # the predictions of fold `all` are there, and are of no use
            with pytest.raises(UserError, match=r"those of 10 of (10|20) cases are missing") as refused:
                trained.train("2d_crop", fold)
        commands = [line.split()[2:4] for line in str(refused.value).splitlines() if "nnUNetv2_train Dataset" in line]
        assert commands[-3:] == [["2d", "0"], ["2d", "1"], ["2d", "2"]]
    finally:
        for path, held in held_back.items():
            held.rename(path)


def test_fold_all_of_the_second_stage(trained) -> None:
    assert train_all_stages(trained, "all") == ["2d_crop all"]
    assert (trained.model("2d_crop") / "fold_all" / "validation" / "summary.json").is_file()


def test_simulated_coarse_labels_and_fold_all(trained) -> None:
    path = trained.preprocessed / "nnUNetPlans.json"
    plans = read_json(path)
    shared = trained.model("2d") / "predicted_next_stage" / "2d_crop_single"
    for name in ("2d_crop", "2d_crop_single"):
        plans["configurations"][name]["coarse_labels"] = "simulated"
    write_json(path, plans)
    held_back = {path: path.rename(path.with_suffix(".held")) for path in shared.glob("*.b2nd")}
    try:
        trained.train("2d_crop_single", "all")  # its validation crops from what fold `all` of the first stage wrote
        assert (trained.model("2d_crop_single") / "fold_all" / "validation" / "summary.json").is_file()
        with pytest.raises(UserError, match="fold all, which is validated on what it was trained on, does not count"):
            trained.train("2d_crop_single", 0)
    finally:
        for file, held in held_back.items():
            held.rename(file)


def test_what_does_not_fit_is_said_before_training(trained) -> None:
    path = trained.preprocessed / "splits_final.json"
    folds = read_json(path)
    data = trained.preprocessed / "nnUNetPlans_2d"
    try:
        write_json(path, [{**fold, "val": [*fold["val"], "patient099_frame01"]} for fold in folds])
        with pytest.raises(UserError, match=r"fold 0 names 1 cases that the data set does not have \(patient099_frame"):
            trained.train("2d", 0)
        write_json(path, [{"train": fold["train"], "val": fold["val"][1:]} for fold in folds])
        log = trained.train("2d", 0)
        assert "WARNING: " in log
        assert "cases of 3 patients" in log
        assert "validated in no fold" in log
        write_json(path, folds)
        data.rename(data.with_name("elsewhere"))
        with pytest.raises(UserError, match=r"2d has no data yet\. Preprocess it before training: nnUNetv2_preprocess"):
            trained.train("2d", 0)
    finally:
        write_json(path, folds)
        if not data.is_dir():
            data.with_name("elsewhere").rename(data)
