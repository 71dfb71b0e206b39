"""Hearts of ellipses, only as real as the report needs them."""

from collections.abc import Callable

import numpy as np
import pytest

from nnunet_cardiac.report.curves import TrainingCurve
from nnunet_cardiac.report.overlay_case import OverlayCase

LABELS = {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
SPACING_MM = (8.0, 1.4, 1.6)


def label_map(scale: float, shift_mm: float = 0.0, slices: tuple[int, int] = (2, 11)) -> np.ndarray:
    """A left ventricle with its wall and a right ventricle beside it, tapering from slice 2 to the apex."""
    labels = np.zeros((12, 104, 90), np.uint8)
    y, x = np.ogrid[:104, :90]
    for z in range(*slices):
        taper = scale * np.sqrt(1 - ((z - 2) / 9.5) ** 2)
        left = np.hypot((y - 52) * 1.4, (x - 50) * 1.6 - shift_mm) / taper
        right = np.hypot((y - 50) * 1.4 / 1.5, (x - 33) * 1.6 - shift_mm) / taper
        labels[z][(right < 19) & (z < 9)] = 1
        labels[z][left < 31 / taper**0.4] = 2
        labels[z][left < 21] = 3
    return labels


def heart(case: str, phase: str, error: float = 1.0) -> OverlayCase:
    scale = {"ED": 1.1, "ES": 0.8}.get(phase, 1.0)
    reference = label_map(scale)
    predictions = {
        "Stage 1 <2d>": label_map(scale * (1 + 0.06 * error), 2.5 * error, (2, 10)),
        "Stage 2": label_map(scale * (1 - 0.02 * error), 1.0 * error),
    }
    rng = np.random.default_rng(len(case))
    image = np.array([60.0, 170.0, 70.0, 190.0])[reference] + rng.normal(0, 14, reference.shape)
    return OverlayCase(case, case.split("_")[0], phase, image, reference, predictions, SPACING_MM, LABELS, "HCM & co")


@pytest.fixture
def make_heart() -> Callable[..., OverlayCase]:
    return heart


@pytest.fixture(scope="session")
def curve() -> TrainingCurve:
    epoch = np.arange(12)
    dice = 1 - np.exp(-(epoch[:, None] + 1) / np.array([5.0, 4.0, 3.0]))
    loss = -dice.mean(axis=1)
    return TrainingCurve(epoch, loss, loss + 0.05, dice, np.full(12, 4.25))
