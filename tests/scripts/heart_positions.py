"""Counts in how many label maps the heart contradicts its header, as they are and after each fault of a header.

Run: python tests/scripts/heart_positions.py RV=1 MYO=2 LV=3 FILE... [--typical base-first|apex-first]

A fault moves the voxels and leaves the directions alone. Label maps of ACDC and M&Ms have lost their directions;
`--typical` gives all of them those of one typical short-axis stack, so that the planes' own turns count as errors.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.images.heart_position import HeartPosition, common_position, heart_position
from nnunet_cardiac.images.image_file import read_image
from nnunet_cardiac.images.orientation import Way, directions

Array = npt.NDArray[np.float64]

_LEFT, _, _RIGHT = np.linalg.svd(np.array([[0.77, -0.15, -0.62], [0.62, 0.41, 0.67], [0.16, -0.90, 0.41]]))
#: Columns: x, y and z of patient SC-HF-I-02 of the Sunnybrook data, from apex to base.
TYPICAL = _LEFT @ _RIGHT

FAULTS = {
    "none": "+x +y +z",
    "columns flipped": "-x +y +z",
    "rows flipped": "+x -y +z",
    "half turn": "-x -y +z",
    "rows and columns exchanged": "+y +x +z",
    "slices reversed": "+x +y -z",
}
HEADERS: dict[str, Callable[[Array], Array]] = {
    "right and left, front and back of the header exchanged": lambda direction: np.diag([-1.0, -1.0, 1.0]) @ direction,
    "header without directions (identity)": lambda direction: np.eye(3),
}


def main() -> None:
    """Print a line for each fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", metavar="NAME=N or FILE")
    parser.add_argument("--typical", choices=("base-first", "apex-first"))
    args = parser.parse_args()
    values = {word.split("=")[0]: int(word.split("=")[1]) for word in args.words if "=" in word}
    maps = [_read(Path(word), args.typical) for word in args.words if "=" not in word]
    found = {}
    for fault, code in FAULTS.items():
        way = Way.of(code)
        found[fault] = [_position(way.apply(one), values, axes, [mm[k] for k in way.axes]) for one, axes, mm in maps]
    for fault, change in HEADERS.items():
        found[fault] = [_position(one, values, change(axes), mm) for one, axes, mm in maps]
    others = [axes for _, axes, _ in maps]
    if not args.typical:
        found["header of another"] = [
            _position(one, values, other, mm) for one, axes, mm in maps for other in others if other is not axes
        ]
    for fault, positions in found.items():
        print(f"{fault}: {dict(Counter(position.verdict or 'nothing' for position in positions))}")
    angles = [position.angle for position in found["none"] if not np.isnan(position.angle)]
    if angles:
        print("angle, minimum, quartiles and maximum:", np.percentile(angles, [0, 25, 50, 75, 100]).round())


def _read(path: Path, typical: str | None) -> tuple[npt.NDArray[np.integer], Array, list[float]]:
    """Label map (T, Z, Y, X), directions, and voxel size (x, y, z)."""
    image = read_image(path, unit_matrix=True, any_size=True)
    axes = directions(image.header)
    if typical:
        axes = TYPICAL * [1.0, 1.0, 1.0 if typical == "apex-first" else -1.0]
    labels = image.voxels.astype(np.uint8)
    return labels.reshape((-1, *labels.shape[-3:])), axes, list(image.header.spacing[:3])


def _position(labels: npt.NDArray[np.integer], values: dict[str, int], axes: Array, mm: list[float]) -> HeartPosition:
    return common_position([heart_position(frame, values, axes, mm) for frame in labels])


if __name__ == "__main__":
    main()
