"""Settings that make nnU-Net slow or run out of memory without saying so: thread caps, workers, shared memory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from nnunet_cardiac.checks.finding import Finding, ok, warn
from nnunet_cardiac.devices import lent_cores

#: nnU-Net's own default number of worker processes (nnunetv2/configuration.py).
_DEFAULT_PROCESSES = 8

#: Batches pass from the loading processes to the training through shared memory; containers often grant only 64 MiB.
_ENOUGH_SHARED_BYTES = 2**30


def check_threads(
    environ: Mapping[str, str], cores: int | None = None, shared: Path = Path("/dev/shm")
) -> list[Finding]:
    """Check thread caps, worker numbers and shared memory.

    Args:
        environ: Environment variables of the user.
        cores: Processor cores that the system lends; None asks it.
        shared: Folder of the shared memory; left out where the system has none.
    """
    cores = cores or lent_cores()
    findings = [_check_openmp(environ, cores), _check_processes(environ, cores)]
    if shared.is_dir():
        findings.append(_check_shared_memory(shutil.disk_usage(shared).free))
    return findings


def _check_openmp(environ: Mapping[str, str], cores: int) -> Finding:
    value = environ.get("OMP_NUM_THREADS")
    if value is None:
        return ok("OMP_NUM_THREADS", f"not set: torch takes the {cores} cores")
    if not value.isdecimal() or int(value) == 0:
        return warn("OMP_NUM_THREADS", f"{value!r} is no positive whole number", "unset OMP_NUM_THREADS")
    if int(value) < cores:
        return warn(
            "OMP_NUM_THREADS", f"{value}: networks compute on {value} of {cores} cores", "unset OMP_NUM_THREADS"
        )
    return ok("OMP_NUM_THREADS", f"{value} ({cores} cores)")


def _check_processes(environ: Mapping[str, str], cores: int) -> Finding:
    name = "nnUNet_def_n_proc"
    value = environ.get(name, str(_DEFAULT_PROCESSES))
    fix = f"export {name}={cores}"
    if not value.isdecimal() or int(value) == 0:
        return warn(name, f"{value!r} is no positive whole number", fix)
    if int(value) < cores:
        return warn(name, f"{value}: nnU-Net also caps the threads of prediction at it, of {cores} cores", fix)
    if int(value) > cores:
        source = "" if name in environ else " (nnU-Net's default)"
        return warn(name, f"{value}{source}: more worker processes than the {cores} cores, each loading torch", fix)
    return ok(name, f"{value} ({cores} cores)")


def _check_shared_memory(free: int) -> Finding:
    message = f"{free / 2**20:.0f} MiB free"
    if free < _ENOUGH_SHARED_BYTES:
        return warn("shared memory", message, "In a container: docker run --shm-size=8g, or --ipc=host.")
    return ok("shared memory", message)
