"""Contour files of the Sunnybrook data: one point `x y` in pixels a line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skimage.draw import polygon2mask

from nnunet_cardiac.errors import UserError

_NAME = re.compile(r"IM-\d+-(\d+)-([io])contour-manual\.txt", re.IGNORECASE)


@dataclass(frozen=True)
class SliceContours:
    """The contours of one image.

    Attributes:
        inner: File of the endocardial contour, if there is one.
        outer: File of the epicardial contour, if there is one.
    """

    inner: Path | None = None
    outer: Path | None = None

    def labels(self, shape: tuple[int, int], myocardium: int, cavity: int) -> np.ndarray:
        """Fill the contours: the myocardium between them, the cavity inside.

        Args:
            shape: Pixels (y, x).
            myocardium: Value, 0 leaves it out.
            cavity: Value.
        """
        labels = np.zeros(shape, np.uint8)
        if self.outer is not None:
            labels[fill(self.outer, shape)] = myocardium
        if self.inner is not None:
            labels[fill(self.inner, shape)] = cavity
        return labels


def find_contours(folder: Path) -> dict[int, SliceContours]:
    """Return instance number -> contours; contours of papillary muscles (`p1`, `p2`, ...) are left alone."""
    found: dict[int, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(int(match[1]), {})[match[2].lower()] = path
    return {number: SliceContours(files.get("i"), files.get("o")) for number, files in found.items()}


def fill(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels (y, x) whose centres lie inside a contour.

    Raises:
        UserError: If the file holds no polygon, or one outside the image.
    """
    try:
        points = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise UserError(f"{path}: no list of points ({error}); expected 'x y' in pixels, one point a line.") from error
    if points.shape[1:] != (2,) or len(points) < 3 or (points < -1).any() or (points > np.array(shape[::-1])).any():
        raise UserError(
            f"{path}: {len(points)} points of {points.shape[1:]} numbers up to {points.max(initial=0):g}; expected at "
            f"least 3 points x y inside {shape[1]} x {shape[0]} pixels."
        )
    return polygon2mask(shape, points[:, ::-1])
