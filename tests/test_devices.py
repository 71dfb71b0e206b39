"""One rule for threads: the smallest of what the user says and of what the system lends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_cardiac import devices
from nnunet_cardiac.devices import (
    augmentation_workers,
    cpu_quota,
    lent_cores,
    requested_threads,
    thread_variables,
    usable_cores,
)


@pytest.fixture
def lend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Function that sets affinity and quota of this process, as this package sees them."""

    def set_both(cores: int, quota: float | None = None) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
        monkeypatch.setattr(devices, "cpu_quota", lambda: quota)

    return set_both


@pytest.mark.parametrize(
    ("wanted", "said", "affinity", "quota", "threads"),
    [
        (None, None, 64, None, 64),
        (None, None, 64, 2.0, 2),  # a container with two cores on a host of 64
        (None, None, 2, 8.0, 2),
        (None, None, 64, 1.5, 2),  # the second core half of the time
        (None, None, 64, 0.1, 1),
        (None, "1", 64, 2.0, 1),
        (3, "8", 64, None, 3),
        (8, "3", 64, None, 3),
        (8, None, 4, None, 4),  # more threads than cores only wait for each other
        (None, "4,2", 64, None, 4),  # of nested regions, the outer one
        (None, "0", 6, None, 6),
        (None, "many", 6, None, 6),
    ],
)
def test_the_smallest_counts(lend, wanted, said, affinity, quota, threads) -> None:
    lend(affinity, quota)
    assert usable_cores(wanted, {} if said is None else {"OMP_NUM_THREADS": said}) == threads


def test_beside_a_gpu_openmp_is_no_limit(lend) -> None:
    lend(16)
    environ = {"OMP_NUM_THREADS": "1"}
    assert (usable_cores(environ=environ), usable_cores(environ=environ, device="cuda")) == (1, 16)
    assert usable_cores(2, environ, "cuda") == 2
    assert (augmentation_workers(environ, "cpu"), augmentation_workers(environ, "cuda")) == (1, 12)


def test_without_arguments_it_is_this_process(lend, monkeypatch: pytest.MonkeyPatch) -> None:
    lend(8)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert (usable_cores(), lent_cores()) == (5, 8)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize(
    ("files", "groups", "quota"),
    [
        ({"cpu.max": "200000 100000"}, "0::/", 2.0),  # version 2, in a container
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"user.slice/job/cpu.max": "50000 100000"}, "0::/user.slice/job", 0.5),
        # A limit of a group above counts, too.
        ({"batch/cpu.max": "300000 100000", "batch/job/cpu.max": "max 100000"}, "0::/batch/job", 3.0),
        ({"batch/cpu.max": "300000 100000", "batch/job/cpu.max": "150000 100000"}, "0::/batch/job", 1.5),
        ({"other/cpu.max": "100000 100000"}, "0::/batch", None),
        # Version 1, whose controllers are mounted one by one, or two together.
        ({"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/", 2.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/", None),
        (
            {"cpu,cpuacct/docker/x/cpu.cfs_quota_us": "100000", "cpu,cpuacct/docker/x/cpu.cfs_period_us": "50000"},
            "7:memory:/elsewhere\n4:cpu,cpuacct:/docker/x",
            2.0,
        ),
        # In a container the names are the host's, but the files lie at the top.
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu,cpuacct:/docker/x", 2.0),
        ({"cpu.max": "nonsense"}, "0::/", None),
        ({}, "0::/", None),
        ({}, None, None),  # no Linux
    ],
)
def test_quota_of_control_groups(
    tmp_path: Path, files: dict[str, str], groups: str | None, quota: float | None
) -> None:
    root = write(tmp_path / "cgroup", files)
    names = tmp_path / "names"
    if groups is not None:
        names.write_text(f"{groups}\n")
    assert cpu_quota(root, names) == quota


def test_this_machine_has_a_quota_or_none() -> None:
    quota = cpu_quota()
    assert quota is None or quota > 0
    assert 1 <= lent_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("environ", "device", "processes", "workers"),
    [
        ({}, "cpu", 1, 8),
        ({"OMP_NUM_THREADS": "2"}, "cpu", 1, 2),
        ({"nnUNet_n_proc_DA": "0"}, "cpu", 1, 0),
        ({"nnUNet_n_proc_DA": "30"}, "cuda", 1, 8),
        ({}, "cuda", 3, 2),  # three GPUs share eight cores
        ({}, "cuda", 16, 1),
    ],
)
def test_augmentation_workers(lend, environ: dict[str, str], device: str, processes: int, workers: int) -> None:
    lend(8)
    assert augmentation_workers(environ, device, processes) == workers


def test_variables_of_commands(lend) -> None:
    lend(64)
    names = ("OMP_NUM_THREADS", "nnUNet_n_proc_DA", "nnUNet_def_n_proc")

    def variables(*args) -> list[str | None]:
        found = thread_variables(*args)
        return [found.get(name) for name in names]

    assert variables({}, 1) == ["1", "1", "1"]
    assert variables({}, None) == ["64", "12", "8"]  # nnU-Net's own numbers
    assert variables({"OMP_NUM_THREADS": "3"}, None) == ["3", "3", "3"]
    assert variables({"OMP_NUM_THREADS": "1"}, None, "cuda") == [None, "12", "8"]
    assert variables({}, 4, "cuda") == ["4", "4", "4"]
    assert variables({"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "2"}, 4) == ["4", "0", "2"]


def test_what_openmp_is_told() -> None:
    found = [requested_threads({"OMP_NUM_THREADS": value}) for value in ("2", " 3 ", "4,2", "", "-1", "x")]
    assert found == [2, 3, 4, None, None, None]
    assert requested_threads({}) is None
