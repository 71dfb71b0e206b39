import numpy as np
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.phantom.groups import GROUPS, draw_body
from nnunet_cardiac.phantom.motion import contraction_curve, heart_cycle
from nnunet_cardiac.phantom.shape import LeftVentricle


def _cycle(group: str, seed: int, frames: int = 7):
    body = draw_body(np.random.default_rng(seed), group)
    return body, heart_cycle(body, frames)


def test_plain_cavity_is_a_truncated_ellipsoid() -> None:
    ventricle = LeftVentricle(base_mm=3.0, length_mm=80.0, radius_mm=25.0, wall_mm=9.0, apex_wall_mm=6.0, equator=0.25)
    half = 60.0  # semi-axis below the equator; the plane of the valve cuts 20 mm above it
    expected = np.pi * 25.0**2 * ((20.0 + 60.0) - (20.0**3 + 60.0**3) / (3.0 * half**2)) / 1000.0
    assert ventricle.cavity_ml() == pytest.approx(expected, rel=1e-12)
    outer = 66.0
    whole = np.pi * 34.0**2 * ((20.0 + outer) - (20.0**3 + outer**3) / (3.0 * outer**2)) / 1000.0
    assert ventricle.wall_ml() == pytest.approx(whole - expected, rel=1e-12)


@pytest.mark.parametrize("group", GROUPS)
def test_volumes_converge_and_pass_through_the_drawn_values(group: str) -> None:
    body, cycle = _cycle(group, 5)
    left, right = cycle.left[cycle.es_frame], cycle.right[cycle.es_frame]
    assert cycle.left[0].cavity_ml((384, 192)) == pytest.approx(body.lv_edv, rel=1e-5)
    assert left.cavity_ml((384, 192)) == pytest.approx(body.lv_edv * (1.0 - 0.01 * body.lv_ef), rel=1e-5)
    assert cycle.right[0].cavity_ml((384, 192)) == pytest.approx(body.rv_edv, rel=1e-5)
    assert right.cavity_ml((384, 192)) == pytest.approx(body.rv_edv * (1.0 - 0.01 * body.rv_ef), rel=1e-5)
    assert right.wall_ml((384, 192)) == pytest.approx(right.wall_ml(), rel=1e-5)


def test_volume_agrees_with_random_points() -> None:
    _, cycle = _cycle("MINF", 2)
    right = cycle.right[cycle.es_frame]
    left, rng = right.left, np.random.default_rng(0)
    low, high = np.array([-110.0, -80.0, -10.0]), np.array([50.0, 80.0, 120.0])
    x, y, z = rng.uniform(low, high, (600_000, 3)).T
    rho, theta = np.hypot(x, y), np.arctan2(y, x)
    box = np.prod(high - low) / 1000.0
    below = z >= left.base_mm
    cavity = below & (rho < left.endocardium(theta, z))
    wall = below & (rho < left.epicardium(theta, z)) & ~cavity
    pool = (z >= right.base_mm) & (rho >= left.epicardium(theta, z)) & (rho < right.free_wall(theta, z))
    for inside, expected in ((cavity, left.cavity_ml()), (wall, left.wall_ml()), (pool, right.cavity_ml())):
        share = inside.mean()
        deviation = box * np.sqrt(share * (1.0 - share) / inside.size)
        assert abs(share * box - expected) < 4.0 * deviation


@pytest.mark.parametrize("group", GROUPS)
def test_myocardium_is_incompressible_and_the_base_descends(group: str) -> None:
    _, cycle = _cycle(group, 1)
    walls = [left.wall_ml() for left in cycle.left]
    assert np.ptp(walls) < 1e-5 * walls[0]
    apex = [left.epicardial_apex_mm for left in cycle.left]
    assert np.ptp(apex) < 1e-9
    assert 6.0 <= cycle.left[cycle.es_frame].base_mm <= 16.0


@pytest.mark.parametrize("frames", [2, 3, 7, 25, 40])
def test_curve_starts_at_rest_and_has_one_end_systole(frames: int) -> None:
    curve = np.array(contraction_curve(frames))
    assert curve[0] == 0.0
    assert curve.max() == pytest.approx(1.0)
    assert np.sum(curve > 1.0 - 1e-9) == 1
    assert curve.min() >= 0.0
    es = int(curve.argmax())
    assert np.all(np.diff(curve[: es + 1]) > 0.0)
    assert np.all(np.diff(curve[es:]) <= 1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("group", GROUPS)
def test_groups_meet_their_definition(group: str, seed: int) -> None:
    body, cycle = _cycle(group, seed, frames=2)
    area = body.surface_area_m2
    theta, z = np.linspace(-np.pi, np.pi, 180)[:, None], np.linspace(5.0, 0.7 * body.length_mm, 40)[None, :]
    left, late = cycle.left
    wall = left.epicardium(theta, z) - left.endocardium(theta, z)
    if group == "DCM":
        assert body.lv_ef < 40.0
        assert body.lv_edv / area > 100.0
        assert wall.max() < 12.0
    elif group == "HCM":
        assert body.lv_ef > 55.0
        assert wall.max() > 15.0
    elif group == "MINF":
        assert body.lv_ef < 40.0
        assert wall.min() < 0.65 * wall.max()
        inward = left.endocardium(theta, z) - late.endocardium(theta, z)
        assert inward.min() < 1.0 < 3.0 < inward.max()
    elif group == "RV":
        assert body.rv_edv / area > 110.0
        assert body.rv_ef < 40.0
        assert body.lv_ef > 50.0
    else:
        assert body.lv_ef > 50.0
        assert body.rv_ef > 40.0
        assert body.lv_edv / area < 90.0
        assert body.rv_edv / area < 100.0
        assert wall.max() < 12.0


def test_unknown_group_is_named() -> None:
    with pytest.raises(UserError, match=r"'XYZ' is unknown; choose one of NOR, DCM"):
        draw_body(np.random.default_rng(0), "XYZ")
