"""Hearts against their headers, with the phantom's directions as the truth and boxes worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from nnunet_cardiac.images.heart_position import (
    AGREES,
    LOST,
    MIRRORED,
    REVERSED,
    TURNED,
    HeartPosition,
    common_position,
    explain,
    heart_position,
    position_in_image,
)
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import WAYS, Way
from nnunet_cardiac.phantom.short_axis import make_study
from nnunet_cardiac.phantom.study import CineStudy

NAMES = {"RV": 1, "MYO": 2, "LV": 3}
#: Columns of a plane whose x runs to the back and left, y down, and z from apex to base.
SHORT_AXIS = np.array([[0.6, 0.0, -0.8], [0.8, 0.0, 0.6], [0.0, -1.0, 0.0]])


def header_of(study: CineStudy, **changes: object) -> Header:
    geometry, size = study.geometry, study.labels.shape[:0:-1]
    facts = {"direction": geometry.direction, "oriented": True, **changes}
    direction = tuple(np.ravel(facts["direction"]).tolist())
    return Header(size, geometry.spacing_mm[::-1], geometry.origin_mm, direction, 1, bool(facts["oriented"]))


@pytest.fixture(scope="module")
def study() -> CineStudy:
    return make_study(3, "NOR", matrix=(64, 64), slices=8, phases_only=True)


def screw(turn: float = 0.0, taper: float = 0.0, slices: int = 9) -> np.ndarray:
    """A left ventricle of 24 pixels across, a right one to the left of it that turns by degrees along z, and a taper.

    Args:
        turn: Degrees by which the right ventricle is turned from the first to the last slice, from x towards y.
        taper: Pixels by which the left ventricle is wider in the last slice than in the first.
        slices: Number of slices.
    """
    labels = np.zeros((slices, 80, 80), np.uint8)
    y, x = np.mgrid[:80, :80] - 40
    for z, part in enumerate(np.linspace(-0.5, 0.5, slices)):
        angle = math.radians(180.0 + part * turn)
        right = np.hypot(x - 20 * math.cos(angle), y - 20 * math.sin(angle)) < 8
        labels[z][right] = NAMES["RV"]
        labels[z][np.hypot(x, y) < 12 + part * taper / 2] = NAMES["MYO"]
        labels[z][np.hypot(x, y) < 9 + part * taper / 2] = NAMES["LV"]
    return labels


def place(labels: np.ndarray, direction: np.ndarray = SHORT_AXIS, spacing: tuple = (1.5, 1.5, 9.0)) -> HeartPosition:
    return heart_position(labels, NAMES, direction, spacing)


@pytest.mark.parametrize("group", ["NOR", "RV"])
def test_phantoms_agree_with_their_headers(group: str, study: CineStudy) -> None:
    made = study if group == "NOR" else make_study(1, group, matrix=(64, 64), slices=8, phases_only=True)
    for labels in made.labels:
        found = position_in_image(labels, NAMES, header_of(made))
        assert found.verdict == AGREES
        assert abs(found.angle) < 30
        assert found.wider > 0


def test_all_ways_to_store_a_heart_give_one_angle(study: CineStudy) -> None:
    header = header_of(study)
    expected = position_in_image(study.labels, NAMES, header)
    assert abs(expected.angle) > 1  # a number that could change
    for way in WAYS:
        found = position_in_image(way.apply(study.labels), NAMES, way.moved(header))
        assert (found.angle, found.wider) == pytest.approx((expected.angle, expected.wider), abs=1e-9)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("-x +y +z", TURNED),  # columns
        ("-x -y +z", TURNED),  # half turn
        ("+y +x +z", TURNED),  # rows and columns exchanged
        ("+x +y -z", REVERSED),
    ],
)
def test_voxels_moved_under_a_header(study: CineStudy, code: str, expected: str) -> None:
    found = position_in_image(Way.of(code).apply(study.labels), NAMES, header_of(study))
    assert found.verdict == expected
    assert found.contradiction


def angle_of_centres(labels: np.ndarray, header: Header) -> float:
    """Degrees between the ventricles' direction and (-0.8, -0.6, 0), both without their part across the slices."""
    axes = np.reshape(header.direction, (3, 3))
    left, right = (np.array(ndimage.center_of_mass(mask))[::-1] for mask in (labels > 1, labels == 1))
    first = (right - left)[:2] * header.spacing[:2]
    second = axes[:, :2].T @ [-0.8, -0.6, 0.0]
    return math.degrees(math.acos(first @ second / np.linalg.norm(first) / np.linalg.norm(second)))


