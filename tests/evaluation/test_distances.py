import math

import numpy as np
import pytest
from scipy.ndimage import generate_binary_structure
from scipy.spatial import cKDTree

from nnunet_cardiac.evaluation.distances import boundary, hd95_mm, pooled_boundary_distances


def disc(radius: float, centre: tuple[int, int], size: int = 128) -> np.ndarray:
    y, x = np.ogrid[:size, :size]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def nearest_neighbour_distances(a: np.ndarray, b: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Boundary by looking at the face neighbours of every voxel, distance by a search tree: no code shared."""

    def points(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1)
        offsets = np.argwhere(generate_binary_structure(mask.ndim, 1)) - 1
        inside = [padded[tuple(p + o + 1)] for p in np.argwhere(mask) for o in offsets]
        edge = ~np.reshape(inside, (-1, len(offsets))).all(axis=1)
        return np.argwhere(mask)[edge] * np.array(spacing_mm)

    pa, pb = points(a), points(b)
    return np.concatenate([cKDTree(pb).query(pa)[0], cKDTree(pa).query(pb)[0]])


def test_two_discs() -> None:
    """A far false positive: ASSD 3.71 (pooled), HD 48.8, HD95 43.8 (pooled); the mean of means would be 3.43."""
    reference = disc(20, (64, 64))
    prediction = reference | disc(4, (110, 110))
    distances = pooled_boundary_distances(reference, prediction, (1, 1))
    n = np.count_nonzero(boundary(reference))
    assert distances[:n].max() == 0.0
    assert distances.mean() == pytest.approx(3.71, abs=0.005)
    assert (distances[:n].mean() + distances[n:].mean()) / 2 == pytest.approx(3.43, abs=0.005)
    assert distances.max() == pytest.approx(48.8, abs=0.05)
    assert hd95_mm(reference, prediction, (1, 1)) == pytest.approx(43.8, abs=0.05)


def test_equals_search_tree_on_anisotropic_noise_touching_the_border() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 4, 9, 7)) < 0.4
    spacing = (10.0, 1.25, 1.7)
    expected = np.sort(nearest_neighbour_distances(a, b, spacing))
    np.testing.assert_allclose(np.sort(pooled_boundary_distances(a, b, spacing)), expected)
    assert hd95_mm(a, b, spacing) == pytest.approx(np.percentile(expected, 95))


@pytest.mark.parametrize(("axis", "expected"), [(0, 20.0), (1, 2.5), (2, 3.0)])
def test_shift_of_one_voxel_costs_its_spacing(axis: int, expected: float) -> None:
    mask = np.zeros((7, 8, 9), bool)
    mask[3, 4, 4] = True
    assert hd95_mm(mask, np.roll(mask, 2, axis), (10.0, 1.25, 1.5)) == pytest.approx(expected)


def test_empty_masks_have_no_distance() -> None:
    empty, full = np.zeros((2, 3, 3), bool), np.ones((2, 3, 3), bool)
    for pair in ((empty, empty), (empty, full), (full, empty)):
        assert math.isnan(hd95_mm(*pair, (1, 1, 1)))


def test_rejects_bad_input() -> None:
    mask = np.ones((2, 3, 3), bool)
    with pytest.raises(ValueError, match="hold 3 positive numbers, got"):
        hd95_mm(mask, mask, (1.0, 1.0))
    with pytest.raises(ValueError, match="hold 3 positive numbers, got"):
        hd95_mm(mask, mask, (0.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="must have one shape"):
        hd95_mm(mask, mask[:1], (1, 1, 1))
