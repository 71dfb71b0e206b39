"""Broken headers end in a result or in a message: no traceback, no file, no hang, and no memory beyond bounds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tests.fuzz.fuzzed_files import KINDS, SHAPE, Fuzzed, write_input

RUNNER = Path(__file__).with_name("predict_inputs.py")
INPUTS = 300

#: Of one input beyond those before it. All together have 4 GiB.
MOST_MIB = 1024

#: A second frame, and half as much again: more is not in the file.
MOST_VOXELS = 3 * int(np.prod(SHAPE))


def run(model: Path, inputs: list[Path], output: Path) -> tuple[list[dict[str, Any]], str]:
    """Predict inputs in one process; what became of each, and what the process printed besides."""
    # A whole input is run again after each that ends the process; its results are in the way.
    shutil.rmtree(output / inputs[0].name, ignore_errors=True)
    words = [sys.executable, RUNNER, model, output, *inputs]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=1200)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    results = [{**first, **second} for first, second in zip(said[::2], said[1::2], strict=False)]
    stopped = f"at {said[-1]['name']}: " if len(said) % 2 else ""
    return results, f"{stopped}exit code {done.returncode}\n{done.stderr[-3000:]}"


def what_is_wrong(result: dict[str, Any], output: Path) -> str:
    """What is wrong with the outcome of one input; nothing if it is a result or an error with a message."""
    text, code = result["text"], result["code"]
    files = sorted(path.name for path in output.glob("*")) if output.exists() else []
    maps = [name for name in files if name.endswith(".nii.gz")]
    if "Traceback" in text or code < 0:
        return f"a traceback: {text.strip().splitlines()[-1]}"
    if code == 0:
        return "; ".join(filter(None, [_wrong_map(output / name) for name in maps])) if maps else "no result"
    if [name for name in files if name != "indices.csv"]:
        return f"exit code {code} and {', '.join(files)}"
    said = [line for line in text.splitlines() if re.search(r"\bfailed\b|\berror:", line)]
    return "" if said and all(len(line) > 30 for line in said[:1]) else "no message"


def _wrong_map(path: Path) -> str:
    labels = np.asarray(nibabel.load(path).dataobj)
    if not path.with_name(path.name.replace(".nii.gz", ".json")).is_file():
        return "a label map without its JSON file"
    if labels.size > MOST_VOXELS or not np.isin(labels, range(4)).all():
        return f"a label map of {labels.shape}"
    return ""


def predict_all(model: Path, folder: Path, numbers: list[int]) -> tuple[list[str], dict[int, int]]:
    """Faults among inputs, and how many ended with which exit code."""
    made = {"whole": write_input(folder / "in" / "whole", 0, changed=False)}
    made |= {f"{number:03d}": write_input(folder / "in" / f"{number:03d}", number) for number in numbers}
    left, faults, codes = list(made)[1:], [], {0: 0, 1: 0, 2: 0}
    while left:
        results, end = run(model, [folder / "in" / name for name in ["whole", *left]], folder / "out")
        for result, before in zip(results[1:], results, strict=False):
            wrong = [what_is_wrong(result, folder / "out" / result["name"])]
            if result["memory_mib"] - before["memory_mib"] > MOST_MIB:
                wrong.append(f"{result['memory_mib'] - before['memory_mib']:.0f} MiB more than before")
            codes[result["code"]] = codes.get(result["code"], 0) + 1
            faults += [f"{_named(made[result['name']])}: {word}" for word in wrong if word]
        left = left[max(len(results) - 1, 0) :]
        if left:  # the process ended at the first of them
            faults.append(f"{_named(made[left.pop(0)])}: {end}")
    return faults, codes


def _named(one: Fuzzed) -> str:
    return f"{one.name} ({one.change})"


@pytest.mark.slow
def test_inputs_without_a_fault_are_predicted(write_system: Callable[..., Path], tmp_path: Path) -> None:
    """Else nothing would be shown by the errors of the others."""
    inputs = [tmp_path / "in" / kind.replace(" ", "_") for kind in KINDS]
    for number, folder in enumerate(inputs):
        write_input(folder, number, changed=False)
    results, end = run(write_system("nnUNet"), inputs, tmp_path / "out")
    assert [result["code"] for result in results] == [0] * len(KINDS), end
    assert [what_is_wrong(result, tmp_path / "out" / result["name"]) for result in results] == [""] * len(KINDS)
    assert max(result["memory_mib"] for result in results) < 2048


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_result_or_a_message(write_system: Callable[..., Path], tmp_path: Path) -> None:
    faults, codes = predict_all(write_system("nnUNet"), tmp_path, list(range(INPUTS)))
    assert not faults, "\n".join(faults)
    assert codes[0] > INPUTS / 20  # some changes are harmless
    assert codes[1] + codes[2] > INPUTS / 4  # and many are not
