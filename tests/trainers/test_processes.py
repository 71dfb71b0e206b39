"""What processes that train together do alike, without starting any; `test_distributed.py` starts some."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunet_cardiac.benchmark.accuracy.budget_variants import CroCNetTrainer_Budget, nnUNetTrainer_Budget
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.trainers import base, processes, workers
from nnunet_cardiac.trainers.classifier_guided import ClassifierGuidedTrainer
from nnunet_cardiac.trainers.crocnet import CroCNetTrainer
from nnunet_cardiac.trainers.processes import agreed, check_shares, gathered, without_wrapper
from nnunet_cardiac.trainers.recipe.reproducibility import epoch_seed


def bare(trainer: type = CroCNetTrainer, **values):
    """A trainer without plans and data, with what a test sets."""
    made = trainer.__new__(trainer)
    for name, value in {"lines": [], "local_rank": 0, "is_ddp": False, "current_epoch": 0, **values}.items():
        setattr(made, name, value)
    made.print_to_log_file = lambda *words, **_: made.lines.append(" ".join(map(str, words)))
    return made


# ---------------------------------------------------------------------------------------------------------- length


@pytest.mark.parametrize("share", [3, 2])  # of three processes the last has a sample less
def test_an_epoch_is_as_long_in_every_process(monkeypatch: pytest.MonkeyPatch, share: int) -> None:
    trainer = bare(recipe=Recipe(batch_size=8), batch_size=share, is_ddp=True)
    trainer.configuration_manager = SimpleNamespace(batch_size=8)
    monkeypatch.setattr(trainer, "_count_images", lambda images: images)
    trainer._set_epoch_length(1201, 90)
    assert (trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch) == (151, 12)
    trainer._set_epoch_length(1200, 9000)
    assert (trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch) == (150, 50)
    assert "An epoch has 150 training and 50 validation steps of 8 samples." in trainer.lines


@pytest.mark.parametrize(
    ("batch", "number", "equal", "complaint"),
    [
        (8, 3, False, None),
        (8, 2, True, None),
        (1, 1, True, None),
        (1, 2, False, r'found a batch_size of 1 for 2 processes, expected at least 2.*"batch_size": 2'),
        (8, 3, True, r'found a batch_size of 8 for 3 processes, expected a multiple of 3.*"batch_size": 9'),
    ],
)
def test_batches_that_cannot_be_shared_are_refused(
    monkeypatch: pytest.MonkeyPatch, batch: int, number: int, equal: bool, complaint: str | None
) -> None:
    monkeypatch.setattr(processes, "number_of_processes", lambda: number)
    if complaint is None:
        check_shares(batch, equal, "plans.json")
        return
    with pytest.raises(UserError, match=f"plans.json: {complaint}"):
        check_shares(batch, equal, "plans.json")


def test_only_stacks_need_equal_shares() -> None:
    assert bare(ClassifierGuidedTrainer).needs_equal_shares
    assert not bare().needs_equal_shares


# ------------------------------------------------------------------------------------------------------- together


def test_the_split_waits_for_the_others_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr(torch.distributed, "barrier", lambda: waited.append(1))
    monkeypatch.setattr(nnUNetTrainer, "do_split", lambda self: (["a"], ["b"]))
    for check in ("check_data", "check_fold", "write_split"):
        monkeypatch.setattr(base, check, lambda *_: None)
    plans = SimpleNamespace(plans_name="", data_identifier="")
    trainer = bare(fold="all", is_ddp=True, preprocessed_dataset_folder_base="", configuration_name="2d")
    trainer.plans_manager = trainer.configuration_manager = plans
    for _ in range(3):  # the second and third might be those of the first process alone
        assert trainer.do_split() == (["a"], ["b"])
    assert len(waited) == 1


def test_alone_a_process_decides_for_itself() -> None:
    assert agreed(3) == 3
    assert gathered("a") == ["a"]
    assert processes.number_of_processes() == 1


def test_process_0_decides_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def broadcast(values: list, src: int) -> None:
        values[src] = 7

    monkeypatch.setattr(processes, "_together", lambda: True)
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", broadcast)
    assert agreed(3) == 7


def test_validation_sees_the_network_without_its_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    monkeypatch.setattr(processes, "DistributedDataParallel", Wrapper)
    inner, seen = nn.Linear(1, 1), []
    trainer = bare(network=Wrapper(inner))
    monkeypatch.setattr(base.StopsEarly, "perform_actual_validation", lambda self, _: seen.append(self.network))
    base.CardiacTrainer.perform_actual_validation(trainer)
    assert seen == [inner]
    assert isinstance(trainer.network, Wrapper)
    assert trainer._bare_network is without_wrapper(inner) is inner


# ----------------------------------------------------------------------------------------------------------- draws


def draws() -> tuple[float, ...]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


@pytest.mark.parametrize("kind", [CroCNetTrainer, CroCNetTrainer_Budget, nnUNetTrainer_Budget])
def test_a_resumed_training_draws_what_the_whole_one_would_have(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    monkeypatch.setenv("NNUNET_CARDIAC_SEED", "5")
    monkeypatch.setattr(nnUNetTrainer, "on_train_epoch_start", lambda self: None)

    def epochs(first: int, rank: int = 0) -> list[tuple[float, ...]]:
        trainer = bare(kind, seed=5, local_rank=rank, _minutes=None)
        seen = []
        for trainer.current_epoch in range(first, 4):
            trainer.on_train_epoch_start()
            seen.append(draws())
        return seen

    whole = epochs(0)
    assert len(set(whole)) == 4
    assert epochs(2) == whole[2:]
    assert not set(epochs(0, rank=1)) & set(whole)


def test_no_two_processes_epochs_or_seeds_share_their_draws() -> None:
    numbers = [epoch_seed(*place) for place in np.ndindex(5, 4, 50)]
    assert len(set(numbers)) == 5 * 4 * 50
    assert all(0 <= number < 2**32 for number in numbers)
    assert epoch_seed(3, 1, 2) == epoch_seed(3, 1, 2)


# --------------------------------------------------------------------------------------------------------- threads


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """64 cores, of which nnU-Net has taken all; the numbers that torch is told afterwards."""
    told = []
    monkeypatch.setattr(workers.torch, "get_num_threads", lambda: told[-1] if told else 64)
    monkeypatch.setattr(workers.torch, "set_num_threads", told.append)
    monkeypatch.setattr("nnunet_cardiac.devices.lent_cores", lambda: 4)
    monkeypatch.setattr(workers, "busy_cores", lambda threads: f"{threads} threads beside others")
    monkeypatch.setattr(nnUNetTrainer, "initialize", lambda self: None)
    monkeypatch.delenv("NNUNET_CARDIAC_SEED", raising=False)
    return told


@pytest.mark.parametrize("kind", [CroCNetTrainer_Budget, nnUNetTrainer_Budget])
@pytest.mark.parametrize(("said", "threads"), [(None, 4), ("1", 1), ("3", 3), ("16", 4)])
def test_trainers_and_baseline_take_the_threads_that_are_theirs(
    machine: list[int], monkeypatch: pytest.MonkeyPatch, kind: type, said: str | None, threads: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    trainer = bare(kind, device=torch.device("cpu"), seed=None, network=nn.Identity(), was_initialized=False)
    monkeypatch.setattr(base, "check_patch_size", lambda *_: None)
    monkeypatch.setattr(kind, "training_patch_size", (8, 8), raising=False)
    monkeypatch.setattr(kind, "_place_in_plans", lambda self: "", raising=False)
    trainer.initialize()
    assert machine[-1] == threads
    assert trainer.lines == [f"WARNING: {threads} threads beside others"]


@pytest.mark.parametrize(("repeatable", "said", "number"), [(True, None, "0"), (False, None, "2"), (False, "9", "2")])
def test_augmentation_workers_of_two_processes(
    machine: list[int], monkeypatch: pytest.MonkeyPatch, repeatable: bool, said: str | None, number: str
) -> None:
    import os

    monkeypatch.setattr(workers, "number_of_processes", lambda: 2)  # four cores for both
    monkeypatch.setenv("nnUNet_n_proc_DA", said or "")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    workers.limit_workers(bare(device=torch.device("cuda")), repeatable)
    assert os.environ["nnUNet_n_proc_DA"] == number
