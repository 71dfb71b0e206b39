"""Jobs on the same cores, from lists of processes as Linux writes them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from nnunet_cardiac.workflow import other_jobs
from nnunet_cardiac.workflow.other_jobs import busy_cores, warn_of_other_jobs

TRAIN = "/usr/bin/python /venv/bin/nnUNetv2_train 27 2d 0 -device cpu"
OWN = 50


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the list of processes alone say how many cores there are."""
    monkeypatch.setattr(other_jobs, "lent_cores", lambda: 1000)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine of two cores with this process on it, started by a shell."""
    add(tmp_path, 1, 0, "init")
    add(tmp_path, 40, 1, "bash")
    add(tmp_path, OWN, 40, "python /venv/bin/nnunet_cardiac train -d 1")
    (tmp_path / "meminfo").write_text("not a process")
    return tmp_path


def add(
    proc: Path, number: int, parent: int, command: str, cores: str = "0-1", threads: str = "", user: int | None = None
) -> None:
    folder = proc / str(number)
    folder.mkdir()
    user = os.getuid() if user is None else user
    (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode() + b"\0")
    (folder / "status").write_text(f"Name:\tx\nPPid:\t{parent}\nUid:\t{user}\t0\t0\t0\nCpus_allowed_list:\t{cores}\n")
    (folder / "environ").write_bytes(b"A=b\0" + (f"OMP_NUM_THREADS={threads}\0".encode() if threads else b""))


def test_alone_there_is_nothing_to_say(proc: Path) -> None:
    add(proc, 60, OWN, TRAIN)  # ours, and its worker
    add(proc, 61, 60, TRAIN)
    add(proc, 70, 40, "vim nnUNetv2_train.md")
    add(proc, 71, 40, "python /venv/bin/nnunet_cardiac env")  # takes no time
    assert busy_cores(2, proc, OWN) is None


def test_another_training_is_named_once(proc: Path) -> None:
    add(proc, 60, 40, TRAIN)
    for worker in range(61, 65):
        add(proc, worker, 60, TRAIN)
    warning = busy_cores(1, proc, OWN)
    assert warning is not None
    assert "on the 2 cores of this one: nnUNetv2_train 27 2d 0 -device cpu (process 60). Both" in warning
    assert "--threads" in warning


@pytest.mark.parametrize(
    ("own_cores", "cores", "own", "threads", "warns"),
    [
        ("0-1", "0-1", 1, "1", False),  # one each
        ("0-1", "0-1", 2, "1", True),
        ("0", "1", 1, "", False),  # pinned apart
        ("0", "0", 1, "1", True),
        ("0-3,8", "8,10-11", 5, "", True),
        ("0-3,8", "8,10-11", 4, "", False),  # three threads of which one core at most is ours
    ],
)
def test_threads_and_affinity(proc: Path, own_cores: str, cores: str, own: int, threads: str, warns: bool) -> None:
    (proc / str(OWN) / "status").write_text(f"PPid:\t40\nUid:\t{os.getuid()}\nCpus_allowed_list:\t{own_cores}\n")
    add(proc, 60, 40, TRAIN, cores=cores, threads=threads)
    assert (busy_cores(own, proc, OWN) is not None) == warns


def test_a_job_is_what_its_training_was_told(proc: Path) -> None:
    add(proc, 60, 40, "python -u /venv/bin/nnunet_cardiac benchmark accuracy --threads 1")
    add(proc, 61, 60, TRAIN, threads="1")
    assert busy_cores(1, proc, OWN) is None
    add(proc, 62, 40, "python /venv/bin/nnunet_cardiac predict -device cpu")
    warning = busy_cores(1, proc, OWN)
    assert warning is not None
    assert "benchmark accuracy --threads 1 (process 60); nnunet_cardiac predict -device cpu (process 62)" in warning


def test_others_users_and_gpus(proc: Path) -> None:
    add(proc, 60, 40, TRAIN, user=os.getuid() + 1)
    assert busy_cores(2, proc, OWN) is None
    for number in (1, 40, OWN):
        path = proc / str(number) / "status"
        path.write_text(path.read_text().replace("0-1", "0-63"))
    add(proc, 61, 40, "python /venv/bin/nnUNetv2_train 27 2d 0", cores="0-63")  # on a GPU: its workers take 12 cores
    assert busy_cores(52, proc, OWN) is None
    assert busy_cores(53, proc, OWN) is not None


def test_what_cannot_be_read_is_no_error(proc: Path) -> None:
    add(proc, 60, 40, TRAIN)
    (proc / "60" / "status").write_text("Name:\tgone\n")
    (proc / "61").mkdir()
    assert busy_cores(2, proc, OWN) is None
    assert busy_cores(2, proc / "nowhere", OWN) is None


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
def test_a_real_process_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    script = tmp_path / "nnUNetv2_train"
    script.write_text("import time\nprint('there', flush=True)\ntime.sleep(60)\n")
    words: Sequence[str] = [sys.executable, str(script), "27", "2d", "0", "-device", "cpu"]
    # Started by a process that ends at once, or it would be one of ours.
    silent = "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
    start = f"import subprocess; print(subprocess.Popen({words!r}, {silent}).pid)"
    number = int(subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, check=True).stdout)
    try:

        def found() -> set[int]:
            return {job.number for job in other_jobs._other_jobs(Path("/proc"), os.getpid())}

        end = time.monotonic() + 10
        while number not in found() and time.monotonic() < end:
            time.sleep(0.1)
        assert number in found()
        with caplog.at_level(logging.WARNING, "nnunet_cardiac"):
            warn_of_other_jobs(1000)
        assert "nnUNetv2_train" in caplog.text or "; and " in caplog.text  # others may be on this machine, too
    finally:
        os.kill(number, 9)
