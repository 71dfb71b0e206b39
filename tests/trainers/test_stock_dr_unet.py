"""The configurations of the 3D DR-UNet through nnU-Net's own commands, alone and mixed with another system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.planning.options import CropOptions
from nnunet_cardiac.planning.plan import plan_configurations
from nnunet_cardiac.systems.dr_unet import DR_UNET
from nnunet_cardiac.systems.kinds import Network

pytestmark = pytest.mark.slow

TRAINER, JOINT, CROCNET = "DRUNetTrainer_1epochs", "DRUNetEndToEndTrainer_1epochs", "CroCNetTrainer_1epochs"
SHORT = {"iterations": 2, "val_iterations": 1, "batch_size": 2, "initial_lr": 1e-3, "test_time_mirroring": False}
NARROW = {
    "3d_locate": {"filters": 2},
    "3d_crop": {"filters": 2},
    "3d_joint": {"coarse_filters": 2, "filters": 2},
}


def make_narrow(path: Path) -> None:
    """Narrow networks and two steps for each configuration of every trainer in the plans."""
    plans = read_json(path)
    configurations = plans["configurations"]
    for name, kwargs in NARROW.items():
        arguments = configurations[name]["architecture"]["arch_kwargs"]
        if "network_kwargs" in arguments:
            arguments = arguments["network_kwargs"]
        arguments.update(kwargs)
        configurations[name]["recipe"] = SHORT
    whole = {
        **configurations["3d_fullres"],
        "architecture": Network(DR_UNET, {"filters": 2}).to_plans(),
        "recipe": SHORT,
    }
    configurations["3d_fullres"]["trainers"] = {"DRUNetTrainer": whole}
    write_json(path, plans)


def preprocess(space, *configurations: str) -> None:
    space.run("nnUNetv2_preprocess", "-d", space.number, "-c", *configurations, "-np", *["1"] * len(configurations))


@pytest.fixture(scope="module", params=["sax", "la"])
def trained(request, make_workspace):
    """Cine with three structures and late enhancement with one; both stages and the joint network, on fold 0."""
    kind = request.param
    space = make_workspace(kind, number=931 if kind == "sax" else 932, configurations=("3d_fullres",))
    for trainer in ("DRUNetTrainer", "DRUNetEndToEndTrainer"):
        plan_configurations(space.preprocessed, trainer=trainer, progress=False)
    make_narrow(space.preprocessed / "nnUNetPlans.json")
    preprocess(space, "3d_locate")
    space.train("3d_locate", 0, trainer=TRAINER)
    space.train("3d_crop", 0, trainer=TRAINER)
    if kind == "sax":
        space.train("3d_joint", 0, trainer=JOINT)
    return space


def classes(space) -> set[int]:
    return set(read_json(space.raw / "dataset.json")["labels"].values())


def test_the_map_is_handed_on_as_label_one(trained) -> None:
    handed_on = trained.model("3d_locate", TRAINER) / "predicted_next_stage" / "3d_crop"
    val = set(read_json(trained.preprocessed / "splits_final.json")[0]["val"])
    assert {path.stem for path in handed_on.glob("*.b2nd")} == val
    validation = trained.model("3d_locate", TRAINER) / "fold_0" / "validation"
    for path in validation.glob("*.nii.gz"):
        assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(path)))) <= {0, 1}


def test_the_log_tells_of_early_stopping(trained) -> None:
    log = next((trained.model("3d_crop", TRAINER) / "fold_0").glob("training_log*.txt")).read_text()
    assert "training stops at 20" in log


def test_both_stages_and_the_joint_network_predict_unseen_patients(trained, tmp_path: Path) -> None:
    trained.predict("3d_locate", tmp_path / "map", "-f", 0, trainer=TRAINER)
    trained.predict("3d_crop", tmp_path / "fine", "-f", 0, "-prev_stage_predictions", tmp_path / "map", trainer=TRAINER)
    folders = ["map", "fine"]
    if classes(trained) != {0, 1}:
        trained.predict("3d_joint", tmp_path / "joint", "-f", 0, trainer=JOINT)
        folders.append("joint")
    for path in sorted((trained.raw / "labelsTs").glob("*.nii.gz")):
        reference = sitk.ReadImage(path)
        for folder in folders:
            result = sitk.ReadImage(tmp_path / folder / path.name)
            assert result.GetSize() == reference.GetSize()
            np.testing.assert_allclose(result.GetSpacing(), reference.GetSpacing(), rtol=1e-5)
            found = set(np.unique(sitk.GetArrayFromImage(result)))
            assert found <= ({0, 1} if folder == "map" else classes(trained))


@pytest.mark.parametrize("trained", ["sax"], indirect=True)
def test_the_full_volume_network_trains_on_nnunets_patches(trained) -> None:
    trained.train("3d_fullres", 0, trainer=TRAINER)
    assert (trained.model("3d_fullres", TRAINER) / "fold_0" / "checkpoint_final.pth").is_file()


@pytest.mark.long
@pytest.mark.parametrize("trained", ["sax"], indirect=True)  # CroCNet needs three structures
def test_mixed_pairs(trained, tmp_path: Path) -> None:
    """The activation map crops for CroCNet, and CroCNet's first stage for the 3D DR-UNet."""
    preprocess(trained, "2d")
    path = trained.preprocessed / "nnUNetPlans.json"
    options = CropOptions(coarse_labels="simulated", localiser="3d_locate", localiser_trainer=TRAINER)
    plan_configurations(trained.preprocessed, options=options, progress=False)
    options = CropOptions(localiser="2d", localiser_trainer=CROCNET)
    plan_configurations(trained.preprocessed, trainer="DRUNetTrainer", options=options, progress=False)
    trained.narrow(path)
    make_narrow(path)
    configurations = read_json(path)["configurations"]
    assert configurations["2d_crop"]["previous_stage"] == "3d_locate"
    assert configurations["3d_crop"]["previous_stage"] == "2d"
    trained.train("3d_locate", 0, "--val", trainer=TRAINER)  # hands its map to 2d_crop now
    trained.train("2d", 0, trainer=CROCNET)
    for configuration, trainer, coarse, coarse_trainer in (
        ("2d_crop", CROCNET, "3d_locate", TRAINER),
        ("3d_crop", TRAINER, "2d", CROCNET),
    ):
        trained.train(configuration, 0, trainer=trainer)
        trained.predict(coarse, tmp_path / coarse, "-f", 0, trainer=coarse_trainer)
        previous = ("-prev_stage_predictions", tmp_path / coarse)
        trained.predict(configuration, tmp_path / configuration, "-f", 0, *previous, trainer=trainer)
        results = [sitk.ReadImage(p) for p in (tmp_path / configuration).glob("*.nii.gz")]
        assert len(results) == len(list((trained.raw / "labelsTs").glob("*.nii.gz")))
        assert all(set(np.unique(sitk.GetArrayFromImage(r))) <= classes(trained) for r in results)
