"""Simulated first stages: labels, boxes and maps where real ones would be."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_cardiac.cascade.simulation import CoarseSimulation


@pytest.fixture
def reference() -> np.ndarray:
    """Heart of three structures on slices 1 to 3 of five; the ring grows; 9 is the ignore label."""
    labels = np.zeros((5, 40, 40), np.int16)
    for z, size in ((1, 4), (2, 6), (3, 8)):
        labels[z, 20 - size : 20 + size, 20 - size : 20 + size] = 2
        labels[z, 18:22, 18:22] = 3
        labels[z, 15:25, 4 : 20 - size] = 1
    labels[:, :, 36:] = 9
    return labels


def test_labels_are_those_of_the_structures(reference: np.ndarray) -> None:
    made = CoarseSimulation("labels", (1, 2, 3)).without_errors(reference)
    np.testing.assert_array_equal(made, np.where(reference == 9, 0, reference))


def test_one_box_is_the_median_of_the_slices(reference: np.ndarray) -> None:
    made = CoarseSimulation("box", (1, 2, 3), (2, 3)).without_errors(reference)
    assert (made[:, 14:26, 14:26] == 1).all()  # that of the middle one, on all slices
    assert made.sum() == 5 * 12 * 12


def test_boxes_by_slice(reference: np.ndarray) -> None:
    made = CoarseSimulation("box", (1, 2, 3), (2, 3), per_slice=True).without_errors(reference)
    assert made.sum((1, 2)).tolist() == [0, 64, 144, 256, 0]
    assert (made[3, 12:28, 12:28] == 1).all()


def test_a_map_is_the_whole_heart(reference: np.ndarray) -> None:
    made = CoarseSimulation("map", (1, 2, 3)).without_errors(reference)
    np.testing.assert_array_equal(made, (reference > 0) & (reference != 9))


def test_no_heart_no_box() -> None:
    assert not CoarseSimulation("box", (1,)).without_errors(np.zeros((2, 8, 8), np.int16)).any()


def test_edges_of_a_box_move_by_two_pixels_at_most(reference: np.ndarray) -> None:
    np.random.seed(0)
    simulation = CoarseSimulation("box", (1, 2, 3), (2, 3))
    perfect = simulation.without_errors(reference)
    edges = []
    for _ in range(200):
        made = simulation.sample(perfect, [[2, 3], [0, 40], [0, 40]], heart_only=True)[0]
        rows, columns = (np.flatnonzero(made.any(axis)) for axis in (1, 0))
        assert made.sum() == len(rows) * len(columns)
        edges.append((rows[0] - 14, rows[-1] - 25, columns[0] - 14, columns[-1] - 25))
    assert np.min(edges, axis=0).tolist() == [-2] * 4
    assert np.max(edges, axis=0).tolist() == [2] * 4


def test_islands_apart_from_the_heart_are_hidden_as_at_prediction(reference: np.ndarray) -> None:
    np.random.seed(1)
    simulation = CoarseSimulation("labels", (1, 2, 3))
    perfect = simulation.without_errors(reference)
    box = [[2, 3], [0, 40], [0, 40]]
    shown = [simulation.sample(perfect, box, heart_only=False)[0] for _ in range(300)]
    hidden = [simulation.sample(perfect, box, heart_only=True)[0] for _ in range(300)]
    corner = (slice(0, 8), slice(28, 36))  # far from the heart
    assert any(one[corner].any() for one in shown)
    assert not any(one[corner].any() for one in hidden)


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="kind is 'boxes', expected one of labels, box, map"):
        CoarseSimulation("boxes")
