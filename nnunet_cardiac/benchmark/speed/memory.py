"""Peak memory of a function, in a process of its own, on the CPU."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from nnunet_cardiac.systems import TRAINERS

_STATUS = Path("/proc/self/status")

#: Loaded once, by the server that the processes are forked from: importing takes longer than measuring.
_PRELOADED = ["nnunet_cardiac.benchmark.speed.workload", *sorted({one.module for one in TRAINERS.values()})]


def can_measure() -> bool:
    """Tell whether the system says how large a process has been, and can fork a fresh one (Linux)."""
    return _resident_peak() is not None and "forkserver" in multiprocessing.get_all_start_methods()


def growth_in_own_process(function: Callable[..., object], *args: Any, warm_up: Callable[..., object]) -> int | None:
    """Run a function in a fresh process and return by how much the largest resident memory grew.

    Args:
        function: What is measured; can be pickled.
        args: Arguments of both functions.
        warm_up: Called before; what it and the process hold is not counted.

    Returns:
        Bytes, or None if the system ended the process, as it does when memory runs out.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    with ProcessPoolExecutor(1, context) as executor:
        try:
            return executor.submit(_growth, function, args, warm_up).result()
        except BrokenProcessPool:
            return None


def _growth(function: Callable[..., object], args: tuple[Any, ...], warm_up: Callable[..., object]) -> int:
    warm_up(*args)
    before = _resident_peak() or 0
    function(*args)
    return (_resident_peak() or 0) - before


def _resident_peak() -> int | None:
    """Largest resident memory of this process so far in bytes; None where the system does not say.

    Not `resource.getrusage`: a process inherits the maximum of its parent.
    """
    if not _STATUS.is_file():
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None
