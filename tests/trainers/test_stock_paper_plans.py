"""The paper's grid of the 3D DR-UNet through nnU-Net's own commands: what is planned is what is preprocessed."""

from __future__ import annotations

import re

import pytest
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from nnunet_cardiac.files import read_json, write_json

pytestmark = pytest.mark.slow


def spacing_and_shapes(folder) -> list[tuple[float, ...]]:
    dataset = infer_dataset_class(str(folder))(str(folder))
    return [tuple(dataset.load_case(case)[0].shape[1:]) for case in dataset.identifiers]


def test_data_are_made_by_the_commands_that_are_printed_and_trained_on(make_workspace) -> None:
    space = make_workspace("sax", 927, ("3d_fullres",))
    before = read_json(space.preprocessed / "nnUNetPlans.json")["configurations"]["3d_fullres"]
    own = spacing_and_shapes(space.preprocessed / before["data_identifier"])
    for trainer in ("DRUNetTrainer", "DRUNetEndToEndTrainer"):
        printed = space.run("nnunet_cardiac", "plan", "-d", space.number, "-tr", trainer, "--paper")
        for command in re.findall("To do: (.*)", printed):
            space.run(*command.split(), "-np", "1")
    made = spacing_and_shapes(space.preprocessed / "nnUNetPlansPaper_3d_fullres")
    for old, new in zip(own, made, strict=True):
        wanted = [
            n * old_mm / new_mm for n, old_mm, new_mm in zip(old, before["spacing"], (10, 1.25, 1.25), strict=True)
        ]
        assert new == pytest.approx(tuple(wanted), abs=1)
    path = space.preprocessed / "nnUNetPlansPaper.json"
    plans = read_json(path)
    low = plans["configurations"]["3d_joint_low"]
    low["architecture"]["arch_kwargs"] |= {"filters": 2, "coarse_filters": 2}
    low["recipe"] |= {"iterations": 2, "val_iterations": 1}
    write_json(path, plans)
    trainer = "DRUNetEndToEndTrainer_1epochs"
    log = space.train("3d_joint_low", 0, "-p", "nnUNetPlansPaper", trainer=trainer)
    assert "A step has 2 samples: recipe.batch_size of 3d_joint_low in nnUNetPlansPaper.json." in log
    summary = space.results / f"{trainer}__nnUNetPlansPaper__3d_joint_low" / "fold_0" / "validation" / "summary.json"
    assert "volume_agreement" in read_json(summary)
