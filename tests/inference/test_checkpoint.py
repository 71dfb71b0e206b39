"""Checkpoints are data: what could run code is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference import CardiacPredictor
from nnunet_cardiac.inference.checkpoint import load_checkpoint


class Payload:
    """What an attacker puts into a pickle."""

    def __reduce__(self) -> tuple:
        return os.mkdir, (os.environ["PAYLOAD"],)


@pytest.fixture
def checkpoint(write_system: Callable[..., Path]) -> Path:
    return write_system("nnUNet") / "fold_0" / "checkpoint_final.pth"


def test_nnunets_own_content_needs_no_trust(checkpoint: Path) -> None:
    content = load_checkpoint(checkpoint)
    assert content["trainer_name"] == "nnUNetTrainer"
    assert content["logging"]["ema_fg_dice"] == [0.5, 0.75]


def test_code_runs_only_when_trusted(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "ran"
    monkeypatch.setenv("PAYLOAD", str(target))
    content = torch.load(checkpoint, weights_only=False)
    torch.save({**content, "extra": Payload()}, checkpoint)
    with pytest.raises(UserError, match=r"posix\.mkdir.*can run code.*--trust-checkpoint"):
        load_checkpoint(checkpoint)
    with pytest.raises(UserError, match="--trust-checkpoint"):
        CardiacPredictor.from_folder(checkpoint.parent.parent, device="cpu")
    assert not target.exists()
    load_checkpoint(checkpoint, trusted=True)
    assert target.is_dir()


def test_damaged_and_foreign_files(checkpoint: Path) -> None:
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"checkpoint_final\.pth: no checkpoint, or truncated"):
        load_checkpoint(checkpoint)
    torch.save({"state_dict": {}}, checkpoint)
    with pytest.raises(UserError, match=r"no checkpoint of nnU-Net; it has no network_weights"):
        load_checkpoint(checkpoint)
    checkpoint.unlink()
    with pytest.raises(UserError, match="no such checkpoint"):
        load_checkpoint(checkpoint)


def test_weights_of_another_network(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=False)
    content["network_weights"].popitem()
    torch.save(content, checkpoint)
    with pytest.raises(UserError, match=r"the weights do not fit the network that plans\.json describes"):
        CardiacPredictor.from_folder(checkpoint.parent.parent, device="cpu")


def test_unknown_trainer(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=False)
    torch.save({**content, "trainer_name": "NobodysTrainer"}, checkpoint)
    with pytest.raises(UserError, match="Trainer NobodysTrainer of the checkpoint is not installed"):
        CardiacPredictor.from_folder(checkpoint.parent.parent, device="cpu")
