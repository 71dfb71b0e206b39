"""Dice of a trained system on images stored in six ways: taken as stored, as nnU-Net does, and brought to lie alike.

Run: python tests/scripts/orientation_table.py -m RESULT_FOLDER -i IMAGES -gt LABELS [--cases CASE ...] [-device DEVICE]

Images are NAME_0000 files of one channel, labels NAME files of the model's labels. Prints a line a storage with the
mean Dice of each structure, first as stored, then with the direction of the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from nnunet_cardiac.evaluation.overlap import dice
from nnunet_cardiac.image_names import image_stem
from nnunet_cardiac.images.image_file import Image, read_image
from nnunet_cardiac.images.orientation import Way
from nnunet_cardiac.inference import CardiacPredictor

STORED = {
    "as trained": "+x +y +z",
    "columns flipped": "-x +y +z",
    "half turn": "-x -y +z",
    "rows and columns exchanged": "+y +x +z",
    "slices from the other end": "+x +y -z",
    "slice axis first": "+y +z +x",
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", type=Path, required=True)
    parser.add_argument("-i", type=Path, required=True)
    parser.add_argument("-gt", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", default=())
    parser.add_argument("-device", default="cpu")
    args = parser.parse_args()
    predictor = CardiacPredictor.from_folder(args.m, device=args.device)
    names = predictor.labels
    scores: dict[tuple[str, bool], list[list[float]]] = {}
    for path in tqdm(sorted(args.i.iterdir()), "cases"):
        case = (image_stem(path) or "").removesuffix("_0000")
        if not case or (args.cases and case not in args.cases):
            continue
        image, reference = read_image(path), read_image(next(args.gt.glob(f"{case}.*"))).voxels
        for storage, code in STORED.items():
            for directed in (False, True):
                found = predict(predictor, image, Way.of(code), directed)
                row = [dice(found == value, reference == value) for value in names.values()]
                scores.setdefault((storage, directed), []).append(row)
    print(f"{'stored as':28}  {'as stored':24}  with the direction; Dice of {', '.join(names)}")
    for storage in STORED:
        means = (np.nanmean(scores[storage, directed], axis=0) for directed in (False, True))
        print(f"{storage:28}  " + "  ".join(f"{' / '.join(f'{value:.3f}' for value in mean):24}" for mean in means))


def predict(predictor: CardiacPredictor, image: Image, way: Way, directed: bool) -> npt.NDArray[np.integer]:
    """Segment an image that is stored in another way, and return the labels on the image as it was."""
    stored = way.inverse.moved(image.header)
    spacing = stored.spacing[::-1]
    direction = np.reshape(stored.direction, (3, 3)) if directed else None
    return way.apply(predictor.predict(way.inverse.apply(image.voxels), spacing, direction=direction))


if __name__ == "__main__":
    main()
