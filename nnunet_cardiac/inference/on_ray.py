"""Many cases on the machines of a Ray cluster: a worker for each device, nothing lost or doubled if one dies."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nnunet_cardiac.devices import usable_cores
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference.cohort import prepared
from nnunet_cardiac.inference.existing import remove_partial
from nnunet_cardiac.inference.ray_cluster import Placement, cluster, place
from nnunet_cardiac.inference.ray_worker import Worker, show, write_witness
from nnunet_cardiac.inference.results import PredictOptions, Result, failed
from nnunet_cardiac.inference.sources import Source
from nnunet_cardiac.inference.worker_pool import SLOTS, Lost, Pool, WorkerLostError

logger = logging.getLogger(__name__)

_LOST = (
    "its process ended unexpectedly: out of memory, a crash in a library, or the machine is gone. Fewer --ray-actors "
    "leave more memory to each; without --ray the case shows the cause"
)


def segment_on_ray(
    address: str,
    model: Mapping[str, Any],
    sources: Sequence[Source],
    options: PredictOptions,
    *,
    workers: int | None = None,
    threads: int | None = None,
    progress: bool = True,
    worker_class: type[Worker] = Worker,
    report: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Segment cases as :func:`nnunet_cardiac.inference.cohort.segment` does, in workers of a Ray cluster.

    Each worker loads the model once and takes the next case when it is free. A case whose worker is lost is repeated;
    one that was complete by then is not. Files are written by the workers, so all machines need the same disk.

    Args:
        address: See :func:`nnunet_cardiac.inference.ray_cluster.cluster`.
        model: Arguments of :meth:`CardiacPredictor.from_folder`.
        sources: Cases.
        options: What the user asked for.
        workers: Number of workers; None takes one for each GPU, or without GPUs one for each machine.
        threads: Processor threads of a worker; None takes its share of the machine.
        progress: Whether to show a bar.
        worker_class: What runs in the actors.
        report: Called with each result when its files are written.

    Returns:
        One result for each series, in the order of the sources.

    Raises:
        UserError: If output exists and may not be replaced, the cluster cannot be joined or has no room for a worker,
            or no worker sees model and output.
    """
    model = {**model, "folder": Path(model["folder"]).absolute()}
    options = replace(options, output=options.output.absolute())
    options = prepared(sources, options)
    if not sources:
        return []
    sources = [replace(source, paths=tuple(path.absolute() for path in source.paths)) for source in sources]
    before = frozenset(os.listdir(options.output))
    results: dict[int, list[Result]] = {}
    complete: set[int] = set()
    witness = write_witness(options.output)
    try:
        with cluster(address, _local_cores(workers, threads)) as ray:
            placement = place(_nodes(ray), model["device"], threads, workers)
            logger.info(
                "%d processes on Ray (%s, %d threads each)", placement.workers, placement.device, placement.threads
            )
            backend = _RayBackend(ray, worker_class, model, options, placement, before, witness)
            ended = Pool(backend, placement.workers).run(sources)
            bar = tqdm(total=len(sources), desc="predict", unit="case", disable=not progress)
            with bar, contextlib.closing(ended):
                for number, outcome in ended:
                    if isinstance(outcome, Lost):
                        results[number] = [failed(sources[number].name, UserError(outcome.message))]
                    else:
                        results[number] = outcome
                        complete.add(number)
                    if report is not None:
                        for result in results[number]:
                            report(result)
                    bar.update()
    finally:
        witness.unlink(missing_ok=True)
        for number in sorted(set(range(len(sources))) - complete):
            remove_partial(sources[number], options, before)
    return [result for number in range(len(sources)) for result in results[number]]


def _local_cores(workers: int | None, threads: int | None) -> int | None:
    """Cores of a Ray on this machine; who asks for so many workers on it gets them."""
    return max(usable_cores(), (workers or 0) * (threads or 1))


def _nodes(ray: Any) -> list[Mapping[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _losses(errors: Any) -> tuple[type[Exception], ...]:
    """What Ray raises if a process or a machine is gone."""
    return errors.RayActorError, errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError


def _why_not_started(error: Exception) -> str:
    """Ray's text ends with the error of the worker, such as a module that is missing."""
    return (
        f"A worker ended while it started: {str(error).splitlines()[-1]} nnunet_cardiac must be installed on all "
        "machines, and a worker needs memory for the model."
    )


class _RayBackend:
    """Workers of a :class:`Pool` as Ray actors. Actors have no names, and arguments are not logged by Ray."""

    def __init__(
        self,
        ray: Any,
        worker_class: type[Worker],
        model: Mapping[str, Any],
        options: PredictOptions,
        placement: Placement,
        before: frozenset[str],
        witness: Path,
    ) -> None:
        self._ray = ray
        self._placement = placement
        self._before = before
        self._witness = witness
        self._actor = ray.remote(
            num_cpus=placement.threads, num_gpus=placement.gpus, max_concurrency=SLOTS, max_restarts=0
        )(worker_class)
        level = logging.getLogger("nnunet_cardiac").getEffectiveLevel()
        self._arguments = ({**model, "device": placement.device}, options, placement.threads, level)
        self._starts: set[Any] = set()
        self._model: dict[str, Any] | None = None

    def start(self) -> tuple[Any, Any]:
        worker = self._actor.remote(*self._arguments)
        ticket = worker.load.remote(self._witness)
        self._starts.add(ticket)
        return worker, ticket

    def submit(self, worker: Any, item: Source, again: bool) -> Any:
        return worker.run.remote(item, self._before if again else None)

    def wait(self, tickets: Sequence[Any], seconds: float) -> Sequence[Any]:
        return self._ray.wait(list(tickets), timeout=seconds)[0]

    def outcome(self, ticket: Any) -> Any:
        errors = self._ray.exceptions
        try:
            value = self._ray.get(ticket)
        except errors.RayTaskError as error:
            if ticket in self._starts:
                raise error.cause from error
            return Lost(f"{type(error.cause).__name__}: {error.cause}")
        except errors.ObjectLostError as error:
            raise WorkerLostError("the machine that held its result is gone") from error
        except _losses(errors) as error:
            logger.debug("A worker was lost: %s", error)
            raise WorkerLostError(_why_not_started(error) if ticket in self._starts else _LOST) from error
        if ticket in self._starts:
            self._starts.remove(ticket)
            return self._compare(value)
        results, messages = value
        show(messages)
        return results

    def _compare(self, model: dict[str, Any]) -> None:
        self._model = self._model or model
        if model != self._model:
            raise UserError("A machine has another model under the same path; put the model on a disk that all share.")

    def stop(self, worker: Any) -> None:
        self._ray.kill(worker)

    def has_room(self) -> bool:
        try:
            place(_nodes(self._ray), self._placement.device, self._placement.threads, None)
        except UserError:
            return False
        return True
