"""Cases through worker processes, with one message for all files that cannot be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.case_metrics import TOLERANCE_MM, CaseMetrics, case_metrics
from nnunet_cardiac.evaluation.cases import CasePair, read_pairs

#: Bad files named in one message.
_SHOWN = 8
#: Starting a process costs about what this many cases take.
_CASES_PER_WORKER = 8


@dataclass(frozen=True)
class Job:
    """One pair of files and how to read it.

    Attributes:
        pair: The files.
        structures: Structure -> label value in the reference, without the background.
        translation: Value in the prediction -> value in the reference, or None if they are the same.
        tolerance_mm: Of surface Dice.
        ignore_label: Value of voxels without a reference, or None.
    """

    pair: CasePair
    structures: Mapping[str, int]
    translation: Mapping[int, int] | None = None
    tolerance_mm: float = TOLERANCE_MM
    ignore_label: int | None = None


def run_jobs(jobs: Sequence[Job], *, workers: int = 1, progress: bool = True) -> list[CaseMetrics]:
    """Compute the metrics of all cases.

    Args:
        jobs: What to compute; files of which several frames are asked for are read once.
        workers: Processes; they are spawned, so a script that asks for more than one guards its main module.
        progress: Show a bar on stderr.

    Returns:
        Metrics in the order of the jobs; they do not depend on `workers`.

    Raises:
        UserError: Naming every file that cannot be read or compared.
    """
    results: dict[int, CaseMetrics] = {}
    problems: list[str] = []
    groups = _by_files(jobs)
    with _mapping(min(workers, 1 + len(groups) // _CASES_PER_WORKER)) as map_jobs:
        outcomes = map_jobs(_run, [[jobs[place] for place in group] for group in groups])
        shown = tqdm(outcomes, total=len(groups), desc="evaluate", unit="file", disable=not progress)
        for group, outcome in zip(groups, shown, strict=True):
            if isinstance(outcome, str):
                problems.append(outcome)
            else:
                results.update(zip(group, outcome, strict=True))
    raise_all(problems)
    return [results[place] for place in range(len(jobs))]


def raise_all(problems: Sequence[str]) -> None:
    """Raise one error for several files, if there are any.

    Raises:
        UserError: With the first few of the messages and the number of the others.
    """
    if problems:
        more = f"\n... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UserError("\n".join(problems[:_SHOWN]) + more)


def _by_files(jobs: Sequence[Job]) -> list[list[int]]:
    """Places of the jobs that read the same files, which are the frames of a series."""
    groups: dict[tuple[Path, Path, str], list[int]] = {}
    for place, job in enumerate(jobs):
        groups.setdefault((job.pair.reference, job.pair.prediction, repr(job.translation)), []).append(place)
    return list(groups.values())


def _run(jobs: Sequence[Job]) -> list[CaseMetrics] | str:
    first = jobs[0]
    try:
        maps = read_pairs([job.pair for job in jobs], first.structures.values(), first.translation, first.ignore_label)
    except UserError as error:
        return str(error)
    return [case_metrics(pair, job.structures, job.tolerance_mm) for pair, job in zip(maps, jobs, strict=True)]


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map` over processes; in this one if it is one."""
    if processes <= 1:
        yield map
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=2)
