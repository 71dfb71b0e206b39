"""Cases through worker processes, with one message for all files that cannot be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

from tqdm import tqdm

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.evaluation.case_metrics import TOLERANCE_MM, CaseMetrics, case_metrics
from nnunet_cardiac.evaluation.cases import CasePair, read_pair

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
        jobs: What to compute.
        workers: Processes; they are spawned, so a script that asks for more than one guards its main module.
        progress: Show a bar on stderr.

    Returns:
        Metrics in the order of the jobs; they do not depend on `workers`.

    Raises:
        UserError: Naming every file that cannot be read or compared.
    """
    results: list[CaseMetrics] = []
    problems: list[str] = []
    with _mapping(min(workers, 1 + len(jobs) // _CASES_PER_WORKER)) as map_jobs:
        for outcome in tqdm(map_jobs(_run, jobs), total=len(jobs), desc="evaluate", unit="case", disable=not progress):
            if isinstance(outcome, str):
                problems.append(outcome)
            else:
                results.append(outcome)
    if problems:
        more = f"\n... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UserError("\n".join(problems[:_SHOWN]) + more)
    return results


def _run(job: Job) -> CaseMetrics | str:
    try:
        maps = read_pair(job.pair, job.structures.values(), job.translation, job.ignore_label)
    except UserError as error:
        return str(error)
    return case_metrics(maps, job.structures, job.tolerance_mm)


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map` over processes; in this one if it is one."""
    if processes <= 1:
        yield map
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=2)
