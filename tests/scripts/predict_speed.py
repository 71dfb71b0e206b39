"""`nnunet_cardiac predict` beside the stock commands: the speed table of docs/benchmark.md. Run on an idle machine.

python tests/scripts/predict_speed.py -m RESULT_FOLDER [--plain RESULT_FOLDER] --threads 2 --json FILE

`-m` is the last stage of a system below `nnUNet_results/DatasetNNN_NAME`, `--plain` a 2d model of nnU-Net itself. All
rows use one phantom study, the same weights and no mirroring, but for the row that says so. Commands are timed from
their start to their end; every round runs each of them once, and the median counts. Peak memory (Linux only) is that of
all processes of a command together, shared pages counted once, in a round of its own, because looking takes time.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
import torch

from nnunet_cardiac.inference.model_folder import StageFolder, find_stages
from nnunet_cardiac.phantom.nifti import write_series, write_volume
from nnunet_cardiac.phantom.short_axis import make_study
from nnunet_cardiac.workflow.environment import with_trainers

FRAMES, SLICES, MATRIX = 25, 10, (256, 224)

#: Seconds between two looks at the memory.
LOOK_EVERY = 0.2


class Cost(NamedTuple):
    """Seconds of commands that follow each other, and the peak memory of their processes in GiB, 0 if not watched."""

    seconds: float
    gib: float = 0.0

    def then(self, other: "Cost") -> "Cost":
        return Cost(self.seconds + other.seconds, max(self.gib, other.gib))


class Bench:
    """Commands on one phantom study, and how long they took."""

    def __init__(self, args: argparse.Namespace, work: Path) -> None:
        self.work, self.device, self.threads = work, args.device, args.threads
        self.watching = False
        self.stages = find_stages(args.m, ["0"])
        self.plain = find_stages(args.plain, ["0"])[0] if args.plain else None
        study = make_study(5, frames=args.frames, matrix=MATRIX, slices=SLICES)
        self.stack, self.split, self.cine = work / "stack", work / "split", work / "cine"
        for folder in (self.stack, self.split, self.cine):
            folder.mkdir()
        write_volume(study.images[0], study.geometry, self.stack / "heart_0000.nii.gz")
        write_series(study.images, study.geometry, self.cine / "heart_0000.nii.gz")
        for t, frame in enumerate(study.images):
            write_volume(frame, study.geometry, self.split / f"heart{t:02d}_0000.nii.gz")

    def ours(self, images: Path, *options: str) -> Cost:
        """Run our command; its results are kept for comparison."""
        output = self.work / f"ours_{images.name}"
        words = ["predict", "-m", self.stages[-1].folder, "-f", "0", "-i", images, "-o", output, "-device", self.device]
        return self._run([*words, "--overwrite", "--quiet", "--threads", self.threads, *options], "nnunet_cardiac.cli")

    def stock(self, images: Path, *options: str) -> Cost:
        """Run the stock commands, stage after stage."""
        cost, previous = Cost(0.0), []
        for stage in self.stages:
            output = self.work / f"stock_{images.name}_{stage.configuration}"
            cost = cost.then(self._stock(stage, images, output, "--disable_tta", *options, *previous))
            previous = ["-prev_stage_predictions", str(output)]
        return cost

    def stock_plain(self, images: Path) -> Cost:
        """Run the stock command as a user types it, with mirroring."""
        assert self.plain is not None
        return self._stock(self.plain, images, self.work / "plain")

    def _stock(self, stage: StageFolder, images: Path, output: Path, *options: str) -> Cost:
        shutil.rmtree(output, ignore_errors=True)
        words = ["-i", images, "-o", output, "-d", stage.folder.resolve().parent.name, "-c", stage.configuration]
        words += ["-tr", stage.trainer, "-p", stage.plans_name, "-f", "0", "-device", self.device, *options]
        results = stage.folder.resolve().parent.parent
        return self._run(words, "nnunetv2.inference.predict_from_raw_data:predict_entry_point", results)

    def _run(self, words: list, entry: str, results: Path | None = None) -> Cost:
        module, _, function = entry.partition(":")
        code = f"import sys; from {module} import {function or 'main'} as run; sys.exit(run())"
        environ = with_trainers({**os.environ, "OMP_NUM_THREADS": str(self.threads)})
        folders = {name: str(results or self.work) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
        words = [sys.executable, "-c", code, *map(str, words)]
        start, peak = time.perf_counter(), 0.0
        with tempfile.TemporaryFile("w+") as log:
            with subprocess.Popen(words, env={**environ, **folders}, stdout=log, stderr=subprocess.STDOUT) as process:
                while self.watching and process.poll() is None:
                    peak = max(peak, _memory_gib(process.pid))
                    time.sleep(LOOK_EVERY)
            seconds = time.perf_counter() - start
            if process.returncode:
                log.seek(0)
                raise SystemExit(log.read()[-6000:])
        return Cost(seconds, peak)

    def dice(self, images: Path) -> float:
        """Mean foreground Dice of our label maps against those of the stock commands."""
        stock = self.work / f"stock_{self.split.name if images is self.cine else images.name}_"
        folder = stock.with_name(stock.name + self.stages[-1].configuration)
        theirs = np.stack([_read(path) for path in sorted(folder.glob("*.nii.gz"))])
        mine = _read(self.work / f"ours_{images.name}" / "heart.nii.gz").reshape(theirs.shape)
        values = [value for value in np.unique(theirs) if value]
        overlaps = [
            2 * ((m == value) & (t == value)).sum() / max(1, (m == value).sum() + (t == value).sum())
            for m, t in zip(mine, theirs, strict=True)
            for value in values
        ]
        return float(np.mean(overlaps))

    def warm(self, precision: str, rounds: int) -> tuple[float, float]:
        """Seconds a stack in a process that holds the model: ours, and nnU-Net's predictor stage after stage."""
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        from nnunet_cardiac.inference import CardiacPredictor

        torch.set_num_threads(self.threads)
        os.environ.update(with_trainers(os.environ))
        image = sitk.ReadImage(self.stack / "heart_0000.nii.gz")
        array, spacing = sitk.GetArrayFromImage(image).astype(np.float32), image.GetSpacing()[::-1]
        ours = CardiacPredictor.from_folder(
            self.stages[-1].folder, folds=["0"], device=self.device, precision=precision
        )
        stock = []
        for stage in self.stages:
            stock.append(nnUNetPredictor(use_mirroring=False, device=torch.device(self.device), allow_tqdm=False))
            stock[-1].initialize_from_trained_model_folder(str(stage.folder), (0,))

        def stage_after_stage() -> None:
            coarse = None
            for predictor in stock:
                labels = predictor.predict_single_npy_array(array[None], {"spacing": list(spacing)}, coarse)
                coarse = labels[None].astype(np.float32)  # what it reads from a file of the stage before

        return _medians(lambda: ours.predict(array, spacing), stage_after_stage, rounds)


