"""Axes that are nearly at right angles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.direction import in_plane, nearest_orthonormal


def sheared(degrees: float) -> np.ndarray:
    """Axes of 1.5, 1.25 and 8 mm of which the first leans towards the second."""
    lean = np.radians(degrees)
    return np.array([[np.cos(lean), 0, 0], [np.sin(lean), 1, 0], [0, 0, 1]]) * [1.5, 1.25, 8]


@pytest.mark.parametrize("degrees", [0.03, 1.0, 9.0])
def test_both_axes_share_the_turn(degrees: float) -> None:
    """Two axes with an angle of 90 - d between them turn by d / 2 each."""
    direction, turned = nearest_orthonormal(Path("p.nii"), sheared(degrees))
    assert turned == pytest.approx(degrees / 2, rel=1e-3)
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    half = np.radians(degrees / 2)
    np.testing.assert_allclose(direction[:, 0], (np.cos(half), np.sin(half), 0), atol=1e-9)


def test_a_right_angle_stays_as_it_is() -> None:
    axes = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, -1]])
    direction, turned = nearest_orthonormal(Path("p.nii"), axes * [1.5, 1.25, 8])
    np.testing.assert_allclose(direction, axes, atol=1e-15)
    assert turned == 0


@pytest.mark.parametrize("axes", [sheared(11), np.diag([1.5, 1.25, 0]), np.diag([1.5, np.nan, 8]), np.ones((3, 3))])
def test_axes_that_are_none(axes: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"p\.nii: "):
        nearest_orthonormal(Path("p.nii"), axes)


def test_picture_of_an_oblique_slice() -> None:
    np.testing.assert_array_equal(in_plane(np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])), np.eye(2))
    np.testing.assert_array_equal(in_plane(np.diag([-1.0, -1, 1])), np.diag([-1.0, -1]))
