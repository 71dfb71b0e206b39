"""Signals that end a command end what it has started, too."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

#: What batch systems, `kill` and a closed terminal send. Ctrl-C is an exception in Python already.
_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

#: Seconds that a command has to end by itself.
PATIENCE = 15.0


class Ended(SystemExit):
    """Raised where the program is when a signal asks it to end; cleans up as any exception, exits as a shell expects.

    Attributes:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


@contextlib.contextmanager
def ending_raises() -> Iterator[None]:
    """Raise `Ended` where Python would be gone at once, and with it the chance to end what was started.

    Signals that somebody else handles, or that are to be ignored (`nohup`), are left alone, and so are all of them
    outside the main thread, where Python has no handlers.
    """
    ours = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, _raise)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _raise(number: int, _: FrameType | None) -> None:
    if "multiprocessing" in sys.modules:  # else nothing can have been started with it
        from multiprocessing import active_children

        for child in active_children():  # a pool would finish what is in its queue first
            child.terminate()
    raise Ended(number)


def in_a_group_of_its_own() -> dict[str, bool]:
    """Arguments with which `subprocess` starts a command whose workers can be ended with it."""
    return {"start_new_session": True} if os.name == "posix" else {}


def end(process: subprocess.Popen, reason: BaseException, patience: float = PATIENCE) -> None:
    """Pass the reason on to a command that was started in a group of its own; what remains after a while is killed.

    Args:
        process: The command.
        reason: What came in between: `Ended` or `KeyboardInterrupt` are sent on as the same signal, all else as a
            request to end.
        patience: Seconds that the command and its workers have; a further signal ends them at once.
    """
    number = reason.number if isinstance(reason, Ended) else signal.SIGTERM
    number = signal.SIGINT if isinstance(reason, KeyboardInterrupt) else number
    try:
        _send(process, number)
        process.wait(patience)
    except subprocess.TimeoutExpired:
        pass
    finally:
        kill(process)


def end_workers(process: subprocess.Popen, patience: float = 2.0) -> None:
    """Kill the workers that a command that is over has left behind, after some seconds to end by themselves."""
    limit = time.monotonic() + patience
    while _send(process, 0) and time.monotonic() < limit:
        time.sleep(0.05)
    kill(process)


def kill(process: subprocess.Popen) -> None:
    """Kill a command and all of its workers, also those that have outlived it."""
    _send(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()


def _send(process: subprocess.Popen, number: int) -> bool:
    """Send a signal, 0 for none, to a command and its workers; whether any of them is there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, number)
            return True
        if number and process.poll() is None:
            process.terminate()
    return False
