"""Whole, missing, truncated and damaged checkpoints."""

import zipfile

import pytest
import torch

from nnunet_cardiac.checks.checkpoint import check_checkpoint
from nnunet_cardiac.errors import UserError


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "checkpoint_final.pth"
    torch.save({"network_weights": {"a": torch.rand(100, 100)}, "trainer_name": "CroCNetTrainer"}, path)
    return path


def test_whole_checkpoint_passes(checkpoint):
    check_checkpoint(checkpoint)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_truncated(checkpoint, kept):
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UserError, match=r"checkpoint_final.pth: no checkpoint, or truncated \(\d+ bytes"):
        check_checkpoint(checkpoint)


def test_one_wrong_byte(checkpoint):
    """torch.load would return wrong weights without an error."""
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 0xFF
    checkpoint.write_bytes(content)
    with pytest.raises(UserError, match=r"the checksum of .*data/0 is wrong.*checkpoint_best"):
        check_checkpoint(checkpoint)


def test_missing_names_the_others(checkpoint):
    missing = checkpoint.with_name("checkpoint_best.pth")
    with pytest.raises(UserError, match=r"checkpoint_best.pth: no such .* has checkpoint_final.pth. Choose"):
        check_checkpoint(missing)


def test_missing_alone(tmp_path):
    with pytest.raises(UserError, match="and none beside it"):
        check_checkpoint(tmp_path / "fold_0" / "checkpoint_final.pth")


def test_another_archive(tmp_path):
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("plans.json", "{}")
    with pytest.raises(UserError, match=r"no torch checkpoint \(no data.pkl\)"):
        check_checkpoint(path)
