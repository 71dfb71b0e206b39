"""An axis is mirrored at prediction only if training flips it: looked for in the samples of the training loader."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

CASES = [
    ("CroCNetTrainer", "2d", "paper"),
    ("CroCNetTrainer", "2d", "mild"),
    ("CroCNetTrainer", "2d", "nnunet"),
    ("CroCNetTrainer", "2d_crop", "paper"),
    ("CroCNetTrainer", "2d_crop", "mild"),
    ("HALSRNetTrainer", "2d", "paper"),
    ("HALSRNetTrainer", "2d_crop", "paper"),
    ("HALSRNetTrainer", "2d_crop", "nnunet"),
    ("HALSRNetTrainer", "2d_roi", "nnunet"),
    ("ClassifierGuidedTrainer", "2d_stack", "paper"),
    ("ClassifierGuidedTrainer", "2d_stack", "mild"),
    ("ClassifierGuidedTrainer", "2d_stack", "nnunet"),
    ("DRUNetTrainer", "3d_fullres", "paper"),
    ("DRUNetTrainer", "3d_fullres", "nnunet"),
    ("DRUNetTrainer", "3d_locate", "nnunet"),
    ("DRUNetTrainer", "3d_crop", "nnunet"),
    ("DRUNetEndToEndTrainer", "3d_joint", "nnunet"),
]


def flipped(samples: np.ndarray) -> set[int]:
    """Axes, counted from the last one, along which some of the samples fall where the images rise."""
    found = set()
    for sample in samples:
        for axis in range(-1, -sample.ndim - 1, -1):
            profile = np.moveaxis(sample, axis, 0).reshape(sample.shape[axis], -1)
            held = [line for line in profile if (line != 0).any()]
            steps = [np.median((b - a)[(a != 0) & (b != 0)]) for a, b in pairwise(held) if ((a != 0) & (b != 0)).any()]
            if steps and np.median(steps) < 0:
                found.add(axis)
    return found


KEEP_Z, POOL_Z = (8.0, 1.5, 1.5), (1.5, 1.5, 1.5)


@pytest.mark.parametrize(
    ("trainer_name", "configuration", "augmentation", "spacing"),
    [
        *((*case, KEEP_Z) for case in CASES),
        *((*case, POOL_Z) for case in CASES if case[1].startswith("3d")),  # slices do not depend on their distance
    ],
)
def test_only_what_training_flips(seam, spacing, trainer_name: str, configuration: str, augmentation: str) -> None:
    data = seam({"patient001_frame01": ((16, 48, 48), 20, 30, 6)})
    data.plan(trainer_name, spacing=spacing, coarse_labels="simulated")

    def change(entry: dict) -> None:
        entry["recipe"] = {"augmentation": augmentation, "batch_size": 8}

    trainer = data.trainer(trainer_name, configuration, change=change, plain=False)
    trainer.initialize()
    loader = trainer.get_dataloaders()[0]
    mirrored = trainer.inference_allowed_mirroring_axes or ()
    patch = trainer.configuration_manager.patch_size
    from_last = {axis - len(patch) for axis in mirrored}
    seen: set[int] = set()
    for _ in range(12):
        seen |= flipped(next(loader)["data"][:, 0].numpy())
        if from_last <= seen:
            break
    assert from_last <= seen
    if configuration in ("2d_roi", "3d_locate"):
        assert not mirrored  # the mean of boxes or maps is none
    elif augmentation == "nnunet":
        assert {-1, -2} <= from_last
        assert (-3 in from_last) == (spacing[0] < 8 and configuration != "3d_crop")  # windows are mirrored in-plane
    elif augmentation == "mild":
        assert not mirrored


@pytest.mark.parametrize("trainer_name", ["CroCNetTrainer", "ClassifierGuidedTrainer"])
def test_the_recipe_may_leave_mirroring_out(seam, trainer_name: str) -> None:
    data = seam({"patient001_frame01": ((6, 48, 48), 20, 30, 6)})
    data.plan(trainer_name)
    name = "2d" if trainer_name == "CroCNetTrainer" else "2d_stack"

    def change(entry: dict) -> None:
        entry["recipe"] = {"test_time_mirroring": False, "batch_size": 2}

    trainer = data.trainer(trainer_name, name, change=change, plain=False)
    trainer.initialize()
    trainer.get_dataloaders()
    assert trainer.inference_allowed_mirroring_axes is None


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[11]])
def test_a_recipe_without_flips(seam, case: tuple[str, str, str]) -> None:
    """What flips is asked of the transforms: nnU-Net's turn slices by up to 180 degrees, which looks like a flip."""
    trainer_name, configuration, augmentation = case
    data = seam({"patient001_frame01": ((16, 48, 48), 20, 30, 6)})
    data.plan(trainer_name, spacing=KEEP_Z, coarse_labels="simulated")
    axes = {}
    for flips in (True, False):

        def change(entry: dict, flips: bool = flips) -> None:
            entry["recipe"] = {"augmentation": augmentation, "batch_size": 8, "flips": flips}

        trainer = data.trainer(trainer_name, configuration, change=change, plain=False)
        trainer.initialize()
        trainer.get_dataloaders()
        axes[flips] = (trainer._flipped_axes, trainer.inference_allowed_mirroring_axes)
    assert axes[True][0]
    assert axes[True][1]
    assert axes[False] == (set(), None)
