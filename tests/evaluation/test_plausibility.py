import math
import time

import numpy as np
import pytest

from nnunet_cardiac.evaluation.plausibility import contacts, plausibility
from nnunet_cardiac.images.heart_position import HeartPosition

LABELS = {"RV": 1, "MYO": 2, "LV": 3}


def heart() -> np.ndarray:
    """Five slices: a cavity of 4 x 4 in a wall one pixel thick, a right ventricle beside it."""
    labels = np.zeros((5, 12, 14), np.uint8)
    labels[:, 2:8, 2:8] = 2
    labels[:, 3:7, 3:7] = 3
    labels[:, 2:8, 8:11] = 1
    return labels


def rows(labels: np.ndarray) -> dict[str, dict[str, object]]:
    return {str(row["structure"]): row for row in plausibility(labels, LABELS)}


def test_a_whole_heart_has_nothing() -> None:
    for row in rows(heart()).values():
        assert (row["hole_voxels"], row["fragments"], row["fragment_voxels"], row["missing_slices"]) == (0, 0, 0, 0)
    assert rows(heart())["LV"]["outside_percent"] == 0
    assert math.isnan(rows(heart())["RV"]["outside_percent"])


def test_each_fault_is_counted_where_it_is() -> None:
    labels = heart()
    labels[1, 4, 4:6] = 0  # hole in the cavity
    labels[2, 11, 12:] = 1  # fragment of the right ventricle
    labels[3][labels[3] == 1] = 0  # a slice without it
    labels[4, 2, 3] = 0  # a gap in the wall over one pixel of the cavity
    found = rows(labels)
    assert found["LV"]["hole_voxels"] == 2
    assert found["MYO"]["hole_voxels"] == 0
    assert (found["RV"]["fragments"], found["RV"]["missing_slices"]) == (2, 1)  # the piece, and what lies below the gap
    assert found["RV"]["fragment_voxels"] == 18 + 2
    # 16 edges a slice; the hole adds 6 inner ones
    assert found["LV"]["outside_percent"] == pytest.approx(100 * (6 + 1) / (5 * 16 + 6))


def test_hole_open_to_the_border_or_between_two_structures_is_none() -> None:
    labels = heart()
    labels[0, 0, 0] = 0
    labels[0, 4, 7] = 0  # between wall and right ventricle
    assert rows(labels)["MYO"]["hole_voxels"] == 0
    edge = np.zeros((1, 3, 3), np.uint8)
    edge[0, 0], edge[0, :, 0], edge[0, :, 2] = 2, 2, 2  # open at the image border
    assert rows(edge)["MYO"]["hole_voxels"] == 0


def test_absent_structure() -> None:
    assert rows(np.zeros((2, 4, 4), np.uint8))["LV"] == pytest.approx(
        {
            "structure": "LV", "hole_voxels": 0, "fragments": 0, "fragment_voxels": 0, "missing_slices": 0,
            "outside_percent": math.nan, "rv_angle_degrees": math.nan, "orientation": "",
        },
        nan_ok=True,
    )  # fmt: skip


def test_the_place_belongs_to_the_right_ventricle() -> None:
    found = {str(row["structure"]): row for row in plausibility(heart(), LABELS, HeartPosition(140.0))}
    assert (found["RV"]["rv_angle_degrees"], found["RV"]["orientation"]) == (140.0, "turned")
    assert [found[name]["orientation"] for name in ("MYO", "LV")] == ["", ""]


def test_contacts_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (2, 5, 6)).astype(np.uint8)
    padded, expected = np.pad(labels, ((0, 0), (1, 1), (1, 1))), np.zeros((4, 4), int)
    for z, y, x in np.ndindex(padded.shape):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            if 0 <= y + dy < padded.shape[1] and 0 <= x + dx < padded.shape[2]:
                a, b = padded[z, y, x], padded[z, y + dy, x + dx]
                expected[a, b] += a != b
    np.testing.assert_array_equal(contacts(labels, 4), expected)


def flooded_holes(labels: np.ndarray, value: int) -> int:
    """Holes by filling each background region pixel by pixel."""
    found = 0
    for plane in labels:
        left = {(int(y), int(x)) for y, x in np.argwhere(plane == 0)}
        while left:
            region, queue, rim = set(), [left.pop()], set()
            while queue:
                y, x = queue.pop()
                region.add((y, x))
                for n in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    inside = 0 <= n[0] < plane.shape[0] and 0 <= n[1] < plane.shape[1]
                    if n in left:
                        left.remove(n)
                        queue.append(n)
                    elif n not in region and n not in queue:
                        rim.add(int(plane[n]) if inside else -1)
            found += len(region) if rim == {value} else 0
    return found


@pytest.mark.parametrize("seed", range(20))
def test_holes_of_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.choice(4, size=rng.integers(1, 12, 3), p=rng.dirichlet([1, 1, 1, 1])).astype(np.uint8)
    for name, value in LABELS.items():
        assert rows(noise)[name]["hole_voxels"] == flooded_holes(noise, value)


def test_noise_takes_no_time() -> None:
    # A network after a few steps: thousands of holes in a volume of the size of ACDC's.
    noise = np.random.default_rng(0).choice(4, size=(10, 256, 216)).astype(np.uint8)
    started = time.perf_counter()
    plausibility(noise, LABELS)
    assert time.perf_counter() - started < 10
