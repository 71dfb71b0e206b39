"""Whether a training step on the CPU autocasts to bfloat16."""

import platform
from pathlib import Path

import pytest
import torch

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.trainers import precision
from nnunet_cardiac.trainers.precision import VARIABLE, cpu_autocast, cpu_computes_bf16

_FLAGS = Path("/proc/cpuinfo")


def _dtype_of_product() -> torch.dtype:
    with cpu_autocast(torch.device("cpu")):
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
