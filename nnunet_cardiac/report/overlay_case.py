"""A case with its image, its reference and its predictions, to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class OverlayCase:
    """One case to draw.

    Attributes:
        case: Case name.
        patient: Patient the case belongs to.
        phase: `ED`, `ES` or empty.
        image: Intensities (Z, Y, X).
        reference: Label map (Z, Y, X).
        predictions: Method -> label map (Z, Y, X), in the order of the methods.
        spacing_mm: Voxel size (z, y, x).
        labels: Structure -> label value; value 0 is skipped.
        group: Anything worth a word beside the name, for example the pathology.
    """

    case: str
    patient: str
    phase: str
    image: npt.NDArray[np.number]
    reference: npt.NDArray[np.integer]
    predictions: Mapping[str, npt.NDArray[np.integer]]
    spacing_mm: tuple[float, float, float]
    labels: Mapping[str, int]
    group: str = ""

    def __post_init__(self) -> None:
        shapes = {"image": self.image.shape, "reference": self.reference.shape}
        shapes.update({name: labels.shape for name, labels in self.predictions.items()})
        if len(set(shapes.values())) != 1 or self.image.ndim != 3:
            shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ValueError(f"{self.case}: expected one shape (Z, Y, X) for all arrays, got {shown}.")

    @property
    def structures(self) -> dict[str, int]:
        """Structure -> label value without the background."""
        return {name: value for name, value in self.labels.items() if value != 0}
