"""`nnunet_cardiac benchmark speed` with small sizes, and its bad input."""

import json

import pytest
import torch
from torch import nn

from nnunet_cardiac import cli
from nnunet_cardiac.benchmark.speed import SpeedOptions, measure, training_loss
from nnunet_cardiac.benchmark.subjects import Subject, nnunet_subject, parameters, subjects_of
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.registry import TRAINERS

SMALL = ["--patch", "32", "48", "--window", "32", "--rounds", "1", "--threads", "1", "-device", "cpu"]


def test_nnunet_is_laid_out_as_its_planner_does():
    network = nnunet_subject(1, 4, (256, 224)).build()
    assert list(network.encoder.output_channels) == [32, 64, 128, 256, 512, 512]  # nnU-Net's plans of ACDC
    assert parameters(network) == pytest.approx(20.6e6, rel=0.01)
    assert len(network.train()(torch.zeros(2, 1, 256, 224))) == 5


def test_a_patch_that_nnunet_would_enlarge_is_refused():
    with pytest.raises(UserError, match="the next are --patch 256 224"):
        nnunet_subject(1, 4, (250, 220))


@pytest.mark.parametrize("trainer", list(TRAINERS))
def test_every_configuration_of_the_registry_is_a_subject_of_its_size(trainer):
    subjects = subjects_of(trainer, None, 1, TRAINERS[trainer].parameters and 4, (64, 64), (32, 32))
    assert [s.name.split()[-1] for s in subjects] == list(TRAINERS[trainer].configurations)
    for subject in subjects:
        crops = "crop" in subject.name
        assert subject.size == ((32, 32) if crops else (64, 64))
        assert subject.channels == (4 if crops and trainer == "CroCNetTrainer" else 1)


def test_arithmetic_is_that_of_the_layers():
    conv = Subject("conv", lambda: nn.Conv2d(3, 5, 3, padding=1), 3, (8, 10))
    row = measure([conv], SpeedOptions(batch=2, classes=5, device="cpu", rounds=1))[0]
    assert row.gflop == pytest.approx(2 * 8 * 10 * 5 * 3 * 9 / 1e9)
    assert row.parameters == 5 * 3 * 9 + 5
    assert row.step_per_megapixel_s == pytest.approx(row.step_s / (2 * 80 / 1e6))
    assert row.peak_memory_bytes is None


def test_corners_are_trained_on_their_mean_square_and_the_lowest_resolution_on_nothing():
    assert training_loss(torch.full((2, 4), 2.0), torch.zeros(2, 8, 8)).item() == 4
    target = torch.randint(0, 3, (2, 8, 8))
    full, half = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 4, 4, requires_grad=True)
    assert training_loss([full, half], target) == training_loss(full, target)


def test_the_table_and_the_record(capsys, tmp_path):
    path = tmp_path / "runs.json"
    words = ["benchmark", "speed", "-tr", "HALSRNetTrainer", "-c", "2d_crop", *SMALL, "--json", str(path)]
    for _ in range(2):
        assert cli.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].strip().startswith("nnU-Net 2d (32 x 48)")
    assert "HALSR-Net 2d_crop (32 x 32)" in lines[2]
    runs = json.loads(path.read_text())
    assert len(runs) == 2
    assert runs[0]["networks"][1]["parameters"] == 10_825_912
    assert runs[0]["threads"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-tr", "Other"], "unknown trainer 'Other'; known are CroCNetTrainer"),
        (["-tr", "CroCNetTrainer", "-c", "3d"], "CroCNetTrainer has no configuration 3d; it has 2d, 2d_crop"),
        (["-tr", "CroCNetTrainer", "-c", "2d", "--patch", "30", "32"], "multiples of 16; pad it to 32 x 32"),
        (["--batch", "1"], "need two samples"),
        (["--rounds", "0"], "start at 1"),
        (["--json", "/no/such/folder/x.json"], "no such folder"),
    ],
)
def test_bad_input_is_named_before_anything_is_timed(words, message, capsys):
    assert cli.main(["benchmark", "speed", "--threads", "1", "-device", "cpu", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_no_list_is_left_alone(tmp_path, capsys):
    path = tmp_path / "runs.json"
    for content, message in (("{}", "holds a dict"), ("{", "is no JSON")):
        path.write_text(content)
        assert cli.main(["benchmark", "speed", "--json", str(path)]) == 2
        assert message in capsys.readouterr().err
        assert path.read_text() == content
