"""Choice of the device, and the processor cores that are ours. Imports no torch by itself."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

#: Environment variable that says how many threads a process may have; OpenMP, torch and this package read it.
THREADS_VARIABLE = "OMP_NUM_THREADS"

#: What nnU-Net starts where nobody says a number (nnunetv2/utilities/default_n_proc_DA.py, nnunetv2/configuration.py).
_AUGMENTATION_WORKERS, _WORKERS = 12, 8

#: nnU-Net's environment variables for the number of processes that augment, and of those that do everything else.
AUGMENTATION_VARIABLE, WORKERS_VARIABLE = "nnUNet_n_proc_DA", "nnUNet_def_n_proc"


def choose_device(name: str) -> str:
    """Return what nnU-Net is to use: the name itself, or for `auto` a GPU if there is one."""
    if name != "auto":
        return name
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def usable_cores(wanted: int | None = None, environ: Mapping[str, str] | None = None, device: str = "cpu") -> int:
    """Return how many threads this process may compute with: one rule for all commands and trainers.

    It is the smallest of what the user says, with `--threads` or `OMP_NUM_THREADS`, and of what the system lends.
    Beside a GPU `OMP_NUM_THREADS` is no limit: nnU-Net's users set it to 1 there, and a GPU fed by one process waits.

    Args:
        wanted: Value of `--threads`; None if it was not given.
        environ: Environment variables; None takes those of this process.
        device: `cpu`, `cuda` or `mps`: where the networks compute.

    Returns:
        A number of at least 1.
    """
    said = requested_threads(os.environ if environ is None else environ) if device == "cpu" else None
    return max(1, min(number for number in (wanted, said, lent_cores()) if number is not None))


def requested_threads(environ: Mapping[str, str]) -> int | None:
    """Return the number in `OMP_NUM_THREADS`, of a list such as `4,2` the first; None if it is no positive number."""
    first = environ.get(THREADS_VARIABLE, "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def lent_cores() -> int:
    """Return how many processor cores the system lends to this process.

    Batch systems often lend some cores of a large machine, which the affinity knows (on Linux only); containers often
    lend a share of the time of all cores, which only their control group knows.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cpu_quota(root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> float | None:
    """Return the cores' worth of time that control groups grant this process, None for no limit.

    Args:
        root: Where control groups are mounted, of version 1 or 2. In a container that is usually its own group.
        groups: Names of the groups of the process, a line `number:controllers:path` each.
    """
    limits = [limit for folder in _group_folders(root, groups) if (limit := _limit_of(folder)) is not None]
    return min(limits, default=None)


def _group_folders(root: Path, groups: Path) -> list[Path]:
    """Folders whose limits count: the group of the process and all above it, for both versions."""
    folders = [root, root / "cpu", root / "cpu,cpuacct"]
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return folders
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        inside = Path(path.lstrip("/"))
        bases = [root / controllers, root / "cpu"] if controllers else [root, root / "unified"]
        folders += [base / part for base in bases for part in (inside, *inside.parents)]
    return folders


def _limit_of(folder: Path) -> float | None:
    try:
        if (new := folder / "cpu.max").is_file():
            quota, period = new.read_text(encoding="utf-8").split()[:2]
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = ((folder / name).read_text(encoding="utf-8").strip() for name in names)
        return float(quota) / float(period) if quota != "max" and float(quota) > 0 and float(period) > 0 else None
    except (OSError, ValueError):  # no such file, or one of a system that we do not know
        return None


def augmentation_workers(environ: Mapping[str, str], device: str, processes: int = 1) -> int:
    """Return how many processes may augment for one training process; 0 lets it augment by itself.

    Args:
        environ: Environment variables; `nnUNet_n_proc_DA` is what the user says.
        device: `cpu`, `cuda` or `mps`.
        processes: Training processes on this machine, which share the cores.
    """
    cores = usable_cores(environ=environ, device=device)
    return min(_number(environ, AUGMENTATION_VARIABLE, _AUGMENTATION_WORKERS), max(1, cores // processes))


def thread_variables(environ: Mapping[str, str], threads: int | None = None, device: str = "cpu") -> dict[str, str]:
    """Return the environment variables with which nnU-Net's commands keep to the rule of `usable_cores`.

    Args:
        environ: Environment of the command so far.
        threads: Value of `--threads`; None if it was not given.
        device: Device of the command.
    """
    cores = usable_cores(threads, environ, device)
    own = {
        AUGMENTATION_VARIABLE: min(_number(environ, AUGMENTATION_VARIABLE, _AUGMENTATION_WORKERS), cores),
        WORKERS_VARIABLE: min(_number(environ, WORKERS_VARIABLE, _WORKERS) or _WORKERS, cores),
    }
    if threads is not None or device == "cpu":
        own[THREADS_VARIABLE] = cores
    return {name: str(number) for name, number in own.items()}


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, "").strip()
    return int(value) if value.isdecimal() else default
