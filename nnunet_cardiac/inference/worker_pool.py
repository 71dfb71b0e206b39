"""Hand items to workers that may be lost, so that each item has one outcome. Knows neither Ray nor images.

An item whose worker is lost is tried again. Because a worker holds more than one item at a time (one is read while
another is computed), the loss does not tell which of them was the cause: from then on they run alone, so that an item
that kills every worker cannot take others with it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nnunet_cardiac.errors import UserError

logger = logging.getLogger(__name__)

#: How often an item is tried again after its worker was lost, and a worker that is lost while it starts.
RETRIES = 3

#: Items in a worker: one computed, one read or written meanwhile.
SLOTS = 2

#: After so many seconds in which nothing ended, look whether workers can start at all.
PATIENCE = 30.0


class WorkerLostError(Exception):
    """A worker ended, or can no longer be reached; what it did with its item is not known."""


@dataclass(frozen=True)
class Lost:
    """Outcome of an item that was given up.

    Attributes:
        message: Why.
    """

    message: str


class Backend(Protocol):
    """What a pool needs. Workers and tickets are its own affair; tickets are hashable."""

    def start(self) -> tuple[Any, Any]:
        """Start a worker; returns it and a ticket that is done when it is ready."""

    def submit(self, worker: Any, item: Any, again: bool) -> Any:
        """Give an item to a worker and return a ticket; `again` says that an earlier attempt was cut short."""

    def wait(self, tickets: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Return tickets that are done, at least one unless the time is over."""

    def outcome(self, ticket: Any) -> Any:
        """Return the outcome of a ticket that is done.

        Raises:
            WorkerLostError: If its worker was lost.
            UserError: If the worker cannot be used where it is.
        """

    def stop(self, worker: Any) -> None:
        """End a worker, whether or not it is lost already; its tickets are done soon after."""

    def has_room(self) -> bool:
        """Whether there is a place where a worker could run, now or when others leave it."""


@dataclass(eq=False)
class _Job:
    number: int
    losses: int = 0


@dataclass(eq=False)
class _Worker:
    handle: Any
    ready: bool = False
    jobs: list[_Job] = field(default_factory=list)


class Pool:
    """Workers for one list of items.

    Args:
        backend: Where workers run.
        size: Number of workers.
    """

    def __init__(self, backend: Backend, size: int) -> None:
        self._backend = backend
        self._size = size
        self._workers: list[_Worker] = []
        self._tickets: dict[Any, tuple[_Worker, _Job | None]] = {}  # no job: the start of the worker
        self._fresh: deque[_Job] = deque()
        self._again: deque[_Job] = deque()
        self._lost_starts = 0
        self._ever_ready = False

    def run(self, items: Sequence[Any]) -> Generator[tuple[int, Any], None, None]:
        """Work through the items.

        Args:
            items: What workers take.

        Yields:
            Number and outcome of each item, once, in the order in which they end; the outcome is that of the backend,
            or :class:`Lost`.

        Raises:
            UserError: If no worker could be started.
        """
        self._fresh.extend(_Job(number) for number in range(len(items)))
        try:
            while unfinished := len(self._fresh) + len(self._again) + self._running:
                while len(self._workers) < min(self._size, unfinished):
                    self._start()
                if not self._tickets and not self._workers:
                    for job in (*self._fresh, *self._again):
                        yield job.number, Lost("No worker is left.")
                    return
                self._hand_out(items)
                ended = self._backend.wait(list(self._tickets), PATIENCE)
                for ticket in ended:
                    yield from self._settle(ticket)
                if not ended:
                    self._check_room()
        finally:
            for worker in self._workers:
                self._backend.stop(worker.handle)

    @property
    def _running(self) -> int:
        return sum(job is not None for _, job in self._tickets.values())

    def _start(self) -> None:
        handle, ticket = self._backend.start()
        worker = _Worker(handle)
        self._workers.append(worker)
        self._tickets[ticket] = worker, None

    def _hand_out(self, items: Sequence[Any]) -> None:
        for _ in range(SLOTS):  # one each before anyone has two
            for worker in self._workers:
                job = self._next_for(worker) if worker.ready else None
                if job is not None:
                    worker.jobs.append(job)
                    ticket = self._backend.submit(worker.handle, items[job.number], job.losses > 0)
                    self._tickets[ticket] = worker, job

    def _next_for(self, worker: _Worker) -> _Job | None:
        if self._again:
            return None if worker.jobs else self._again.popleft()
        if not self._fresh or len(worker.jobs) >= SLOTS or any(job.losses for job in worker.jobs):
            return None
        # The last items are left to those who come free first.
        return None if worker.jobs and len(self._fresh) < len(self._workers) else self._fresh.popleft()

    def _settle(self, ticket: Any) -> Iterator[tuple[int, Any]]:
        if ticket not in self._tickets:  # start of a worker that was discarded meanwhile
            return
        worker, job = self._tickets.pop(ticket)
        if job is not None:
            worker.jobs.remove(job)
        try:
            outcome = self._backend.outcome(ticket)
        except WorkerLostError as error:
            self._discard(worker)
            if job is None:
                self._start_failed(error)
            elif job.losses < RETRIES:
                job.losses += 1
                self._again.append(job)
            else:
                yield job.number, Lost(f"Its worker was lost {RETRIES + 1} times ({error}).")
        except UserError as error:
            if job is not None:
                raise
            self._discard(worker)
            self._do_without(error)
        else:
            if job is not None:
                yield job.number, outcome
            else:
                worker.ready = self._ever_ready = True
                self._lost_starts = 0

    def _discard(self, worker: _Worker) -> None:
        """Stop a worker; what else it holds ends soon, with an outcome or as lost."""
        if worker in self._workers:
            self._workers.remove(worker)
            self._tickets = {t: (w, job) for t, (w, job) in self._tickets.items() if w is not worker or job is not None}
            self._backend.stop(worker.handle)

    def _start_failed(self, error: Exception) -> None:
        self._lost_starts += 1
        if self._lost_starts > RETRIES:
            self._lost_starts = 0
            self._do_without(error)

    def _do_without(self, error: Exception) -> None:
        """Go on with fewer workers."""
        self._size -= 1
        if self._size == 0 and not self._ever_ready:
            raise UserError(f"No worker could be started. {error}")
        logger.warning("One worker less: %s", error)

    def _check_room(self) -> None:
        """Nothing ended for a while: that is well while something runs, or while a worker can hope for a place."""
        if any(worker.ready for worker in self._workers):
            return
        if self._backend.has_room():
            logger.warning("Waiting for processes to start, or for processors and GPUs that others use.")
            return
        for worker in list(self._workers):
            self._discard(worker)
        self._size = 1
        self._do_without(WorkerLostError("No machine has what a worker needs."))
