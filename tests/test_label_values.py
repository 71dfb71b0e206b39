"""Pixels without a reference are neither structure nor background, in arrays and in tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.label_values import (
    check_ignore_is_highest,
    ignore_label,
    ignored_mask,
    refuse_regions,
    structure_mask,
    structure_values,
)

VALUES = [[-1, 0, 1], [2, 3, 4]]  # nnU-Net marks what lies outside the image with -1


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("ignore", "structures", "ignored"),
    [
        (None, [[False, False, True], [True, True, True]], [[False] * 3] * 2),
        (4, [[False, False, True], [True, True, False]], [[False] * 3, [False, False, True]]),
    ],
)
def test_masks(make, ignore: int | None, structures: list, ignored: list) -> None:
    assert structure_mask(make(VALUES), ignore).tolist() == structures
    assert ignored_mask(make(VALUES), ignore).tolist() == ignored


def test_structures_are_what_is_left() -> None:
    labels = {"background": 0, "RV": 1, "MYO": 2, "ignore": 3}
    assert structure_values(labels) == {"RV": 1, "MYO": 2}
    assert ignore_label(labels) == 3
    assert ignore_label({"background": 0, "RV": 1}) is None


@pytest.mark.parametrize("value", [[1, 2], (1,), 1.0, "1", True])
def test_regions_are_refused_with_the_file(value: object) -> None:
    with pytest.raises(UserError, match=r"^here: label 'heart' is .* one whole number .* Region labels"):
        refuse_regions({"background": 0, "heart": value}, "here")


def test_the_ignore_label_is_the_highest() -> None:
    check_ignore_is_highest({"background": 0, "RV": 1, "ignore": 2}, "here")
    check_ignore_is_highest({"background": 0, "RV": 1}, "here")
    with pytest.raises(UserError, match=r"^here: the label 'ignore' is 1, and the highest value is 2"):
        check_ignore_is_highest({"background": 0, "ignore": 1, "RV": 2}, "here")
