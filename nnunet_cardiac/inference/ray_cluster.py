"""A Ray cluster to compute on: joined or started on this machine, and how many workers it has room for."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from nnunet_cardiac.devices import usable_cores
from nnunet_cardiac.errors import UserError

logger = logging.getLogger(__name__)

#: Results are small and go from process to process; the store for large objects stays empty.
_STORE_BYTES = 100 * 1024**2

_SECONDS_TO_ANSWER = 10.0


@dataclass(frozen=True)
class Placement:
    """Workers of a run, all alike.

    Attributes:
        device: `cpu` or `cuda`.
        workers: How many the cluster has room for, or fewer if the user wants fewer.
        threads: Processor threads of each.
        gpus: GPUs of each, 0 or 1.
    """

    device: str
    workers: int
    threads: int
    gpus: int


def import_ray(address: str) -> Any:
    """Return Ray, with its reports to the developers off; what is started here is not to be reached from elsewhere.

    Args:
        address: See :func:`cluster`.

    Raises:
        UserError: If it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if _chosen(address) == "local" and "ray" not in sys.modules:
        # Ray reads it when it is imported, on all systems, and with 0 listens on the loopback address only.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError as error:
        raise UserError("--ray needs Ray. Install it: pip install 'nnunet_cardiac[ray]'") from error
    return ray


def _chosen(address: str) -> str:
    return (os.environ.get("RAY_ADDRESS") or "local") if address == "auto" else address


@contextmanager
def cluster(address: str, cores: int | None = None) -> Iterator[Any]:
    """Join or start a cluster for the time of a block; one that this process has joined before is used and kept.

    Args:
        address: `HOST:PORT` of a cluster; `auto` takes that of the variable RAY_ADDRESS, or else starts Ray on this
            machine and ends it after the block.
        cores: Processor cores of a Ray that is started here; None takes those that this process may use.

    Yields:
        The module `ray`.

    Raises:
        UserError: If Ray is not installed, or the cluster cannot be joined.
    """
    ray = import_ray(address)
    if ray.is_initialized():
        yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = _chosen(address)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if address == "local":
            ray.init(
                address="local",
                num_cpus=cores or usable_cores(),
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                **quiet,
            )
        else:
            _check_answers(address)
            ray.init(address=address, **quiet)
    except Exception as error:  # Ray has an error of its own kind for each obstacle
        ray.shutdown()
        raise UserError(
            f"--ray {address}: cannot be joined ({error}). Expected auto, or HOST:PORT as `ray start --head` shows it."
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray puts one of its own there, which workers forked later inherit
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Fail in seconds where nothing listens; Ray itself tries for minutes."""
    place = urlsplit(f"//{address.split('://')[-1]}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), timeout=_SECONDS_TO_ANSWER).close()


def place(nodes: Sequence[Mapping[str, float]], device: str, threads: int | None, workers: int | None) -> Placement:
    """Choose number and size of the workers.

    Without wishes it is one on each GPU with its share of the cores; without GPUs one on each machine with as many
    threads as the smallest has cores.

    Args:
        nodes: Resources of each machine, with `CPU` and `GPU` as Ray counts them.
        device: `auto`, `cpu` or `cuda`.
        threads: Processor threads of a worker; None chooses.
        workers: Number of workers; None takes as many as there is room for.

    Returns:
        The workers.

    Raises:
        UserError: If no machine has what a worker needs.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"-device is {device}, expected auto, cpu or cuda: with --ray, Ray assigns the GPUs.")
    gpus = int(device == "cuda" or (device == "auto" and any(node.get("GPU", 0) >= 1 for node in nodes)))
    if threads is None:
        shares = [int(cores // max(1, node.get("GPU", 0) * gpus)) for node in nodes if (cores := _cores(node, gpus))]
        threads = max(1, min(shares, default=1))
        while threads > 1 and workers is not None and _room(nodes, threads, gpus) < workers:
            threads -= 1
    room = _room(nodes, threads, gpus)
    if room == 0:
        found = "; ".join(f"{node.get('CPU', 0):g} cores, {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise UserError(
            f"No machine of the Ray cluster has {threads} processor cores{' and a GPU' if gpus else ''} for a worker; "
            f"found: {found or 'no machine'}. Choose another -device, or fewer --threads."
        )
    if workers is not None and workers > room:
        logger.warning("%d workers were asked for, and the cluster has room for %d.", workers, room)
    return Placement("cuda" if gpus else "cpu", min(room, workers or room), threads, gpus)


def _cores(node: Mapping[str, float], gpus: int) -> int:
    """Processor cores of a machine that can hold a worker."""
    return int(node.get("CPU", 0)) if node.get("GPU", 0) >= gpus else 0


def _room(nodes: Sequence[Mapping[str, float]], threads: int, gpus: int) -> int:
    """Number of workers that fit."""
    return sum(
        min(_cores(node, gpus) // threads, int(node.get("GPU", 0)) if gpus else _cores(node, gpus)) for node in nodes
    )
