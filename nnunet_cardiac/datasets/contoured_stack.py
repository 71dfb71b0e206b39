"""Contours on the grid of their cine series: which frame is which phase, and which slices can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nnunet_cardiac.datasets.contours import SliceContours
from nnunet_cardiac.datasets.dicom_cine import CineStack

#: Steps between slices may differ by this share before a slice counts as missing.
STEP_TOLERANCE = 0.2


@dataclass(frozen=True)
class ContouredStack:
    """A cine series and its contours.

    Attributes:
        stack: The series.
        contours: Slice and frame, both from 0 -> contours.
    """

    stack: CineStack
    contours: Mapping[tuple[int, int], SliceContours]

    def phases(self) -> dict[str, int]:
        """Return phase -> frame from 0: of the two frames with most contours, ED is the one with the larger cavity."""
        inner = [(z, t) for (z, t), files in self.contours.items() if files.inner is not None]
        frames = [t for t, _ in Counter(t for _, t in inner).most_common(2)]
        areas = {t: sum(int(self.labels(z, t, 0, 1).sum()) for z, frame in inner if frame == t) for t in frames}
        return dict(zip(("ED", "ES"), sorted(frames, key=lambda t: -areas[t]), strict=False))

    def labels(self, z: int, t: int, myocardium: int, cavity: int) -> np.ndarray:
        """Return the label map (y, x) of one image; empty if it has no contours."""
        files = self.contours.get((z, t), SliceContours())
        return files.labels(self.stack.slices[z][t].shape, myocardium, cavity)

    def trusted(self, t: int, cavity_only: bool) -> tuple[int, int]:
        """Return the slices (first, last + 1) of a frame that can be trusted; (0, 0) if there are none.

        A slice between contoured ones that has no contours, or the inner one only, would be labelled wrongly; the stack
        is cut there, and where the series lacks a slice. Of the parts, the one with most contoured slices counts.
        """
        complete, broken = self._states(t, cavity_only)
        usual = self.stack.slice_distance_mm()
        cuts = [z + 1 for z, step in enumerate(self.stack.steps_mm) if abs(step - usual) > STEP_TOLERANCE * usual]
        borders = sorted({0, len(self.stack.slices), *cuts, *broken, *(z + 1 for z in broken)})
        parts = [(first, last) for first, last in pairwise(borders) if first not in broken]
        best = max(parts, key=lambda part: len(complete & set(range(*part))), default=(0, 0))
        return best if complete & set(range(*best)) else (0, 0)

    def _states(self, t: int, cavity_only: bool) -> tuple[set[int], set[int]]:
        """Slices with all contours, and slices that would be labelled wrongly."""
        files = {z: found for (z, frame), found in self.contours.items() if frame == t}
        drawn = {z for z, found in files.items() if not cavity_only or found.inner is not None}
        broken = set(range(min(drawn), max(drawn))) - drawn if drawn else set()
        if not cavity_only:
            broken |= {z for z in drawn if files[z].outer is None}
        return drawn - broken, broken
