"""How well a classifier says which structures a slice holds, by structure and level of the heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.evaluation.slice_levels import LEVELS, OUTSIDE
from nnunet_cardiac.files import read_json, write_json

ALL_LEVELS = "all"


@dataclass(frozen=True)
class PresenceScore:
    """Agreement on the presence of one structure over slices.

    Attributes:
        slices: Number of slices.
        present: Those that hold the structure.
        accuracy: Share of slices on which both agree; NaN without slices.
        f1: 2 TP / (2 TP + FP + FN); NaN if the structure is nowhere and found nowhere.
    """

    slices: int
    present: int
    accuracy: float
    f1: float

    def __str__(self) -> str:
        """Short text for a log."""
        return f"accuracy {self.accuracy:.3f}, F1 {self.f1:.3f} ({self.present} of {self.slices} slices)"


def presence_score(truth: npt.ArrayLike, found: npt.ArrayLike) -> PresenceScore:
    """Score the presence of one structure.

    Args:
        truth: For each slice whether the reference holds the structure, (S,).
        found: For each slice whether the classifier says so, (S,).

    Raises:
        ValueError: If the lengths differ.
    """
    truth, found = np.asarray(truth, bool), np.asarray(found, bool)
    if truth.shape != found.shape or truth.ndim != 1:
        raise ValueError(f"truth and found must have one length, got shapes {truth.shape} and {found.shape}.")
    hits, errors = int((truth & found).sum()), int((truth != found).sum())
    counted = 2 * hits + errors
    return PresenceScore(
        slices=len(truth),
        present=int(truth.sum()),
        accuracy=1 - errors / len(truth) if len(truth) else float("nan"),
        f1=2 * hits / counted if counted else float("nan"),
    )


def presence_table(
    truth: npt.NDArray[np.bool_],
    found: npt.NDArray[np.bool_],
    levels: Sequence[str],
    structures: Sequence[str],
    known: npt.NDArray[np.bool_] | None = None,
) -> dict[str, dict[str, PresenceScore]]:
    """Score structures over all slices and over those of each level.

    Args:
        truth: (S, K), K structures.
        found: (S, K).
        levels: Level of each slice, see :func:`nnunet_cardiac.evaluation.slice_levels.slice_levels`.
        structures: Names of the K structures.
        known: Where the truth is known, (S, K), or None for everywhere; a structure that no one saw in a slice with
            pixels without a reference may be in them. Such slices are left out.

    Returns:
        Structure -> `all`, `base`, `mid`, `apex`, `outside` -> score; levels without slices are left out.
    """
    level_of = np.asarray(levels)
    known = np.ones(truth.shape, bool) if known is None else known
    masks = {ALL_LEVELS: np.ones(len(truth), bool), **{name: level_of == name for name in (*LEVELS, OUTSIDE)}}
    return {
        structure: {
            name: presence_score(truth[mask & known[:, k], k], found[mask & known[:, k], k])
            for name, mask in masks.items()
            if mask.any()
        }
        for k, structure in enumerate(structures)
    }


def add_presence_report(validation: Path, table: Mapping[str, Mapping[str, PresenceScore]]) -> None:
    """Enter a table as `presence` into the `summary.json` of a validation folder, beside what nnU-Net wrote there."""
    path = validation / "summary.json"
    summary: dict[str, Any] = read_json(path)
    summary["presence"] = {
        structure: {level: asdict(score) for level, score in scores.items()} for structure, scores in table.items()
    }
    write_json(path, summary)
