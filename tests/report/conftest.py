"""Hearts of ellipses, only as real as the report needs them."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from nnunet_cardiac.report.content import CommandRun, OverlayCase, ResultPage, Stage
from nnunet_cardiac.report.curves import TrainingCurve

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


def evaluated(cases: list[OverlayCase], stage: str) -> pd.DataFrame:
    """The table that `evaluate_folder` would give for these arrays."""
    rows = []
    voxel_ml = float(np.prod(SPACING_MM)) / 1000
    for case in cases:
        for name, value in case.structures.items():
            masks = case.reference == value, case.predictions[stage] == value
            voxels = [int(mask.sum()) for mask in masks]
            rows.append(
                {
                    **{"case": case.case, "patient": case.patient, "phase": case.phase, "structure": name},
                    "dice": 2 * int((masks[0] & masks[1]).sum()) / sum(voxels) if sum(voxels) else float("nan"),
                    "hd95_pooled_mm": 1.25 if all(voxels) else float("nan"),
                    "distance_failed": bool(voxels[0]) != bool(voxels[1]),
                    **{"volume_ml_reference": voxels[0] * voxel_ml, "volume_ml_prediction": voxels[1] * voxel_ml},
                    **{"voxels_reference": voxels[0], "voxels_prediction": voxels[1]},
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def curve() -> TrainingCurve:
    epoch = np.arange(12)
    dice = 1 - np.exp(-(epoch[:, None] + 1) / np.array([5.0, 4.0, 3.0]))
    loss = -dice.mean(axis=1)
    return TrainingCurve(epoch, loss, loss + 0.05, dice, np.full(12, 4.25))


@pytest.fixture(scope="session")
def page(curve: TrainingCurve) -> ResultPage:
    return result_page(curve)


def result_page(curve: TrainingCurve) -> ResultPage:
    """Two patients at ED and ES; the second is the worse one."""
    cases = [heart("patient001_frame01", "ED"), heart("patient001_frame09", "ES")]
    cases += [heart("patient002_frame01", "ED", 2.0), heart("patient002_frame12", "ES", 2.5)]
    return ResultPage(
        title="Two-stage segmentation of <ellipses> & co",
        summary=["A test page of `ellipses`: the numbers mean nothing, and the <b>marks</b> stay text."],
        stages=[Stage(name, evaluated(cases, name)) for name in cases[0].predictions],
        wall_time_s=754.0,
        device="CPU, 2 cores & no accelerator",
        peak_memory_bytes=3 * 2**30,
        versions={"nnunet_cardiac": "0.1.0", "nnU-Net": "2.8.1"},
        overlays=cases,
        exact_indices={"patient001": {"LV EDV": 151.5, "LV EF": 61.25}},
        curves={"Stage 1 <2d>": curve, "Stage 2": curve},
        commands=[
            CommandRun("nnUNetv2_train 27 2d 0 -tr CroCNetTrainer", 303.2),
            CommandRun("nnUNetv2_predict -i in -o out && echo '<done>'", 8.44),
        ],
        notes=["Put your data into `nnUNet_raw` and name the labels."],
        own_data_commands=["nnunet_cardiac convert acdc SOURCE", "nnunet_cardiac train 27"],
    )
