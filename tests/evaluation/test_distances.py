import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.ndimage import generate_binary_structure
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from nnunet_cardiac.evaluation.distances import (
    boundary,
    hd95_mm,
    pooled_boundary_distances,
    surface_distances,
)


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


def random_mask(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of any density, a box, one voxel, a full or an empty mask."""
    kind = rng.integers(5)
    mask = np.zeros(shape, bool)
    if kind == 0:
        return rng.random(shape) < rng.random()
    if kind == 1:
        low = [rng.integers(n) for n in shape]
        mask[tuple(slice(a, rng.integers(a, n) + 1) for a, n in zip(low, shape, strict=True))] = True
    elif kind == 2:
        mask[tuple(rng.integers(n) for n in shape)] = True
    elif kind == 3:
        mask[...] = True
    return mask


def brute_force(a: np.ndarray, b: np.ndarray, spacing_mm: np.ndarray) -> dict[str, float]:
    """All metrics from the matrix of all pairs of boundary points."""

    def points(mask: np.ndarray) -> np.ndarray:
        padded, kept = np.pad(mask, 1), []
        for p in np.argwhere(mask):
            steps = np.vstack([np.eye(mask.ndim, dtype=int), -np.eye(mask.ndim, dtype=int)])
            if not all(padded[tuple(p + 1 + step)] for step in steps):
                kept.append(p * spacing_mm)
        return np.array(kept)

    matrix = cdist(points(a), points(b))
    ab, ba = matrix.min(axis=1), matrix.min(axis=0)
    return {
        "hd_mm": matrix.min(axis=1).max() if ab.max() >= ba.max() else ba.max(),
        "hd95_pooled_mm": np.percentile([*ab, *ba], 95),
        "hd95_max_of_directed_mm": max(np.percentile(ab, 95), np.percentile(ba, 95)),
        "asd_pooled_mm": (ab.sum() + ba.sum()) / (len(ab) + len(ba)),
        "assd_mean_of_means_mm": (ab.mean() + ba.mean()) / 2,
        "surface_dice": ((ab <= 2.5).sum() + (ba <= 2.5).sum()) / (len(ab) + len(ba)),
    }


@pytest.mark.parametrize("shape", [(4, 7, 5), (9, 6), (1, 6, 8), (3, 1, 1)])
def test_every_metric_equals_brute_force(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(shape)
    compared = 0
    for _ in range(150):
        a, b = random_mask(rng, shape), random_mask(rng, shape)
        spacing = rng.uniform(0.7, 9.0, len(shape))
        found = surface_distances(a, b, spacing)
        if not (a.any() and b.any()):
            assert not found.defined
            assert math.isnan(found.hd_mm())
            assert math.isnan(found.asd_pooled_mm())
            continue
        compared += 1
        for name, expected in brute_force(a, b, spacing).items():
            value = found.surface_dice(2.5) if name == "surface_dice" else getattr(found, name)()
            assert value == pytest.approx(expected, abs=1e-9), name
    assert compared > 60


def test_variants_on_the_two_discs() -> None:
    reference = disc(20, (64, 64))
    found = surface_distances(reference, reference | disc(4, (110, 110)), (1, 1))
    assert found.hd_mm() == pytest.approx(48.8, abs=0.05)
    assert found.hd95_pooled_mm() == pytest.approx(43.8, abs=0.05)
    assert found.hd95_max_of_directed_mm() == pytest.approx(46.7, abs=0.05)
    assert found.asd_pooled_mm() == pytest.approx(3.71, abs=0.005)
    assert found.assd_mean_of_means_mm() == pytest.approx(3.43, abs=0.005)
    assert found.from_prediction.mean() == pytest.approx(6.86, abs=0.005)
    assert found.from_reference.max() == 0.0


def test_surface_dice_of_missing_structures() -> None:
    empty, full = np.zeros((2, 3, 3), bool), np.ones((2, 3, 3), bool)
    assert surface_distances(full, empty, (1, 1, 1)).surface_dice(100) == 0
    assert surface_distances(empty, full, (1, 1, 1)).surface_dice(100) == 0
    assert math.isnan(surface_distances(empty, empty, (1, 1, 1)).surface_dice(1))


def test_tolerance_of_one_voxel_survives_single_precision() -> None:
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 4, 4] = True
    spacing = (8.0, float(np.float32(1.2)), float(np.float32(1.2)))
    assert surface_distances(mask, np.roll(mask, 1, 1), spacing).surface_dice(1.2) == 1
    assert surface_distances(mask, np.roll(mask, 2, 1), spacing).surface_dice(1.2) == 0


# Other libraries as oracles.


def pairs_of_blobs(count: int) -> list[tuple[np.ndarray, np.ndarray, tuple[float, float, float]]]:
    """Smooth random shapes, as libraries crop and pad them in ways of their own."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(3)
    found = []
    while len(found) < count:
        noise = gaussian_filter(rng.standard_normal((6, 24, 24)), (0.7, 3, 3))
        a = noise > np.quantile(noise, 0.8)
        b = noise + 0.3 * noise.std() * rng.standard_normal() > np.quantile(noise, 0.75)
        a[[0, -1]] = b[[0, -1]] = False
        if a.any() and b.any():
            found.append((a, b, (8.0, 1.4, 1.7)))
    return found


def contour(mask: np.ndarray, spacing_mm: tuple[float, ...]) -> sitk.Image:
    """Voxels of a mask with a face at the background or at the border of the array, by SimpleITK."""
    image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    image.SetSpacing(tuple(reversed(spacing_mm)))
    return sitk.BinaryContour(image, fullyConnected=False)


def directed_mm(contour_a: sitk.Image, contour_b: sitk.Image) -> np.ndarray:
    """Distance of each voxel of one contour from the other, by SimpleITK's distance map."""
    distances = sitk.SignedMaurerDistanceMap(contour_b, squaredDistance=False, useImageSpacing=True)
    return abs(sitk.GetArrayFromImage(distances)[sitk.GetArrayFromImage(contour_a) > 0])


def test_equals_simpleitk() -> None:
    for a, b, spacing in pairs_of_blobs(30):
        found = surface_distances(a, b, spacing)
        contours = contour(a, spacing), contour(b, spacing)
        theirs = sitk.HausdorffDistanceImageFilter()
        theirs.Execute(*contours)
        assert found.hd_mm() == pytest.approx(theirs.GetHausdorffDistance())
        assert found.assd_mean_of_means_mm() == pytest.approx(theirs.GetAverageHausdorffDistance())
        pooled = np.concatenate([directed_mm(*contours), directed_mm(*reversed(contours))])
        assert found.hd95_pooled_mm() == pytest.approx(np.percentile(pooled, 95), abs=1e-4)
        assert found.asd_pooled_mm() == pytest.approx(pooled.mean(), abs=1e-5)


def test_equals_monai() -> None:
    from monai import metrics  # some seconds

    for a, b, spacing in pairs_of_blobs(30):
        found = surface_distances(a, b, spacing)
        y, y_pred = (torch.from_numpy(mask)[None, None].float() for mask in (a, b))
        options = {"include_background": True, "spacing": spacing}
        hd = metrics.compute_hausdorff_distance(y_pred, y, **options).item()
        hd95 = metrics.compute_hausdorff_distance(y_pred, y, percentile=95, **options).item()
        asd = metrics.compute_average_surface_distance(y_pred, y, symmetric=True, **options).item()
        nsd = metrics.compute_surface_dice(y_pred, y, [2.0], **options).item()
        assert found.hd_mm() == pytest.approx(hd, abs=1e-3)
        assert found.hd95_max_of_directed_mm() == pytest.approx(hd95, abs=1e-3)
        assert found.asd_pooled_mm() == pytest.approx(asd, rel=1e-5)
        assert found.surface_dice(2.0) == pytest.approx(nsd, rel=1e-5)
