"""Time `nnunet_cardiac evaluate` on 160 volumes of ACDC's size, and its metrics beside MONAI's on the same arrays.

    taskset -c 0,1 python tests/scripts/evaluation_speed.py --processes 2

The first number is the whole command with reading, all metrics and all files; the others are Dice, HD, HD95 and average
surface distance of three structures on arrays in memory, one process and one thread each, both in this run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

SHAPE, SPACING = (10, 256, 216), (1.5625, 1.5625, 10.0)
LABELS = {"RV": 1, "MYO": 2, "LV": 3}


def heart(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A reference of the size of a heart in ACDC and a prediction whose outlines wander by about a pixel."""
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]].astype(np.float32)
    scale = rng.uniform(0.85, 1.15)
    cy, cx = 128 + rng.uniform(-9, 9), 115 + rng.uniform(-9, 9)

    def labels(dy: np.ndarray | float, dx: np.ndarray | float) -> np.ndarray:
        array = np.zeros(SHAPE, np.uint8)
        r = np.hypot(y - cy + dy, x - cx + dx)
        array[np.hypot((y - cy + dy) / 1.25, x - cx + 26 + dx) < scale * (23 - 1.9 * z)] = 1
        array[r < scale * (21 - 1.2 * z) + 6] = 2
        array[r < scale * (21 - 1.2 * z)] = 3
        return array

    wander = ndimage.gaussian_filter(rng.standard_normal((2, *SHAPE)), (0, 0.7, 6, 6)).astype(np.float32)
    return labels(0, 0), labels(*(wander / wander.std()))


def measure_command(volumes: int, processes: int) -> float:
    """Seconds of the whole command."""
    with tempfile.TemporaryDirectory() as scratch:
        for k in range(volumes):
            name = f"patient{k // 2 + 1:03d}_frame{1 + 11 * (k % 2):02d}.nii.gz"
            for folder, array in zip(("labelsTs", "pred"), heart(np.random.default_rng(k)), strict=True):
                image = sitk.GetImageFromArray(array)
                image.SetSpacing(SPACING)
                Path(scratch, folder).mkdir(exist_ok=True)
                sitk.WriteImage(image, str(Path(scratch, folder, name)))
        command = [sys.executable, "-m", "nnunet_cardiac.cli", "evaluate", "-gt", f"{scratch}/labelsTs", "-np"]
        command += [str(processes), "-p", f"{scratch}/pred", "--labels", *(f"{n}={v}" for n, v in LABELS.items())]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start


def measure_ours(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Seconds for each volume."""
    from nnunet_cardiac.boxes import bounding_slices
    from nnunet_cardiac.evaluation.distances import surface_distances
    from nnunet_cardiac.evaluation.overlap import dice

    start = time.perf_counter()
    for reference, prediction in pairs:
        box = bounding_slices((reference > 0) | (prediction > 0))
        for value in LABELS.values():
            masks = reference[box] == value, prediction[box] == value
            found = surface_distances(*masks, SPACING[::-1])
            dice(*masks), found.hd_mm(), found.hd95_pooled_mm(), found.hd95_max_of_directed_mm(), found.asd_pooled_mm()
    return (time.perf_counter() - start) / len(pairs)


def measure_monai(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Seconds for each volume."""
    import monai.metrics as metrics
    import torch

    torch.set_num_threads(1)
    options = {"include_background": False, "spacing": SPACING[::-1]}
    start = time.perf_counter()
    for pair in pairs:
        y, y_pred = (
            torch.nn.functional.one_hot(torch.from_numpy(a).long(), 4).movedim(-1, 0)[None].float() for a in pair
        )
        metrics.compute_dice(y_pred, y, include_background=False)
        metrics.compute_hausdorff_distance(y_pred, y, **options)
        metrics.compute_hausdorff_distance(y_pred, y, percentile=95, **options)
        metrics.compute_average_surface_distance(y_pred, y, symmetric=True, **options)
    return (time.perf_counter() - start) / len(pairs)


def main() -> None:
    """Print the timings."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--volumes", type=int, default=160)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--compared", type=int, default=12, help="volumes for the comparison with MONAI")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    seconds = measure_command(args.volumes, args.processes)
    print(
        f"evaluate, {args.volumes} volumes, {args.processes} processes, reading and writing included: {seconds:.1f} s"
    )
    pairs = [heart(np.random.default_rng(k)) for k in range(args.compared)]
    measure_ours(pairs[:1])
    ours = measure_ours(pairs)
    print(f"Dice, HD, both HD95, ASD in memory, one process: {1000 * ours:.1f} ms a volume")
    try:
        theirs = measure_monai(pairs)
    except ImportError:
        print("MONAI is not installed: no comparison (pip install monai)")
        return
    print(f"MONAI, Dice, HD, HD95, ASD: {1000 * theirs:.1f} ms a volume, {theirs / ours:.1f} times as long")


if __name__ == "__main__":
    main()
