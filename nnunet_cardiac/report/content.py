"""What a result page shows, as plain data; every number on the page comes from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from nnunet_cardiac.report.curves import TrainingCurve


@dataclass(frozen=True)
class OverlayCase:
    """One case to draw.

    Attributes:
        case: Case name.
        patient: Patient the case belongs to.
        phase: `ED`, `ES` or empty.
        image: Intensities (Z, Y, X).
        reference: Label map (Z, Y, X).
        predictions: Stage name -> label map (Z, Y, X), in the order of the stages.
        spacing_mm: Voxel size (z, y, x).
        labels: Structure -> label value; value 0 is skipped.
        group: Anything worth a word beside the name, for example the pathology.
    """

    case: str
    patient: str
    phase: str
    image: npt.NDArray[np.generic]
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


@dataclass(frozen=True)
class Stage:
    """A stage of the cascade: its name and its table from `evaluation.table.evaluate_folder`."""

    name: str
    table: pd.DataFrame


@dataclass(frozen=True)
class CommandRun:
    """A command as typed and the seconds it took."""

    command: str
    seconds: float


@dataclass(frozen=True)
class ResultPage:
    """Content of the page. In `summary` and `notes`, text between backticks is set as code.

    Attributes:
        title: Heading.
        summary: Opening paragraphs.
        stages: Evaluated stages, the first one first; the last is the result.
        wall_time_s: Seconds of the whole run.
        device: Hardware in words.
        peak_memory_bytes: Largest memory in use, if known.
        versions: Software -> version.
        overlays: Cases to draw; the worst is shown first.
        exact_indices: Patient -> index as named by `evaluation.table.indices` -> true value, where it is known better
            than from the reference label maps (phantoms).
        curves: Stage name -> training curve.
        commands: What was run, in order.
        notes: How to repeat it on other data.
        own_data_commands: Commands that belong to the notes.
    """

    title: str
    summary: Sequence[str]
    stages: Sequence[Stage]
    wall_time_s: float
    device: str
    peak_memory_bytes: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    overlays: Sequence[OverlayCase] = ()
    exact_indices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    curves: Mapping[str, TrainingCurve] = field(default_factory=dict)
    commands: Sequence[CommandRun] = ()
    notes: Sequence[str] = ()
    own_data_commands: Sequence[str] = ()
