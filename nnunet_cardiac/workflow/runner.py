"""Run nnU-Net's commands as a user would: printed before they run, with this package's trainers in the environment."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.workflow.environment import with_trainers
from nnunet_cardiac.workflow.signals import end, end_workers, ending_raises, in_a_group_of_its_own

_SHOWN_LINES = 15


def shown(command: Sequence[str]) -> str:
    """Return the command as one would type it."""
    return shlex.join([str(word) for word in command])


def run_command(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Run a command and wait for it. A signal that ends this process ends the command and its workers first.

    Args:
        command: A console script of this environment (`nnUNetv2_train`, ...) and its arguments.
        environ: Environment; the trainer folder is added to it.
        log: Write the output here (appended) instead of the terminal.
        on_line: Called with each line of the output if there is a log.

    Raises:
        UserError: If the command is not installed or fails; with the end of its output if there is a log.
    """
    words = [_executable(str(command[0])), *(str(word) for word in command[1:])]
    environment = {**with_trainers(environ), "PYTHONUNBUFFERED": "1"}
    with ending_raises():
        code, tail = _run(words, environment) if log is None else _run_logged(words, environment, log, on_line)
    if code != 0:
        where = f"; its output is in {log} and ends with\n{tail}" if log else ", see its output above"
        raise UserError(f"{shown(command)}\nended with exit code {code}{where}")


def _run(words: list[str], environ: Mapping[str, str]) -> tuple[int, str]:
    with _started(words, environ) as process:
        pass
    return process.returncode, ""


def _run_logged(
    words: list[str], environ: Mapping[str, str], log: Path, on_line: Callable[[str], None] | None
) -> tuple[int, str]:
    tail: deque[str] = deque(maxlen=_SHOWN_LINES)
    output: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    with (
        log.open("a", encoding="utf-8", buffering=1) as file,  # by line, to be watched
        _started(words, environ, **output) as process,
    ):
        for line in process.stdout or ():
            file.write(line)
            tail.append(line)
            if on_line is not None:
                on_line(line)
    return process.returncode, "".join(tail)


@contextmanager
def _started(words: list[str], environ: Mapping[str, str], **output: Any) -> Iterator[subprocess.Popen]:
    """Start a command that ends with the block, with all of its workers."""
    options: dict[str, Any] = {**in_a_group_of_its_own(), **output}
    with subprocess.Popen(words, env=dict(environ), **options) as process:
        watch = threading.Thread(target=_end_workers_of_the_dead, args=(process,), daemon=True)
        watch.start()
        try:
            yield process
            watch.join()
        except BaseException as reason:
            end(process, reason)
            raise


def _end_workers_of_the_dead(process: subprocess.Popen) -> None:
    """Kill what a command leaves behind that crashed or was killed: its workers wait for it, and hold its output."""
    if process.wait() != 0:
        end_workers(process)


def _executable(name: str) -> str:
    """Find a console script beside this Python first: a virtual environment need not be activated."""
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    found = beside or shutil.which(name)
    if found is None:
        raise UserError(f"The command {name} is not installed beside {sys.executable}: pip install nnunet_cardiac")
    return found
