"""What only a GPU can tell: every system trains a few steps on it and predicts there what a processor predicts.

    python tests/gpu/check_cuda.py > checks.jsonl

Needs the extra `test`, no data, and some minutes, most of them for torch.compile. Prints a line of JSON for each check
and exits with 1 if one failed. `--device cpu --toy` does the same with narrow networks on a processor; a slow test runs
it.

Training: networks from the plans on phantom stacks, with mixed precision, compiled where the trainer wants it. Losses
and weights must be finite and weights must move. Prediction: trained systems with random weights, in float32; the share
of voxels with another label than on the processor must stay below a limit. TF32, which CUDA's convolutions use by
default, rounds to 10 bits, so the share is measured with and without it.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch._dynamo.eval_frame import OptimizedModule

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the tests whose data sets and models are used here

from nnunet_cardiac.inference import CardiacPredictor
from nnunet_cardiac.quickstart.script import peak_memory_bytes
from tests.inference.conftest import SYSTEMS, heart, write_system
from tests.scripts.phantom_stacks import phantom_stacks
from tests.seam.conftest import NAME, Seam, write_preprocessed

STAGES = (
    ("CroCNetTrainer", "2d"),
    ("CroCNetTrainer", "2d_crop"),
    ("HALSRNetTrainer", "2d_roi"),
    ("HALSRNetTrainer", "2d_crop"),
    ("ClassifierGuidedTrainer", "2d_stack"),
    ("DRUNetTrainer", "3d_locate"),
    ("DRUNetTrainer", "3d_crop"),
    ("DRUNetEndToEndTrainer", "3d_joint"),
)
SPACING_MM = (9.0, 2.0, 2.0)

#: Of voxels whose label differs from the processor's: in full float32, and with convolutions in TF32.
MOST_DIFFERENT, MOST_DIFFERENT_TF32 = 1e-4, 1e-2


def phantom_data(folder: Path) -> Seam:
    """Preprocessed phantom stacks of two patients in nnU-Net's folders, which are set for this process."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ[name] = str(folder / name)
    os.environ["nnUNet_n_proc_DA"] = "0"
    stacks = phantom_stacks(2)
    cases = {f"patient{n:03d}_frame01": (i[0].numpy(), t.numpy().astype(np.int8)) for n, (i, t) in enumerate(stacks)}
    write_preprocessed(folder / "nnUNet_preprocessed" / NAME, cases)
    shapes = {case: labels.shape for case, (_, labels) in cases.items()}
    return Seam(folder / "nnUNet_preprocessed" / NAME, shapes, cases)


def check_training(data: Seam, trainer_name: str, configuration: str, device: str, toy: bool) -> dict[str, Any]:
    """Train some steps; eight on a GPU, because the scaler of gradients leaves out the first ones that overflow."""
    torch.manual_seed(0)
    np.random.seed(0)
    plans = data.plan(trainer_name, spacing=SPACING_MM, coarse_labels="simulated", small=toy)
    trainer = data.trainer(trainer_name, configuration, plans, plain=False, device=device)
    trainer.initialize()
    samples = trainer.get_dataloaders()[0]
    trainer.network.train()
    before = [parameter.detach().clone() for parameter in trainer.network.parameters()]
    losses = [float(trainer.train_step(next(samples))["loss"]) for _ in range(2 if toy else 8)]
    after = [parameter.detach() for parameter in trainer.network.parameters()]
    compiled = isinstance(trainer.network, OptimizedModule)
    scale = None if trainer.grad_scaler is None else trainer.grad_scaler.get_scale()
    moved = sum(not torch.equal(a, b) for a, b in zip(after, before, strict=True)) / len(after)
    problems = {
        "a loss is not finite": not np.isfinite(losses).all(),
        "a weight is not finite": not all(torch.isfinite(parameter).all() for parameter in after),
        "fewer than half of the weights moved": moved < 0.5,
        "weights are elsewhere": {parameter.device.type for parameter in after} != {torch.device(device).type},
        "not compiled": trainer._do_i_compile() and not compiled,
        "no mixed precision": (torch.device(device).type == "cuda") != (scale is not None),
    }
    return {
        "losses": [round(loss, 4) for loss in losses],
        "weights_moved": round(moved, 3),
        "compiled": compiled,
        "gradient_scale": scale,
        "problems": [problem for problem, found in problems.items() if found],
    }


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let convolutions on CUDA round to TF32, or not."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def share_of_different(labels: np.ndarray, expected: np.ndarray) -> float:
    """Share of voxels whose labels differ."""
    if labels.shape != expected.shape:
        raise ValueError(f"label maps of {labels.shape} and {expected.shape} voxels")
    return float(np.mean(labels != expected))


def check_prediction(folder: Path, system: str, device: str) -> dict[str, Any]:
    """Predict a heart on the processor slice by slice, and on the device in batches."""
    model = inspect.unwrap(write_system)(folder)(system)
    image = inspect.unwrap(heart)()

    def predicted(place: str, batch: int) -> np.ndarray:
        predictor = CardiacPredictor.from_folder(model, device=place, precision="fp32", batch=batch)
        return predictor.predict(image, SPACING_MM)

    expected = predicted("cpu", 1)
    found = {}
    for name, allowed in (("different", False), ("different_tf32", True)):
        with tf32(allowed):
            found[name] = share_of_different(predicted(device, 16), expected)
    problems = {
        "one label alone": len(np.unique(expected)) < 2,
        f"a share of different voxels above {MOST_DIFFERENT}": found["different"] > MOST_DIFFERENT,
        f"with TF32 one above {MOST_DIFFERENT_TF32}": found["different_tf32"] > MOST_DIFFERENT_TF32,
    }
    return {**found, "problems": [problem for problem, found_it in problems.items() if found_it]}


def report(check: str, subject: str, device: str, run: Callable[[], dict[str, Any]]) -> bool:
    """Run a check, print its line and tell whether it passed; an error is a failure like others."""
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where nnU-Net's own words go
            found = run()
    except Exception as error:
        traceback.print_exc()
        found = {"problems": [f"{type(error).__name__}: {error}"]}
    peak = torch.cuda.max_memory_allocated(device) if on_gpu else peak_memory_bytes()
    passed = not found["problems"]
    line = {"check": check, "subject": subject, "device": device, "passed": passed, **found}
    line |= {"peak_mib": round(peak / 2**20), "seconds": round(time.perf_counter() - start, 1)}
    print(json.dumps(line), flush=True)
    return passed


def main(words: list[str] | None = None) -> int:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="a torch device (default: %(default)s)")
    parser.add_argument("--toy", action="store_true", help="networks of half the width, fewer steps")
    args = parser.parse_args(words)
    if torch.device(args.device).type == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU; --device cpu --toy runs the checks on the processor")
    passed = []
    with tempfile.TemporaryDirectory() as name:
        data = phantom_data(Path(name))
        for stage in STAGES:
            run = partial(check_training, data, *stage, args.device, args.toy)
            passed.append(report("training", " ".join(stage), args.device, run))
        for system in SYSTEMS:
            run = partial(check_prediction, Path(name) / system, system, args.device)
            passed.append(report("prediction", system, args.device, run))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