def _read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(path))


def _memory_gib(root: int) -> float:
    """Memory of a process and all that it started; a page that n of them share counts 1/n in each."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = {root}
    while grown := {child for child, parent in parents.items() if parent in family} - family:
        family |= grown
    kib = 0
    for number in family:
        with contextlib.suppress(OSError):  # it ended meanwhile
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{number}/smaps_rollup").read_text(), re.MULTILINE)
            kib += int(found[1]) if found else 0
    return kib / 2**20


def _medians(mine: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of two ways, taking turns after one unmeasured round."""
    seconds: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        mine()
        between = time.perf_counter()
        theirs()
        seconds.append((between - start, time.perf_counter() - between))
    return statistics.median(s[0] for s in seconds[1:]), statistics.median(s[1] for s in seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", type=Path, required=True)
    parser.add_argument("--plain", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--skip", default="", help="regular expression of rows to leave out")
    parser.add_argument("--memory", action="store_true", help="one more round that looks at the memory (Linux)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, Path(folder))
        sequential = ("-npp", "0", "-nps", "0")
        precision = ("--precision", args.precision)
        pairs: dict[str, tuple[Callable[[], Cost], Callable[[], Cost], Callable[[], float] | None]] = {
            "stack, cold, against default workers": (
                lambda: bench.ours(bench.stack, *precision),
                lambda: bench.stock(bench.stack),
                lambda: bench.dice(bench.stack),
            ),
            "stack, cold, against -npp 0 -nps 0": (
                lambda: bench.ours(bench.stack, *precision),
                lambda: bench.stock(bench.stack, *sequential),
                None,
            ),
            "cine, cold, against default workers": (
                lambda: bench.ours(bench.cine, *precision),
                lambda: bench.stock(bench.split),
                lambda: bench.dice(bench.cine),
            ),
            "cine, cold, against -npp 0 -nps 0": (
                lambda: bench.ours(bench.cine, *precision),
                lambda: bench.stock(bench.split, *sequential),
                None,
            ),
        }
        if bench.plain is not None:
            pairs["stack, cold, against plain nnU-Net with mirroring"] = (
                lambda: bench.ours(bench.stack, *precision),
                lambda: bench.stock_plain(bench.stack),
                None,
            )
        chosen = {name: row for name, row in pairs.items() if not args.skip or not re.search(args.skip, name)}
        for name, (mine, theirs, dice) in chosen.items():
            times = [(mine().seconds, theirs().seconds) for _ in range(args.rounds)]
            row = {"work": name, "ours_s": statistics.median(t[0] for t in times)}
            row["stock_s"] = statistics.median(t[1] for t in times)
            row["ratio"] = statistics.median(a / b for a, b in times)
            row["dice"] = dice() if dice else None
            if args.memory:
                bench.watching = True
                row |= {"ours_gib": mine().gib, "stock_gib": theirs().gib}
                bench.watching = False
            rows.append(row)
            print(json.dumps(row), flush=True)
        if not args.skip or not re.search(args.skip, "stack, warm"):
            ours, stock = bench.warm(args.precision, args.rounds)
            rows.append({"work": "stack, warm", "ours_s": ours, "stock_s": stock, "ratio": ours / stock, "dice": None})
            print(json.dumps(rows[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=4) + "\n")


if __name__ == "__main__":
    main()
