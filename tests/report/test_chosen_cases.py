"""Pictures of cases whose image, reference and prediction are stored in three ways."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from nnunet_cardiac.evaluation.folders import evaluate_folders
from nnunet_cardiac.report.chosen_cases import overlay_cases

Way = tuple[list[int], list[bool]]
ONE: Way = ([2, 0, 1], [True, False, False])
TWO: Way = ([1, 0, 2], [False, True, True])
#: Of a short-axis stack as a scanner stores it, one axis a column.
OBLIQUE = Rotation.align_vectors([[0.77, 0.62, 0.16], [-0.15, 0.41, -0.9]], np.eye(3)[:2])[0].as_matrix()


def heart() -> np.ndarray:
    labels = np.zeros((4, 30, 34), np.uint8)
    labels[:, 8:20, 10:24], labels[:, 11:17, 13:21], labels[:, 10:16, 4:10] = 2, 3, 1
    labels[0] = 0
    return labels


def write(path: Path, voxels: np.ndarray, way: Way | None = None) -> None:
    """Write a stack; SimpleITK exchanges and turns its axes."""
    path.parent.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(voxels, isVector=False)
    image.SetSpacing((2.0, 1.5, 8.0))
    image.SetDirection(OBLIQUE.ravel().tolist())
    if way is not None:
        image = sitk.Flip(sitk.PermuteAxes(image, way[0]), way[1], False)
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize(
    ("image", "reference", "prediction"), [(None, None, None), (ONE, TWO, None), (TWO, ONE, ONE), (None, ONE, TWO)]
)
def test_all_are_drawn_in_one_storage(
    tmp_path: Path, image: Way | None, reference: Way | None, prediction: Way | None
) -> None:
    grey = np.random.default_rng(5).integers(0, 400, heart().shape).astype(np.int16)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3}}))
    write(tmp_path / "imagesTs" / "a_0000.nii.gz", grey, image)
    write(tmp_path / "labelsTs" / "a.nii.gz", heart(), reference)
    write(tmp_path / "pred" / "a.nii.gz", np.roll(heart(), 1, axis=2), prediction)

    (drawn,) = overlay_cases(evaluate_folders(tmp_path / "labelsTs", tmp_path / "pred")).values()

    np.testing.assert_array_equal(drawn.image, grey)
    np.testing.assert_array_equal(drawn.reference, heart())
    np.testing.assert_array_equal(next(iter(drawn.predictions.values())), np.roll(heart(), 1, axis=2))
    assert drawn.spacing_mm == pytest.approx((8, 1.5, 2))
