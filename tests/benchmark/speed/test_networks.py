"""Networks from made-up plans: the numbers that nnU-Net's planner gives, and those of the registry."""

import json

import pytest
import torch

from nnunet_cardiac.benchmark.speed.networks_from_plans import build_network, make_subject, stock_architecture
from nnunet_cardiac.benchmark.speed.options import REFERENCE, MeasuredNetwork, SpeedOptions, choose
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import TRAINERS
from nnunet_cardiac.systems.kinds import SliceCrop

SMALL = SpeedOptions(patch=(64, 32), window=48, channels=2, classes=3)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


@pytest.fixture
def planner(tmp_path, monkeypatch):
    """nnU-Net's own planner, with a data set that exists on paper only."""
    from nnunetv2.experiment_planning.experiment_planners import default_experiment_planner as module

    monkeypatch.setattr(module, "nnUNet_raw", str(tmp_path))
    monkeypatch.setattr(module, "nnUNet_preprocessed", str(tmp_path))
    folder = tmp_path / "Dataset001_Paper"
    folder.mkdir()
    channels, labels = {"0": "MRI"}, {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
    content = {"channel_names": channels, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz", "dataset": {}}
    (folder / "dataset.json").write_text(json.dumps(content))
    (folder / "dataset_fingerprint.json").write_text(json.dumps({"median_relative_size_after_cropping": 1.0}))
    return module.ExperimentPlanner(folder.name)


@pytest.mark.parametrize("patch", [(256, 224), (128, 128), (320, 64)])
def test_stock_network_is_what_nnunet_plans(planner, patch):
    planned = planner.get_plans_for_configuration((1.0, 1.0), patch, "2d", 1e9, {})
    assert tuple(planned["patch_size"]) == patch
    ours = stock_architecture(patch)
    assert json.loads(json.dumps(ours)) == json.loads(json.dumps(planned["architecture"]))


def test_stock_network_is_trained_with_deep_supervision():
    network = build_network(MeasuredNetwork(REFERENCE, "2d", 2, (64, 32)), SMALL)
    outputs = network(torch.zeros(1, 2, 64, 32))
    assert [tuple(output.shape) for output in outputs] == [(1, 3, 64, 32), (1, 3, 32, 16), (1, 3, 16, 8)]


@pytest.mark.parametrize(("size", "needed"), [((250, 224), "256 x 224"), ((96, 100), "96 x 112")])
def test_size_that_nnunet_would_not_plan_is_refused(size, needed):
    with pytest.raises(UserError, match=f"found {size[0]} x {size[1]} pixels.*multiples of .*; take {needed}"):
        stock_architecture(size)


def test_parameters_are_those_of_the_registry():
    options = SpeedOptions()
    networks = [
        ("CroCNetTrainer", "2d", "E2AUNet"),
        ("CroCNetTrainer", "2d_crop", "SpecialistNetworks"),
        ("CroCNetTrainer", "2d_crop_single", "single"),
        ("HALSRNetTrainer", "2d", "HALSRNet"),
        ("HALSRNetTrainer", "2d_roi", "ROIRegressor"),
        ("HALSRNetTrainer", "2d_crop", "HALSRNet"),
    ]
    for trainer, configuration, network in networks:
        built = build_network(make_subject(trainer, configuration, options), options)
        assert parameters(built) / 1e6 == pytest.approx(TRAINERS[trainer].parameters[network], rel=1e-3)


@pytest.mark.parametrize(("trainer", "configuration"), choose(None, None))
def test_every_network_takes_its_input(trainer, configuration):
    subject = make_subject(trainer, configuration, SMALL)
    if isinstance(TRAINERS[trainer].find(configuration), SliceCrop):
        assert (subject.channels, subject.size) == (2 + 3 - 1, (48, 48))
    else:
        assert (subject.channels, subject.size) == (2, (64, 32))
    network = build_network(subject, SMALL).eval()
    with torch.inference_mode():
        logits = network(torch.randn(1, subject.channels, *subject.size))
    assert logits.shape == (1, 3, *subject.size)


def test_window_that_no_crop_has_is_refused():
    with pytest.raises(UserError, match=r"--window 50: .*50"):
        make_subject("CroCNetTrainer", "2d_crop", SpeedOptions(window=50))
