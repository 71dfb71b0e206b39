import math

import numpy as np
import pytest
from scipy import ndimage

from nnunet_cardiac.evaluation.wall import wall_thickness
from nnunet_cardiac.phantom.short_axis import make_study

LABELS = {"RV": 1, "MYO": 2, "LV": 3}
SPACING = (8.0, 1.5, 1.2)
ROWS = 96


def heart(thickness_mm: float = 9.0, rv_degrees: float = 180.0, slices: int = 9, lateral_mm: float = 0.0) -> np.ndarray:
    """Circular cavity and wall, base first, RV in direction `rv_degrees` of atan2(y, x); wall thicker away from it."""
    z, y, x = np.mgrid[:slices, :ROWS, :ROWS].astype(float)
    y, x = (y - 47.3) * SPACING[1], (x - 48.6) * SPACING[2]
    r, towards = np.hypot(y, x), np.radians(rv_degrees)
    cosine = (x * np.cos(towards) + y * np.sin(towards)) / np.maximum(r, 1e-9)
    inner = 24.0 - z
    outer = inner + thickness_mm + np.where(cosine < -math.cos(math.radians(60)), lateral_mm, 0)
    labels = np.zeros(r.shape, np.uint8)
    cy, cx = 30 * np.sin(towards), 30 * np.cos(towards)
    labels[np.hypot(y - cy, x - cx) < 22 - z] = 1
    labels[r < outer] = 2
    labels[r < inner] = 3
    return labels


def by_segment(labels: np.ndarray, **options: bool | None) -> dict[int, float]:
    return {row["segment"]: row["thickness_mm"] for row in wall_thickness(labels, LABELS, SPACING, **options)}


@pytest.mark.parametrize("thickness", [5.0, 9.0, 14.0])
def test_ring_of_known_thickness(thickness: float) -> None:
    found = by_segment(heart(thickness))
    assert sorted(found) == list(range(1, 18))
    assert math.isnan(found.pop(17))
    assert list(found.values()) == pytest.approx([thickness] * 16, abs=0.3)


@pytest.mark.parametrize("degrees", [180.0, 215.0, 70.0])
def test_lateral_wall_is_found_wherever_the_right_ventricle_is(degrees: float) -> None:
    found = by_segment(heart(8.0, degrees, lateral_mm=5.0))
    for segment in (5, 6, 11, 12):  # inferolateral and anterolateral
        assert found[segment] == pytest.approx(13.0, abs=0.7)
    for segment in (1, 2, 3, 4, 7, 8, 9, 10, 14):
        assert found[segment] == pytest.approx(8.0, abs=0.7)


def test_base_last_and_left_handed_grids_name_the_same_walls() -> None:
    labels = heart()
    labels[:, :30] = np.where(labels[:, :30] == 2, 0, labels[:, :30])  # no wall at the top of the image
    expected = by_segment(labels)
    # in the usual view, RV on the left and anterior on top, the missing wall is the anterior one
    assert expected[1] < expected[4]
    # the same view with the apex first is the same heart, and on a right-handed grid it is a view from the apex
    assert by_segment(labels[::-1]) == pytest.approx(expected, nan_ok=True)
    assert by_segment(labels[::-1], right_handed=True) == pytest.approx(expected, nan_ok=True)
    # reversing z turns the handedness round
    assert by_segment(labels, right_handed=False) == pytest.approx(expected, nan_ok=True)
    # with z towards the apex, x to the right and y downwards, a right-handed grid is seen from the base
    assert by_segment(labels, right_handed=True)[4] < by_segment(labels, right_handed=True)[1]
    # a mirrored image without a mirrored header is another heart: anterior and inferior change places
    mirrored = by_segment(labels[:, ::-1])
    assert mirrored[4] < mirrored[1]


def test_patient_axes_of_the_phantom_agree() -> None:
    """The header is the oracle: patient axes tell which wall is in front (negative second coordinate)."""
    study = make_study(3, "NOR", matrix=(128, 128), spacing=(8.0, 1.4), phases_only=True)
    _image, labels = study.phase(study.ed_frame)
    values, geometry = study.label_values, study.geometry
    z = next(z for z in range(len(labels) // 2, len(labels)) if (labels[z] == values["LV"]).any())
    myo = labels[z] == values["MYO"]
    centre = np.argwhere(labels[z] == values["LV"]).mean(axis=0)
    step = np.array(geometry.spacing_mm)

    def posterior(cut: np.ndarray) -> float:
        offset = (np.argwhere(cut).mean(axis=0) - centre) * step[1:]
        return float((geometry.direction @ [offset[1], offset[0], 0])[1])

    rows, columns = np.indices(myo.shape)
    towards_anterior = geometry.direction[1, 0] * (columns - centre[1]) + geometry.direction[1, 1] * (rows - centre[0])
    front = myo & (towards_anterior < 0)
    assert posterior(front) < 0
    thick = labels.copy()
    # thin the front wall of all slices and look which segment notices
    for k in range(len(thick)):
        ring = thick[k] == values["MYO"]
        cavity = thick[k] == values["LV"]
        if not cavity.any():
            continue
        c = np.argwhere(cavity).mean(axis=0)
        ahead = geometry.direction[1, 0] * (columns - c[1]) + geometry.direction[1, 1] * (rows - c[0])
        size = np.hypot(rows - c[0], columns - c[1])
        wedge = ring & (ahead < -0.9 * size * np.hypot(*geometry.direction[1, :2]))
        outer = wedge & ndimage.binary_dilation(~(ring | cavity))
        thick[k][outer] = 0
    handed = bool(np.linalg.det(geometry.direction) > 0)
    options = {"spacing_mm": geometry.spacing_mm, "right_handed": handed}
    before, after = (
        {r["segment"]: r["thickness_mm"] for r in wall_thickness(a, values, **options)} for a in (labels, thick)
    )
    loss = {s: before[s] - after[s] for s in range(7, 13)}
    assert max(loss, key=loss.get) in (7, 8, 12)  # anterior or one of its neighbours
    assert loss[10] < 0.3 * max(loss.values())  # inferior


def test_without_right_ventricle_there_are_no_segments() -> None:
    labels = heart()
    labels[labels == 1] = 0
    assert wall_thickness(labels, LABELS, SPACING) == []
    assert wall_thickness(labels, {"LV": 3, "MYO": 2}, SPACING) == []
    assert wall_thickness(np.zeros_like(labels), LABELS, SPACING) == []


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rounding_of_the_voxel_size_changes_nothing(axis: int) -> None:
    """Rays of a heart that is symmetrical about a border of pixels run along such borders."""
    z, y, x = np.mgrid[:9, :ROWS, :ROWS].astype(float)
    r = np.hypot(y - 47.5, x - 47.0) + z
    labels = np.where(r < 20, 3, np.where(r < 26, 2, 0))
    labels[np.hypot(y - 47.5, x - 15.0) < 8] = 1
    spacing = np.array([8.0, 1.4, 1.4])
    rounded = spacing.copy()
    rounded[axis] *= 1 + 1e-7
    expected, found = ([row["thickness_mm"] for row in wall_thickness(labels, LABELS, mm)] for mm in (spacing, rounded))
    assert found == pytest.approx(expected, rel=1e-5, nan_ok=True)
