"""What `convert` writes is what nnU-Net's own commands take."""

from __future__ import annotations

import json
import os

import pytest

from nnunet_cardiac import cli
from nnunet_cardiac.workflow.runner import run_command


@pytest.mark.slow
def test_nnunet_preprocesses_both_views_and_keeps_our_folds(make, tmp_path, monkeypatch):
    source = tmp_path / "MnM2"
    lines = ["SUBJECT_CODE,DISEASE,VENDOR,SCANNER,FIELD"]
    for number in range(1, 5):
        lines.append(f"{number},NOR,GE,Optima,1.5")
        for phase, radius in (("ED", 7.0), ("ES", 4.0)):
            labels = make.heart(make.mnms, radius)
            for view, own in (("SA", labels), ("LA", labels[:1])):
                stem = source / "dataset" / f"{number:03d}" / f"{number:03d}_{view}_{phase}"
                make.save(stem.with_name(f"{stem.name}.nii.gz"), make.scan(own, number))
                make.save(stem.with_name(f"{stem.name}_gt.nii.gz"), own)
    (source / "dataset_information.csv").write_text("\n".join(lines) + "\n")
    make.store_otherwise(source)  # what is written is one grid and one storage all the same
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path / name))
    assert cli.main(["convert", "mnms2", str(source), "-d", "40", "--folds", "2", "--quiet"]) == 0
    command = ["nnUNetv2_plan_and_preprocess", "-d", "40", "41", "-c", "2d", "--verify_dataset_integrity"]
    run_command([*command, "-npfp", "1", "-np", "1"], dict(os.environ), log=tmp_path / "log.txt")
    for dataset in ("Dataset040_MnMs2SA", "Dataset041_MnMs2LA"):
        folder = tmp_path / "nnUNet_preprocessed" / dataset
        assert len(list((folder / "nnUNetPlans_2d").glob("*.pkl"))) == 8
        ours = tmp_path / "nnUNet_raw" / dataset / "splits_final.json"
        assert json.loads((folder / "splits_final.json").read_text()) == json.loads(ours.read_text())
