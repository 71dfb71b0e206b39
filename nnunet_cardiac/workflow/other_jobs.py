"""Other trainings and predictions of the same user that compute on the same cores.

Two jobs that both take all cores do not share them: each thread waits for threads of its own job that do not run. On
two cores an epoch of a training took three to five times as long beside another one. The system's list of processes
(Linux) says who is there; where there is none, nothing is said.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnunet_cardiac.devices import THREADS_VARIABLE, lent_cores, requested_threads

logger = logging.getLogger(__name__)

_PROGRAMS = {"nnUNetv2_train", "nnUNetv2_predict", "nnUNetv2_predict_from_modelfolder", "nnunet_cardiac"}
_COMMANDS = {"train", "predict", "quickstart", "benchmark", "evaluate"}  # of ours, those that compute for long

#: Processor threads of a training on a GPU: nnU-Net's augmentation workers.
_BESIDE_A_GPU = 12

_SHOWN = 3


@dataclass(frozen=True)
class Process:
    """A process of this user that runs one of the commands.

    Attributes:
        number: Its number.
        parents: Numbers of the processes above it, the nearest first.
        words: Its command line.
        cores: Cores on which it may run.
        threads: How many of them it takes.
    """

    number: int
    parents: tuple[int, ...]
    words: tuple[str, ...]
    cores: frozenset[int]
    threads: int


def warn_of_other_jobs(threads: int) -> None:
    """Log a warning if other jobs compute on the cores of this process, see `busy_cores`."""
    if (message := busy_cores(threads)) is not None:
        logger.warning("%s", message)


def busy_cores(threads: int, proc: Path = Path("/proc"), own: int | None = None) -> str | None:
    """Return a warning if this process and others want more threads than there are cores, else None.

    Args:
        threads: Threads that this process is going to take.
        proc: Where the system lists its processes.
        own: Number of this process; None asks the system.
    """
    try:
        own = os.getpid() if own is None else own
        cores = _cores_of(_status(proc / str(own)))
        others = [job for job in _other_jobs(proc, own) if job.cores & cores]
    except (OSError, ValueError, KeyError):  # no such list here, or one that we cannot read
        return None
    free = min(len(cores), lent_cores())
    if not others or threads + sum(min(job.threads, len(job.cores & cores)) for job in others) <= free:
        return None
    shown = "; ".join(f"{' '.join(job.words)} (process {job.number})" for job in others[:_SHOWN])
    more = f"; and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return (
        f"Another job computes on the {free} cores of this one: {shown}{more}. Both become several times as slow. Wait "
        f"for it, or give each its own cores (taskset -c) or fewer threads (--threads, {THREADS_VARIABLE})."
    )


def _other_jobs(proc: Path, own: int) -> list[Process]:
    """One process for each job that is not ours; the smallest number of threads that any of its processes was given."""
    found = {process.number: process for process in _processes(proc)}
    ours = {own, *(number for number in _parents(proc, own) if number in found)}
    jobs: dict[int, Process] = {}
    for process in found.values():
        chain = [process.number, *process.parents]
        if ours & set(chain):
            continue
        root = found[[number for number in chain if number in found][-1]]
        known = jobs.get(root.number, root)
        jobs[root.number] = Process(
            root.number, root.parents, root.words, process.cores & known.cores, min(process.threads, known.threads)
        )
    return [jobs[number] for number in sorted(jobs)]


def _processes(proc: Path) -> Iterator[Process]:
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            command = _command(words)
            status = _status(folder) if command else {}
            if command and int(status["Uid"].split()[0]) == os.getuid():
                number, cores = int(folder.name), _cores_of(status)
                said = _threads_of(folder, command, len(cores))
                yield Process(number, tuple(_parents(proc, number)), tuple(command), cores, said)
        except (OSError, ValueError, KeyError):  # ended meanwhile, or not for us to read
            continue


def _command(words: list[str]) -> list[str]:
    """The command line from the program on, if it is one of those that compute, else nothing."""
    for place, word in enumerate(words[:3]):  # an interpreter and an option may stand before it
        name = Path(word).name
        if name in _PROGRAMS and (name != "nnunet_cardiac" or _COMMANDS & set(words[place + 1 :])):
            return [name, *words[place + 1 :]]
    return []


def _threads_of(folder: Path, command: list[str], cores: int) -> int:
    pairs = (entry.partition("=") for entry in (folder / "environ").read_bytes().decode(errors="replace").split("\0"))
    said = requested_threads({name: value for name, _, value in pairs if name == THREADS_VARIABLE})
    device = dict(itertools.pairwise(command)).get("-device")
    on_gpu = device == "cuda" or (device is None and command[0] != "nnunet_cardiac")
    return min(cores, said or (_BESIDE_A_GPU if on_gpu else cores))


def _parents(proc: Path, number: int) -> Iterator[int]:
    while number > 1:
        try:
            number = int(_status(proc / str(number))["PPid"])
        except (OSError, KeyError):
            return
        yield number


def _status(folder: Path) -> dict[str, str]:
    lines = (folder / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _cores_of(status: dict[str, str]) -> frozenset[int]:
    """Cores of a list such as `0-3,8`."""
    ranges = (part.partition("-") for part in status["Cpus_allowed_list"].split(","))
    return frozenset(core for low, _, high in ranges for core in range(int(low), int(high or low) + 1))
