"""Results as a table for readers and as JSON for later runs."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_cardiac.benchmark.speed import Speed
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json


def table(rows: Sequence[Speed], sizes: Sequence[tuple[int, int]]) -> str:
    """Lines of a table; the ratio is that of the training step by pixel to the first row."""
    first = rows[0].step_per_megapixel_s
    columns = {
        "network": [f"{row.name} ({height} x {width})" for row, (height, width) in zip(rows, sizes, strict=True)],
        "M parameters": [f"{row.parameters / 1e6:.2f}" for row in rows],
        "GFLOP": [f"{row.gflop:.1f}" for row in rows],
        "forward ms": [f"{1000 * row.forward_s:.0f}" for row in rows],
        "step ms": [f"{1000 * row.step_s:.0f}" for row in rows],
        "step s/Mpixel": [f"{row.step_per_megapixel_s:.2f}" for row in rows],
        "ratio": [f"{row.step_per_megapixel_s / first:.2f}" for row in rows],
        "peak GiB": ["-" if row.peak_memory_bytes is None else f"{row.peak_memory_bytes / 2**30:.2f}" for row in rows],
    }
    return pd.DataFrame(columns).to_string(index=False)


def check_json_file(path: Path) -> None:
    """Check that results can be added to a file, before hours are spent on them.

    Raises:
        UserError: If it is no JSON list, or its folder is missing.
    """
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder; make it first.")
    if not path.is_file():
        return
    try:
        content = read_json(path)
    except ValueError as error:
        raise UserError(f"{path}: is no JSON ({error}); give another file.") from error
    if not isinstance(content, list):
        raise UserError(f"{path}: holds a {type(content).__name__}, expected a list of runs; give another file.")


def append_run(path: Path, run: Mapping[str, Any]) -> None:
    """Add a run to a JSON list, atomically."""
    runs = read_json(path) if path.is_file() else []
    write_json(path, [*runs, dict(run)])


def circumstances(device: str, threads: int) -> dict[str, Any]:
    """Hardware and versions of a run."""
    import torch

    hardware = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    names = ("nnunet_cardiac", "nnunetv2", "torch")
    return {
        "device": device,
        "hardware": hardware,
        "threads": threads,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
    }
