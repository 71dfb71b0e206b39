"""HALSR-Net on what its paper segments, left cavity and wall, and on the cavity alone: plan, train, predict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.planning.options import CropOptions
from nnunet_cardiac.planning.plan import plan_configurations
from nnunet_cardiac.systems.halsr import HALSR_NET

pytestmark = pytest.mark.slow

TRAINER = "HALSRNetTrainer_1epochs"


def keep(raw: Path, structures: tuple[str, ...]) -> None:
    """Leave some structures of a raw data set, numbered anew."""
    described = read_json(raw / "dataset.json")
    values = [described["labels"][name] for name in structures]
    for path in [*(raw / "labelsTr").glob("*.nii.gz"), *(raw / "labelsTs").glob("*.nii.gz")]:
        image = sitk.ReadImage(path)
        labels = sitk.GetArrayFromImage(image)
        found = sum((new * (labels == old) for new, old in enumerate(values, 1)), np.zeros_like(labels))
        new = sitk.GetImageFromArray(found.astype(np.uint8))
        new.CopyInformation(image)
        sitk.WriteImage(new, path)
    labels = {name: value for value, name in enumerate(("background", *structures))}
    write_json(raw / "dataset.json", {**described, "labels": labels})


@pytest.mark.parametrize(
    ("number", "structures"), [pytest.param(925, ("MYO", "LV"), marks=pytest.mark.long), (926, ("LV",))]
)
def test_the_paper_plans_are_trained_and_predicted(make_workspace, tmp_path, number, structures) -> None:
    space = make_workspace("sax", number, ("2d",))
    keep(space.raw, structures)
    space.run("nnUNetv2_plan_and_preprocess", "-d", number, "-c", "2d", "-npfp", 1, "-np", 1, "--clean")
    options = CropOptions(paper=True, coarse_labels="simulated")
    path = plan_configurations(space.preprocessed, trainer="HALSRNetTrainer", options=options, progress=False).path
    plans = read_json(path)
    roi, crop = (plans["configurations"][name] for name in ("2d_roi", "2d_crop"))  # what takes time, and nothing else
    roi["recipe"] |= {"iterations": 40, "val_iterations": 1, "batch_size": 8}
    roi["architecture"]["arch_kwargs"]["grid"] = 2
    crop["recipe"] |= {"iterations": 2, "val_iterations": 5, "batch_size": 2}
    network = {"network_class_name": HALSR_NET, "network_kwargs": {"features": [16, 32, 64]}}
    crop["architecture"]["arch_kwargs"] |= network
    write_json(path, plans)
    given = ("-p", path.stem)
    for configuration in ("2d_roi", "2d_crop"):
        log = space.train(configuration, 0, *given, trainer=TRAINER)
        assert f"recipe.batch_size of {configuration}" in log
    space.predict("2d_roi", tmp_path / "boxes", "-f", 0, *given, trainer=TRAINER)
    previous = ("-prev_stage_predictions", tmp_path / "boxes")
    space.predict("2d_crop", tmp_path / "fine", "-f", 0, *given, *previous, trainer=TRAINER)
    for reference in sorted((space.raw / "labelsTs").glob("*.nii.gz")):
        found = sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "fine" / reference.name))
        assert found.shape == sitk.GetArrayFromImage(sitk.ReadImage(reference)).shape
        assert set(np.unique(found)) <= set(range(len(structures) + 1))