@pytest.mark.parametrize("code", [way.code for way in WAYS if way.axes[2] == 2])
def test_angle_by_another_library(study: CineStudy, code: str) -> None:
    labels, header = Way.of(code).apply(study.labels)[0], header_of(study)
    found, expected = position_in_image(labels, NAMES, header), angle_of_centres(labels, header)
    assert abs(found.angle) == pytest.approx(expected, abs=1e-6)
    assert (found.verdict == TURNED) == (expected > 50)


def test_headers_that_are_wrong(study: CineStudy) -> None:
    direction = study.geometry.direction
    swapped = np.diag([-1.0, -1.0, 1.0]) @ direction  # NIfTI's axes taken for those of ITK
    found = position_in_image(study.labels, NAMES, header_of(study, direction=swapped))
    assert found.verdict == TURNED
    assert abs(found.angle) > 150
    assert position_in_image(study.labels, NAMES, header_of(study, direction=np.eye(3))).verdict == LOST
    assert position_in_image(study.labels, NAMES, header_of(study, direction=direction[:, [1, 0, 2]])).verdict == TURNED


def test_angle_by_hand() -> None:
    # Right and front, (-0.8, -0.6, 0), without their part across the slices, (-0.8, 0.6, 0) * 0.28, are
    # (-0.576, -0.768, 0): the direction of -x of the file, where the right ventricle lies.
    found = place(screw())
    assert found.angle == pytest.approx(0, abs=0.5)
    assert (found.wider, found.winds, found.verdict) == (0, 0, AGREES)
    below = place(np.rot90(screw(), axes=(1, 2)))  # towards +y of the file, which runs to the feet
    # The thumb of the right hand from apex to base, (-0.8, 0.6, 0): the fingers turn front and right to the feet.
    assert np.cross([-0.8, 0.6, 0.0], [-0.6, -0.8, 0.0]) == pytest.approx([0, 0, 1])
    assert below.angle == pytest.approx(-90, abs=0.5)
    assert below.verdict == TURNED


def test_rows_of_a_symmetrical_heart_can_be_flipped_unseen() -> None:
    # The label map is the same; nothing tells.
    labels = screw()
    assert place(labels[:, ::-1]).verdict == place(labels).verdict == AGREES


@pytest.mark.parametrize(("turn", "taper"), [(40, 14), (40, 0), (25, -1)])
def test_a_screw_and_its_mirrors(turn: float, taper: float) -> None:
    # Upwards on the body's axes: y runs to the feet, so a turn from -x to -y, up, is one from x to y of the picture.
    labels = screw(turn, taper)
    found = place(labels)
    assert found.winds == pytest.approx(turn, rel=0.05)
    assert found.verdict == AGREES
    assert place(labels[:, ::-1]).winds == pytest.approx(-found.winds)
    assert place(labels[:, ::-1]).verdict == MIRRORED
    assert place(labels[::-1]).verdict == (REVERSED if found.wider else MIRRORED)
    assert place(labels[::-1, ::-1]).winds == pytest.approx(found.winds)


def test_a_screw_against_the_taper_is_not_reversed() -> None:
    # Two uncertain signs that disagree: a normal screw outweighs a heart that is wider at the wrong end.
    assert place(screw(40, -14)).verdict == AGREES
    assert place(screw(0, -14)).verdict == REVERSED
    assert place(screw(-40, -14)).verdict == REVERSED


def test_noise_does_not_wind() -> None:
    rng = np.random.default_rng(0)
    verdicts = set()
    for _ in range(20):
        labels = screw()
        for z, shift in enumerate(rng.integers(-6, 7, len(labels))):
            right = labels[z] == NAMES["RV"]
            labels[z][right] = 0
            labels[z][np.roll(right, shift, axis=0) & (labels[z] == 0)] = NAMES["RV"]
        verdicts.add(place(labels).verdict)
    assert verdicts == {AGREES}


