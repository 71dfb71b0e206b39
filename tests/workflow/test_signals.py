"""A signal that ends a command ends what it has started: real processes, as a batch system would end them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")

#: A training with a worker; the arguments are a file for the numbers of both and whether it ignores what ends it.
TRAINING = """
import os, signal, subprocess, sys, time
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
if sys.argv[2] == "slow":
    def leave(*_):
        time.sleep(0.5)  # a checkpoint
        open(sys.argv[1] + ".saved", "w").close()
        sys.exit(1)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
worker = subprocess.Popen([sys.executable, "-c", "import signal, time\\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\\ntime.sleep(60)"])
with open(sys.argv[1] + ".tmp", "w") as file:
    file.write(f"{os.getpid()} {worker.pid}")
os.replace(sys.argv[1] + ".tmp", sys.argv[1])
if sys.argv[2] == "crash":
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60)
"""

#: A command of ours that runs it.
COMMAND = """
import os, pathlib, sys
from nnunet_cardiac.workflow import runner, signals
signals.end.__defaults__ = (2.0,)
log = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
runner.run_command(["python", "-c", open(sys.argv[1]).read(), sys.argv[2], os.environ["KIND"]], os.environ, log=log)
"""

#: A command of ours whose pool has more to do than can wait.
POOL = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from nnunet_cardiac.workflow.signals import ending_raises
if __name__ == "__main__":
    with ending_raises(), ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        numbers = {pool.submit(os.getpid).result() for _ in range(2)}
        waiting = [pool.submit(time.sleep, 30) for _ in range(20)]
        with open(sys.argv[1] + ".tmp", "w") as file:
            file.write(" ".join(map(str, numbers)))
        os.replace(sys.argv[1] + ".tmp", sys.argv[1])
        waiting[0].result()
"""


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return met


def alive(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def start(tmp_path: Path, kind: str, *log: str) -> tuple[subprocess.Popen, list[int]]:
    """Start our command with a training in it; the numbers of the training and of its worker."""
    script, found = tmp_path / "training.py", tmp_path / "numbers"
    script.write_text(TRAINING)
    words = [sys.executable, "-c", COMMAND, str(script), str(found), *log]
    process = subprocess.Popen(words, env={**os.environ, "KIND": kind}, stderr=subprocess.PIPE, text=True)
    assert wait_for(found.exists), process.communicate()
    return process, [int(number) for number in found.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux who is alive")
@pytest.mark.parametrize(
    ("kind", "number", "code", "logged"),
    [
        ("plain", signal.SIGTERM, 143, True),
        ("slow", signal.SIGTERM, 143, False),
        ("slow", signal.SIGINT, -signal.SIGINT, True),
        ("stubborn", signal.SIGTERM, 143, True),
        ("stubborn", signal.SIGHUP, 129, False),
    ],
)
def test_training_and_worker_end_with_the_command(
    tmp_path: Path, kind: str, number: int, code: int, logged: bool
) -> None:
    process, numbers = start(tmp_path, kind, *([str(tmp_path / "log")] if logged else []))
    assert all(map(alive, numbers))
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert wait_for(lambda: not any(map(alive, numbers)), 5)
    assert (tmp_path / "numbers.saved").exists() == (kind == "slow")  # it had the time that it needed


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux who is alive")
@pytest.mark.parametrize("logged", [True, False])
def test_workers_of_a_training_that_was_killed_end_and_the_failure_is_told(tmp_path: Path, logged: bool) -> None:
    process, numbers = start(tmp_path, "crash", *([str(tmp_path / "log")] if logged else []))
    _, error = process.communicate(timeout=60)
    assert "exit code -9" in error
    assert wait_for(lambda: not any(map(alive, numbers)), 10)


def test_a_pool_does_not_finish_its_queue(tmp_path: Path) -> None:
    script, found = tmp_path / "pool.py", tmp_path / "numbers"
    script.write_text(POOL)
    process = subprocess.Popen([sys.executable, str(script), str(found)], stderr=subprocess.PIPE)
    assert wait_for(found.exists), process.communicate()
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert wait_for(lambda: not any(alive(int(number)) for number in found.read_text().split()), 5)


def test_the_command_line_says_what_ended_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from nnunet_cardiac import cli
    from nnunet_cardiac.commands import trainers

    monkeypatch.setattr(trainers, "run", lambda args: signal.raise_signal(signal.SIGTERM) or time.sleep(5))
    assert cli.main(["trainers"]) == 143
    assert "nnunet_cardiac: ended by signal 15" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
