"""Sizes that no picture of a heart has, and those that real ones have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.layout import Layout, Stored
from nnunet_cardiac.images.voxel_size import choose_spacing

Sizes = tuple[float, ...]


def layout(shape: tuple[int, ...], spacing: Sizes) -> Layout:
    stored = Stored(Path("p.nii"), (Path("p.nii"),), shape, np.dtype("i2"))
    axes = np.eye(min(len(shape), 3))
    return Layout(stored, tuple(range(len(shape))), len(shape), {"pixdim": spacing}, (0.0,) * 3, axes)


#: ACDC, M&Ms, M&Ms-2, LASC, Sunnybrook, a cine series, isotropic volumes, a phantom, single slices.
REAL = [
    ((232, 256, 10), (1.5625, 1.5625, 10)),
    ((428, 512, 12), (0.7031, 0.7031, 5)),
    ((192, 192, 10), (1.25, 1.25, 10)),
    ((140, 150, 88), (0.625, 0.625, 0.625)),
    ((256, 256, 12), (1.367, 1.367, 8)),
    ((576, 576, 44), (0.625, 0.625, 2.5)),
    ((256, 256, 12, 25), (1.4, 1.4, 13)),
    ((200, 200, 120), (1.0, 1.0, 1.0)),
    ((64, 64, 9), (4.0, 4.0, 9.0)),
    ((6, 7, 5), (1.3, 1.45, 9.6)),
    ((256, 208), (1.4, 1.4, 1)),
    ((256, 208, 1), (1.4, 1.4, 1)),
    ((256, 208, 1), (1.4, 1.4, 999)),
]


@pytest.mark.parametrize(("shape", "spacing"), REAL)
def test_real_images(shape: tuple[int, ...], spacing: Sizes) -> None:
    assert choose_spacing(layout(shape, spacing)) == spacing[: min(len(shape), 3)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (0, 2, 1)])
@pytest.mark.parametrize(("shape", "spacing"), [real for real in REAL if len(real[0]) == 3])
def test_slices_may_lie_along_any_axis(shape: tuple[int, ...], spacing: Sizes, order: tuple[int, ...]) -> None:
    turned = tuple(spacing[axis] for axis in order)
    assert choose_spacing(layout(tuple(shape[axis] for axis in order), turned)) == turned


@pytest.mark.parametrize("factor", [5, 10, 25.4, 1000, 0.1, 0.001])
@pytest.mark.parametrize(("shape", "spacing"), [real for real in REAL if real[1][0] > 1 and len(real[0]) > 2])
def test_wrong_units_and_factors(shape: tuple[int, ...], spacing: Sizes, factor: float) -> None:
    wrong = tuple(factor * size for size in spacing)
    with pytest.raises(UserError, match=r"p\.nii: .*mm.*; expected .*--spacing X Y Z"):
        choose_spacing(layout(shape, wrong))
    assert choose_spacing(layout(shape, wrong), (1.5, 1.25, 8)) == (1.5, 1.25, 8)
    assert choose_spacing(layout(shape, wrong), any_size=True) == wrong


@pytest.mark.parametrize(
    ("shape", "spacing", "message"),
    [
        ((128, 128, 6), (9.4, 9.4, 50), "pixels of 9.4 x 9.4 mm; expected 0.2 to 5 mm"),
        ((128, 128, 6), (1.4, 1.4, 50), "slices 50 mm apart; expected 0.2 to 20 mm"),
        ((256, 256, 6), (3.5, 3.5, 10), "is 896 x 896 mm wide; expected at most 800 mm"),
        ((128, 128, 6), (0.25, 0.25, 10), "is 32 x 32 mm wide; expected at least 50 mm"),
        ((256, 256, 12), (10, 1.4, 1.4), "256 slices 10 mm apart, 2560 mm together; expected at most 800 mm"),
        ((256, 30, 30), (1.0, 4.0, 10.0), "pixels of 1 x 4 mm; expected nearly square ones"),
        ((256, 256, 12), (1.0, 1.0, 1.0), "exactly 1 mm along all axes, and 12 slices"),
    ],
)
def test_what_is_said(shape: tuple[int, ...], spacing: Sizes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose_spacing(layout(shape, spacing))


@pytest.mark.parametrize("given", [(1.5, 1.5), (1.5, 1.5, 0), (1.5, 1.5, -8), (1.5, 1.5, float("nan"))])
def test_a_size_that_a_user_cannot_mean(given: Sizes) -> None:
    with pytest.raises(UserError, match=r"--spacing is 1\.5 1\.5.*expected three sizes above 0"):
        choose_spacing(layout((6, 7, 5), (1, 1, 8)), given)
