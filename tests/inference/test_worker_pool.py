"""Each item has one outcome, whichever workers die; checked with workers that follow a script."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference import worker_pool
from nnunet_cardiac.inference.worker_pool import RETRIES, SLOTS, Lost, Pool, WorkerLostError


class Machine:
    """A backend whose workers end one ticket at a time, in random order, and die if `fate` of an item says so."""

    def __init__(
        self,
        fate: Callable[[Any, int], str] = lambda item, attempt: "done",
        start: Callable[[int], str] = lambda number: "done",
        seed: int = 0,
    ) -> None:
        self.fate, self.start_fate = fate, start
        self.rng = np.random.default_rng(seed)
        self.workers: dict[int, list[int]] = {}  # those alive -> tickets
        self.tickets: dict[int, tuple[int, Any, str]] = {}  # worker, item (None: start), fate
        self.ended: dict[int, Any] = {}
        self.completed: list[Any] = []  # what workers finished, whether or not the pool has heard of it
        self.attempts: Counter[Any] = Counter()
        self.marked: list[tuple[Any, bool]] = []
        self.beside: list[tuple[Any, ...]] = []  # items that were in one worker together
        self.started = 0
        self.room = True

    def _ticket(self, worker: int, item: Any, fate: str) -> int:
        ticket = len(self.tickets)
        self.tickets[ticket] = worker, item, fate
        if worker in self.workers:
            self.workers[worker].append(ticket)
        else:
            self.ended[ticket] = WorkerLostError("gone")
        return ticket

    def start(self) -> tuple[int, int]:
        number = self.started
        self.started += 1
        self.workers[number] = []
        return number, self._ticket(number, None, self.start_fate(number))

    def submit(self, worker: int, item: Any, again: bool) -> int:
        self.attempts[item] += 1
        self.marked.append((item, again))
        ticket = self._ticket(worker, item, self.fate(item, self.attempts[item]))
        self.beside.append(tuple(self.tickets[t][1] for t in self.workers.get(worker, ())))
        return ticket

    def wait(self, tickets: Sequence[int], seconds: float) -> list[int]:
        assert tickets
        assert len(set(tickets)) == len(tickets)
        open_ = [t for t in tickets if t not in self.ended and self.tickets[t][2] != "never"]
        if open_:
            self._end(int(self.rng.choice(open_)))
        return [t for t in tickets if t in self.ended]

    def _end(self, ticket: int) -> None:
        worker, item, fate = self.tickets[ticket]
        if fate in ("done", "dies after"):
            self.ended[ticket] = f"outcome of {item}"
            self.completed.append(item)
        if fate == "unusable":
            self.ended[ticket] = UserError("no model here")
        elif fate == "dies":
            self.ended[ticket] = WorkerLostError("killed")
        if fate.startswith("dies"):
            self.kill(worker)
        elif worker in self.workers:
            self.workers[worker].remove(ticket)

    def kill(self, worker: int) -> None:
        for ticket in self.workers.pop(worker, ()):
            self.ended.setdefault(ticket, WorkerLostError("killed"))

    def outcome(self, ticket: int) -> Any:
        if isinstance(self.ended[ticket], Exception):
            raise self.ended[ticket]
        return self.ended[ticket]

    stop = kill

    def has_room(self) -> bool:
        return self.room


def outcomes(machine: Machine, items: Sequence[Any], size: int = 3) -> dict[Any, Any]:
    """What each item came to; fails if one has two outcomes."""
    found: dict[Any, Any] = {}
    for number, outcome in Pool(machine, size).run(items):
        assert items[number] not in found
        found[items[number]] = outcome
    assert not machine.workers  # all were stopped
    return found


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_or_doubled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    deaths = {item: int(n) for item, n in enumerate(rng.integers(0, RETRIES + 1, 25) * (rng.random(25) < 0.3))}

    def fate(item: int, attempt: int) -> str:
        return "dies" if attempt <= deaths[item] else "dies after" if rng.random() < 0.1 else "done"

    machine = Machine(fate, start=lambda _: "dies" if rng.random() < 0.2 else "done", seed=seed)
    found = outcomes(machine, range(25), size=int(rng.integers(1, 5)))
    given_up = {item for item, outcome in found.items() if isinstance(outcome, Lost)}
    assert found.keys() == set(range(25))
    assert all(found[item] == f"outcome of {item}" for item in found.keys() - given_up)
    assert given_up.isdisjoint(item for item, n in deaths.items() if n == 0)


def test_an_item_that_kills_each_worker_takes_no_other_with_it() -> None:
    machine = Machine(lambda item, _: "dies" if item in ("poison", "venom") else "done")
    found = outcomes(machine, ["a", "poison", "b", "c", "venom", "d"], size=1)
    assert [item for item, outcome in found.items() if isinstance(outcome, Lost)] == ["poison", "venom"]
    assert "lost 4 times (killed)" in found["poison"].message
    assert machine.attempts["poison"] == machine.attempts["venom"] == RETRIES + 1
    assert max(machine.attempts[item] for item in "abcd") <= 2
    again = [item for item, is_again in machine.marked if is_again]
    assert Counter(again) == Counter({item: n - 1 for item, n in machine.attempts.items() if n > 1})
    seen: Counter[Any] = Counter()
    for together in machine.beside:
        seen[together[-1]] += 1
        if any(seen[item] > 1 for item in together):
            assert len(together) == 1  # from the second attempt on, alone


def test_a_worker_holds_two_items_and_the_last_ones_go_to_the_idle() -> None:
    machine = Machine()
    outcomes(machine, range(10), size=2)
    assert max(map(len, machine.beside)) == SLOTS
    machine = Machine()
    outcomes(machine, range(2), size=2)
    assert max(map(len, machine.beside)) == 1
    assert machine.started == 2


def test_no_more_workers_than_items() -> None:
    machine = Machine()
    assert outcomes(machine, ["only"], size=8) == {"only": "outcome of only"}
    assert machine.started == 1
    assert outcomes(Machine(), [], size=8) == {}


def test_an_outcome_that_was_sent_before_the_worker_died_counts() -> None:
    machine = Machine(lambda item, attempt: "dies after" if attempt == 1 else "done")
    assert set(outcomes(machine, range(6), size=2).values()) == {f"outcome of {item}" for item in range(6)}
    assert machine.started > 2


def test_machines_that_cannot_be_used(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = outcomes(Machine(start=lambda number: "unusable" if number < 2 else "done"), range(4), size=3)
    assert len(found) == 4
    assert caplog.messages == ["One worker less: no model here"] * 2
    with pytest.raises(UserError, match=r"No worker could be started\. no model here"):
        outcomes(Machine(start=lambda number: "unusable"), range(4), size=3)


def test_workers_that_die_while_they_start() -> None:
    machine = Machine(start=lambda number: "dies")
    with pytest.raises(UserError, match=r"No worker could be started\. killed"):
        outcomes(machine, range(4), size=2)
    assert machine.started <= 2 * (RETRIES + 1) + 1
    assert not machine.workers


def test_the_last_worker_dies_and_none_can_follow() -> None:
    machine = Machine(
        lambda item, _: "dies" if item == 3 else "done", start=lambda number: "done" if number == 0 else "dies"
    )
    found = outcomes(machine, range(8), size=1)
    assert found.keys() == set(range(8))
    assert found[7] == Lost("No worker is left.")


@pytest.mark.parametrize("room", [True, False])
def test_waiting_for_a_place(room: bool, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(start=lambda number: "never")
    machine.room = room
    waits = []

    def wait(tickets: Sequence[int], seconds: float) -> list[int]:
        assert seconds == worker_pool.PATIENCE
        waits.append(tickets)
        if len(waits) == 3:
            machine.tickets[0] = (*machine.tickets[0][:2], "done")
        return Machine.wait(machine, tickets, seconds)

    machine.wait = wait
    if room:
        assert outcomes(machine, ["a"]) == {"a": "outcome of a"}
        assert caplog.messages == ["Waiting for processes to start, or for processors and GPUs that others use."] * 2
    else:
        with pytest.raises(UserError, match="No machine has what a worker needs"):
            outcomes(machine, ["a"])


def test_all_machines_are_switched_off(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(lambda item, _: "dies", start=lambda number: "done" if number < 6 else "never")
    machine.room = False
    found = outcomes(machine, range(20), size=6)
    assert found == dict.fromkeys(range(20), Lost("No worker is left."))
    assert caplog.messages == ["One worker less: No machine has what a worker needs."]


def test_interrupted_workers_are_stopped() -> None:
    machine = Machine()
    running = Pool(machine, 2).run(range(9))
    next(running)
    assert machine.workers
    running.close()
    assert not machine.workers


def test_defects_are_not_hidden() -> None:
    machine = Machine()
    machine.outcome = lambda ticket: 1 / 0
    with pytest.raises(ZeroDivisionError):
        outcomes(machine, range(3))
    assert not machine.workers
