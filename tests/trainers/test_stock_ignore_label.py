"""Half of every second case without a reference, through the commands: plan, train, predict, evaluate."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.evaluation.table import evaluate_folder
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.inference.predictor import CardiacPredictor
from nnunet_cardiac.planning.options import CropOptions
from nnunet_cardiac.planning.plan import plan_configurations

pytestmark = pytest.mark.slow

IGNORE = 4
STRUCTURES = {"RV": 1, "MYO": 2, "LV": 3}
NARROW = {
    "2d_roi": {},
    "2d_stack": {"features": [4, 8, 8], "heads": 2, "layers": 1, "hidden": 8},
    "3d_locate": {"filters": 2},
    "3d_crop": {"filters": 2},
    "3d_joint": {"coarse_filters": 2, "filters": 2},
}
SHORT = {"iterations": 3, "val_iterations": 2, "initial_lr": 1e-3, "test_time_mirroring": False}
#: Trainer and configuration.
TRAININGS = [
    ("CroCNetTrainer_1epochs", "2d"),
    ("CroCNetTrainer_1epochs", "2d_crop"),
    ("CroCNetTrainer_nnUNetRecipe_1epochs", "2d"),
    ("HALSRNetTrainer_1epochs", "2d_roi"),
    ("HALSRNetTrainer_1epochs", "2d_crop"),
    ("ClassifierGuidedTrainer_1epochs", "2d_stack"),
    ("ClassifierGuidedTrainer_nnUNetRecipe_1epochs", "2d_stack"),
    ("DRUNetTrainer_1epochs", "3d_locate"),
    ("DRUNetTrainer_1epochs", "3d_crop"),
    ("DRUNetEndToEndTrainer_1epochs", "3d_joint"),
]
#: The stage before.
FIRST = {
    ("CroCNetTrainer_1epochs", "2d_crop"): "2d",
    ("HALSRNetTrainer_1epochs", "2d_crop"): "2d_roi",
    ("DRUNetTrainer_1epochs", "3d_crop"): "3d_locate",
}


def hide_half(raw: Path) -> None:
    """Take the reference of one half of the slices away, through the heart, in every second case."""
    content = read_json(raw / "dataset.json")
    assert content["labels"] == {"background": 0, **STRUCTURES}
    write_json(raw / "dataset.json", {**content, "labels": {**content["labels"], "ignore": IGNORE}})
    for part in ("labelsTr", "labelsTs"):
        for path in sorted((raw / part).glob("*.nii.gz"))[::2]:
            image = sitk.ReadImage(path)
            labels = sitk.GetArrayFromImage(image)
            middle = int(np.argwhere(labels > 0)[:, 2].mean())
            labels[:, :, middle:] = IGNORE
            changed = sitk.GetImageFromArray(labels)
            changed.CopyInformation(image)
            sitk.WriteImage(changed, path)


@pytest.fixture(scope="module")
def space(make_workspace):
    """Planned for every trainer, with narrow networks and three steps an epoch."""
    space = make_workspace("sax", 951, ("2d", "3d_fullres"), hide_half)
    path = space.preprocessed / "nnUNetPlans.json"
    for trainer in ("CroCNetTrainer", "HALSRNetTrainer"):
        plan_configurations(
            space.preprocessed, trainer=trainer, options=CropOptions(coarse_labels="simulated"), progress=False
        )
    space.narrow(path)
    for trainer in ("ClassifierGuidedTrainer", "DRUNetTrainer", "DRUNetEndToEndTrainer"):
        plan_configurations(space.preprocessed, trainer=trainer, progress=False)
    plans = read_json(path)
    for name, kwargs in NARROW.items():
        entry = plans["configurations"][name]
        arguments = entry["architecture"]["arch_kwargs"]
        arguments.get("network_kwargs", arguments).update(kwargs)
        entry["recipe"] = {**SHORT, "batch_size": 1 if name == "2d_stack" else 2}
    write_json(path, plans)
    space.run("nnUNetv2_preprocess", "-d", space.number, "-c", "2d_stack", "3d_locate", "-np", 1, 1)
    return space


def validation(space, trainer: str, configuration: str) -> Path:
    """Folder of the validation of fold 0, trained now if it was not before, with the stage before it."""
    folder = space.model(configuration, trainer) / "fold_0" / "validation"
    if not folder.is_dir():
        if first := FIRST.get((trainer, configuration)):
            validation(space, trainer, first)
        words = ["nnUNetv2_train", space.number, configuration, 0, "-tr", trainer, "-device", "cpu"]
        space.run(*words, nnUNet_n_proc_DA="0")  # augmentation in the same process: less to start
    return folder


@pytest.mark.parametrize(("trainer", "configuration"), TRAININGS)
def test_losses_are_numbers(space, trainer: str, configuration: str) -> None:
    log = next(validation(space, trainer, configuration).parent.glob("training_log*.txt")).read_text()
    losses = re.findall(r"(?:train|val)_loss (\S+)", log)
    assert len(losses) == 2
    assert all(math.isfinite(float(loss)) for loss in losses)


@pytest.mark.parametrize(
    ("trainer", "configuration"), [pair for pair in TRAININGS if pair[1] not in ("2d_roi", "3d_locate")]
)
def test_our_dice_of_the_validation_cases_is_that_of_nnunet(space, trainer: str, configuration: str) -> None:
    predictions = validation(space, trainer, configuration)
    summary = read_json(predictions / "summary.json")
    stock = {
        (Path(case["reference_file"]).name.removesuffix(".nii.gz"), name): case["metrics"][str(value)]["Dice"]
        for case in summary["metric_per_case"]
        for name, value in STRUCTURES.items()
    }
    cases = {case for case, _ in stock}
    references = space.preprocessed / "gt_segmentations"
    rows = evaluate_folder(references, predictions, STRUCTURES, progress=False, cases=cases, ignore_label=IGNORE)
    assert rows["voxels_ignored"].gt(0).any()
    assert rows["voxels_ignored"].eq(0).any()
    for row in rows.itertuples():
        assert row.dice == pytest.approx(stock[row.case, row.structure], nan_ok=True)


def test_reports_of_the_validation_leave_out_what_is_not_known(space) -> None:
    val = read_json(space.preprocessed / "splits_final.json")[0]["val"]
    references = {case: sitk.ReadImage(space.preprocessed / "gt_segmentations" / f"{case}.nii.gz") for case in val}
    arrays = {case: sitk.GetArrayFromImage(image) for case, image in references.items()}
    whole = [case for case, labels in arrays.items() if not (labels == IGNORE).any()]
    assert 0 < len(whole) < len(val)

    def summary(trainer: str, configuration: str) -> dict:
        return read_json(validation(space, trainer, configuration) / "summary.json")

    located = summary("DRUNetTrainer_1epochs", "3d_locate")["localisation"]
    assert (located["cases"], located["left_out"]) == (len(whole), len(val) - len(whole))
    volumes = summary("DRUNetTrainer_1epochs", "3d_crop")["volume_agreement"]
    assert volumes["LV"]["cases"] == len(whole)
    boxes = summary("HALSRNetTrainer_1epochs", "2d_roi")["roi_slice"]
    assert boxes["slices"] == sum(np.isin(arrays[case], [2, 3]).any((1, 2)).sum() for case in whole)
    presence = summary("ClassifierGuidedTrainer_1epochs", "2d_stack")["presence"]
    for name, value in STRUCTURES.items():
        seen = {case: (labels == value).any((1, 2)) for case, labels in arrays.items()}
        assert presence[name]["all"]["present"] == sum(slices.sum() for slices in seen.values())
        known = sum(len(seen[case]) if case in whole else seen[case].sum() for case in val)
        assert presence[name]["all"]["slices"] == known


def test_predict_and_evaluate(space, tmp_path: Path) -> None:
    """The commands of this package, on the unseen patients; the stock command for the same model."""
    validation(space, "CroCNetTrainer_1epochs", "2d")
    model = space.model("2d")
    assert CardiacPredictor.from_folder(model, device="cpu").labels == STRUCTURES
    words = ["nnunet_cardiac", "predict", "-i", space.raw / "imagesTs", "-o", tmp_path / "ours", "-m", model]
    space.run(*words, "-device", "cpu", "--precision", "fp32")
    space.predict("2d", tmp_path / "stock", "-f", 0, "--disable_tta")
    for path in (space.raw / "labelsTs").glob("*.nii.gz"):
        ours, stock = (sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / f / path.name)) for f in ("ours", "stock"))
        np.testing.assert_array_equal(ours, stock)
        assert ours.max() < IGNORE
    content = json.loads(next((tmp_path / "ours").glob("*frame*.json")).read_text())
    assert "ignore" not in content["model"]["labels"]
    words = ["nnunet_cardiac", "evaluate", "-gt", space.raw / "labelsTs", "-p", tmp_path / "ours", "-np", 1]
    printed = space.run(*words, "-o", tmp_path / "out")
    assert "1 of 2 references have voxels without a label" in printed
    assert read_json(tmp_path / "out" / "evaluation.json")["ignore_label"] == IGNORE