def test_nothing_is_said_without_a_ground(study: CineStudy) -> None:
    labels = study.labels[0]
    nothing = HeartPosition()
    assert position_in_image(labels, NAMES, header_of(study, oriented=False)).verdict == ""
    assert position_in_image(labels, {"MYO": 2, "LV": 3}, header_of(study)) == nothing
    assert position_in_image(labels, {"RV": 1, "MYO": 2}, header_of(study)) == nothing
    assert position_in_image(labels, {"LA": 1}, header_of(study)) == nothing
    assert position_in_image(np.where(labels == 1, 0, labels), NAMES, header_of(study)).verdict == ""
    few = labels.copy()
    few[few == 1] = 0
    few[2, 0, :49] = 1
    assert position_in_image(few, NAMES, header_of(study)).verdict == ""
    some = labels.copy()
    some[:4], some[6:] = 0, 0
    assert position_in_image(some, NAMES, header_of(study)).verdict == ""  # two slices
    picture = Header((96, 96), (1.5, 1.5), (0.0, 0.0), (1.0, 0.0, 0.0, 1.0), 1)
    assert position_in_image(labels[:1], NAMES, picture).verdict == ""


def test_long_axis_views_say_nothing(study: CineStudy) -> None:
    assert position_in_image(study.labels[:, 3:4], NAMES, header_of(study)).verdict == ""
    right, base = np.array([-0.8, -0.6, 0.0]), np.array([-0.62, 0.67, 0.41])
    across = np.cross(base, right)  # a plane with the long axis and both ventricles
    across /= np.linalg.norm(across)
    axes = np.stack([-right, np.cross(across, -right), across], axis=1)
    assert place(screw(), axes).verdict == ""
    assert place(screw()[:, :, ::-1], axes).verdict == ""


def test_structures_around_one_centre_have_no_direction() -> None:
    labels = screw()
    labels[labels == NAMES["RV"]] = 0
    labels[:, 20:60, 20:60][labels[:, 20:60, 20:60] == 0] = NAMES["RV"]
    assert place(labels).verdict == ""


def test_thin_slices_are_measured_in_space() -> None:
    # Thirty-one slices of 1.5 mm; the right ventricle lies at -x of the file, (-0.6, -0.8, 0): acos(0.96) in space.
    labels = screw(slices=31)
    assert place(labels, spacing=(1.5, 1.5, 1.5)).angle == pytest.approx(math.degrees(math.acos(0.96)), abs=0.5)
    assert place(labels[:, :, ::-1], spacing=(1.5, 1.5, 1.5)).verdict == TURNED
    assert place(labels, np.eye(3), (1.5, 1.5, 1.5)).verdict == ""  # may be axial, or have lost its directions


def test_most_frames_decide(study: CineStudy) -> None:
    right, wrong, silent = HeartPosition(10.0, 0.1, 20.0), HeartPosition(-170.0), HeartPosition()
    assert common_position([right, wrong, right, silent]).verdict == AGREES
    assert common_position([wrong, silent, right, wrong, silent]).angle == -170
    assert common_position([silent, silent]).verdict == ""
    assert common_position([HeartPosition(lost=True), silent]).verdict == LOST
    flipped = study.labels[..., ::-1]
    series = np.concatenate([flipped, flipped, study.labels[:1], np.zeros_like(study.labels)])
    assert position_in_image(series, NAMES, header_of(study)).verdict == TURNED


def test_names_in_any_spelling(study: CineStudy) -> None:
    names = {"right ventricle": 1, "Myocardium": 2, "LV_cavity": 3}
    assert position_in_image(study.labels, names, header_of(study)).verdict == AGREES


def test_words() -> None:
    assert explain(TURNED, -140.4).startswith("The right ventricle lies 140 degrees from where the header of the image")
    for verdict in (TURNED, REVERSED, MIRRORED):
        assert "convert it again" in explain(verdict, 3.0)
    assert [explain(verdict, 3.0) for verdict in (AGREES, LOST, "")] == ["", "", ""]
