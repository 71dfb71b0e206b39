"""Append one row of the table: Dice and HD95 of a folder of predictions, seconds an epoch, hardware and versions.

python score.py RAW_DATASET PREDICTIONS TRAINING_LOG TRAINER CONFIGURATION TABLE.jsonl
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from importlib.metadata import version
from pathlib import Path

import torch

from nnunet_cardiac.anatomy import anatomy_labels
from nnunet_cardiac.evaluation.table import evaluate_folder, mean_foreground_dice
from nnunet_cardiac.files import read_json


def main(raw: Path, predictions: Path, log: Path, trainer: str, configuration: str, table: Path) -> None:
    """Evaluate and append."""
    labels = anatomy_labels(read_json(raw / "dataset.json")["labels"])
    cases = evaluate_folder(raw / "labelsTs", predictions, labels, progress=False)
    by_structure = cases.groupby("structure")
    seconds = [float(s) for s in re.findall(r"Epoch time: ([\d.]+) s", log.read_text())]
    row = {
        "trainer": trainer,
        "configuration": configuration,
        "cases": int(cases["case"].nunique()),
        "dice": {name: round(float(group["dice"].mean()), 4) for name, group in by_structure},
        "mean_dice": round(mean_foreground_dice(cases), 4),
        "hd95_nominal_mm": {name: round(float(group["hd95_pooled_mm"].mean()), 2) for name, group in by_structure},
        "hd95_failed": int(cases["distance_failed"].sum()),
        "seconds_per_epoch": statistics.median(seconds) if seconds else None,
        "epochs": len(seconds),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {name: version(name) for name in ("nnunetv2", "torch")},
    }
    with table.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], sys.argv[5], Path(sys.argv[6]))
