"""How often label maps show a structure in slices just beyond its base and apex, and how large it is there.

python tests/scripts/beyond_the_ends.py -gt LABELS -p PREDICTIONS [--simulated N]

Both folders hold label maps of the same names; cases without a prediction are left out. With `--simulated` the coarse
labels that training makes up from the references are counted beside the predictions, N of each case.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.cascade.corruption import corrupt_labels

Pair = tuple[np.ndarray, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-gt", type=Path, required=True)
    parser.add_argument("-p", type=Path, required=True)
    parser.add_argument("--simulated", type=int, default=0)
    args = parser.parse_args()
    labels = json.loads((args.gt.parent / "dataset.json").read_text())["labels"]
    names = sorted(path.name for path in args.gt.glob("*.nii.gz") if (args.p / path.name).is_file())
    references = [read(args.gt / name) for name in names]
    predicted = list(zip(references, (read(args.p / name) for name in names), strict=True))
    report(f"{args.p}, {len(names)} cases", predicted, labels)
    if args.simulated:
        np.random.seed(0)
        made_up = [(labels_, corrupt_labels(labels_)) for labels_ in references for _ in range(args.simulated)]
        report("simulated", made_up, labels)


def read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def report(title: str, pairs: Iterable[Pair], labels: dict[str, int]) -> None:
    print(title)
    pairs = list(pairs)
    for name, value in labels.items():
        if value:
            columns = zip(*(count(*pair, value) for pair in pairs), strict=True)
            beyond, shown, false, true = (sum(column) for column in columns)
            share = f"wrong slices in all {false / true:.1%} of its volume"
            print(f"  {name}: in {shown} of {beyond} slices beside an end; {share}")


def count(reference: np.ndarray, predicted: np.ndarray, value: int) -> tuple[int, int, int, int]:
    """Slices beside one that holds the structure, those of them that show it, its false and its true voxels."""
    truth, found = ((one == value).sum((1, 2)) for one in (reference, predicted))
    padded = np.pad(truth > 0, 1)
    beside = (truth == 0) & (padded[:-2] | padded[2:])
    return int(beside.sum()), int((beside & (found > 0)).sum()), int(found[truth == 0].sum()), int(truth.sum())


if __name__ == "__main__":
    main()
