"""Four-chamber view and left atrium."""

import numpy as np
import pytest
from scipy.ndimage import label as components

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.phantom.left_atrium import AtriumShape, make_left_atrium
from nnunet_cardiac.phantom.long_axis import make_long_axis
from nnunet_cardiac.phantom.patient import draw_patient


@pytest.fixture(scope="module")
def atrium():
    return make_left_atrium(3, matrix=(96, 100), slices=24)


def test_four_chamber_view_shows_the_same_heart() -> None:
    study = make_long_axis(6, "NOR", matrix=(120, 128), frames=9, phases_only=True)
    assert study.images.shape == study.labels.shape == (2, 1, 120, 128)
    assert study.left == draw_patient(6, "NOR", 9, None).left_indices()
    assert set(np.unique(study.labels[0])) == {0, 1, 2, 3}
    assert np.sum(study.labels[1] == 3) < np.sum(study.labels[0] == 3)
    rows, columns = (np.mean(axis) for axis in np.nonzero(study.labels[0, 0] == 3))
    right_rows, right_columns = (np.mean(axis) for axis in np.nonzero(study.labels[0, 0] == 1))
    assert right_columns < columns
    assert right_rows < rows


def test_four_chamber_length_is_that_of_the_cavity() -> None:
    study = make_long_axis(6, "NOR", matrix=(256, 256), spacing=1.2, frames=2, phases_only=True)
    left = draw_patient(6, "NOR", 2, None).cycle.left[0]
    points = np.argwhere(study.labels[0, 0] == 3) * 1.2
    spread = points - points.mean(axis=0)
    axis = np.linalg.svd(spread, full_matrices=False)[2][0]
    assert np.ptp(spread @ axis) == pytest.approx(left.length_mm, abs=5.0)


def test_four_chamber_is_deterministic() -> None:
    first, again = (make_long_axis(6, "DCM", matrix=(64, 64), frames=2) for _ in range(2))
    assert first.images.tobytes() == again.images.tobytes()


def test_atrium_volume_converges_to_the_exact_one(atrium) -> None:
    shape = AtriumShape.draw(np.random.default_rng([3, 21]))
    assert shape.volume_ml(1.4) == pytest.approx(shape.volume_ml(0.7), rel=2e-3)
    assert atrium.volume_ml == shape.volume_ml()
    voxels = np.sum(atrium.label == 1) * np.prod(atrium.geometry.spacing_mm) / 1000.0
    assert voxels == pytest.approx(atrium.volume_ml, rel=0.03)


def test_plain_atrium_is_an_ellipsoid() -> None:
    shape = AtriumShape((30.0, 20.0, 25.0), np.zeros((2, 2)), np.empty((0, 7)))
    assert shape.volume_ml() == pytest.approx(4.0 / 3.0 * np.pi * 30.0 * 20.0 * 25.0 / 1000.0, rel=1e-3)


def test_atrium_is_one_piece_with_an_enhanced_wall(atrium) -> None:
    assert atrium.image.shape == atrium.label.shape == (24, 96, 100)
    assert components(atrium.label)[1] == 1
    middle = atrium.label[12] == 1
    rim = atrium.image[12][~middle & _grown(middle)]
    assert np.percentile(rim, 90) > np.median(atrium.image[12][middle])


def _grown(mask):
    grown = mask.copy()
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        grown |= np.roll(mask, step, axis)
    return grown


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"slices": 4}, "at least 8 slices"), ({"label_order": {"background": 0, "LV": 1}}, "background and LA")],
)
def test_wrong_atrium_arguments_are_explained(wrong, message) -> None:
    with pytest.raises(UserError, match=message):
        make_left_atrium(1, matrix=(64, 64), **wrong)
