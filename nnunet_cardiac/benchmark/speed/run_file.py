"""Runs in a JSON file: a list that grows by one run, with machine, versions and arguments."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from nnunet_cardiac.devices import usable_cores
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.version import installed_versions

_PACKAGES = ("python", "nnunet_cardiac", "nnunetv2", "torch", "dynamic-network-architectures", "timm", "numpy")
_PROCESSORS = Path("/proc/cpuinfo")


def read_runs(path: Path) -> list[Any]:
    """Read the runs of a file; none if it does not exist.

    Raises:
        UserError: If it holds something else or its folder is missing.
    """
    if not path.exists():
        if not path.parent.is_dir():
            raise UserError(f"{path}: the folder does not exist; make it first.")
        return []
    try:
        runs = read_json(path)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no JSON ({error}); give another file.") from error
    if not isinstance(runs, list):
        raise UserError(
            f"{path}: expected a list of runs, found JSON of type {type(runs).__name__}; give another file."
        )
    return runs


def append_run(path: Path, run: Mapping[str, Any]) -> None:
    """Add a run to a file, which is replaced as a whole: it is never half-written.

    Raises:
        UserError: As :func:`read_runs`.
    """
    write_json(path, [*read_runs(path), dict(run)])


def describe_run(
    action: str, arguments: Mapping[str, Any], results: list[dict[str, Any]], device: str
) -> dict[str, Any]:
    """Return a run with what is needed to compare it with others."""
    return {
        "benchmark": action,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "arguments": dict(arguments),
        "hardware": hardware(device),
        "versions": versions(),
        "results": results,
    }


def hardware(device: str) -> dict[str, Any]:
    """Return processor, its cores, those of them that this process may use, and the GPU."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
    }


def versions() -> dict[str, str]:
    """Return the version of Python and of each package that has a part in the times; absent ones are left out."""
    # A build's own version: a package index may list a CUDA and a CPU build of torch under one number.
    return {**installed_versions(*_PACKAGES), "torch": torch.__version__}


def _processor() -> str:
    """Marketing name of the processor, where the system says it."""
    if _PROCESSORS.is_file():
        for line in _PROCESSORS.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
