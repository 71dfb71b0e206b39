"""Whether a training step on the CPU autocasts to bfloat16."""

import contextlib
import platform
from pathlib import Path

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_cardiac import cpu_precision as precision
from nnunet_cardiac.cpu_precision import VARIABLE, convolves_volumes, cpu_autocast, cpu_computes_bf16
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.trainers import base, variants
from nnunet_cardiac.trainers.base import CardiacTrainer

_FLAGS = Path("/proc/cpuinfo")


def _dtype_of_product(volumes: bool = False) -> torch.dtype:
    with cpu_autocast(torch.device("cpu"), volumes):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize(("wanted", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_the_variable_decides(monkeypatch, wanted, dtype):
    monkeypatch.setenv(VARIABLE, wanted)
    assert _dtype_of_product() == dtype


@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_follows_the_processor(monkeypatch, supported, dtype):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(precision, "cpu_computes_bf16", lambda: supported)
    assert _dtype_of_product() == dtype


@pytest.mark.parametrize(("wanted", "dtype"), [("auto", torch.float32), ("bf16", torch.bfloat16)])
def test_volumes_take_bfloat16_on_demand_only(monkeypatch, wanted, dtype):
    monkeypatch.setenv(VARIABLE, wanted)
    monkeypatch.setattr(precision, "cpu_computes_bf16", lambda: True)
    assert _dtype_of_product(volumes=True) == dtype


@pytest.mark.parametrize(("trainer", "volumes"), [("DRUNetTrainer", True), ("CroCNetTrainer", False)])
def test_a_step_knows_what_its_network_convolves(monkeypatch, trainer, volumes):
    asked = []
    monkeypatch.setattr(base, "cpu_autocast", lambda *arguments: asked.append(arguments) or contextlib.nullcontext())
    monkeypatch.setattr(nnUNetTrainer, "train_step", lambda self, batch: batch)
    monkeypatch.setattr(nnUNetTrainer, "validation_step", lambda self, batch: batch)
    own = object.__new__(getattr(variants, trainer))
    own.device = torch.device("cpu")
    own.network = torch.nn.Sequential((torch.nn.Conv3d if volumes else torch.nn.Conv2d)(1, 1, 1), torch.nn.ReLU())
    CardiacTrainer.train_step(own, {})
    CardiacTrainer.validation_step(own, {})
    assert asked == [(own.device, volumes)] * 2
    assert convolves_volumes(own.network) is volumes


@pytest.mark.skipif(
    not _FLAGS.is_file() or platform.machine() != "x86_64", reason="reads the flags of an x86 processor under Linux"
)
def test_emulated_bfloat16_does_not_count():
    flags = set(_FLAGS.read_text().split())
    assert cpu_computes_bf16() == bool(flags & {"avx512_bf16", "amx_tile"})


def test_a_typing_error_is_named(monkeypatch):
    monkeypatch.setenv(VARIABLE, "half")
    with pytest.raises(UserError, match="'half', expected auto, bf16 or fp32"):
        cpu_autocast(torch.device("cpu"))
