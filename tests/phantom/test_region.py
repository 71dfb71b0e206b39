import numpy as np
import pytest

from nnunet_cardiac.phantom.region import Bump, Outline, volume_between_ml


def test_ellipsoid_has_its_closed_form_volume() -> None:
    a, c = 23.0, 41.0

    def radius(theta, z):
        return a * np.sqrt(1.0 - (z / c) ** 2) + 0.0 * theta

    found = volume_between_ml(lambda theta, z: 0.0 * (theta + z), radius, (-np.pi, np.pi), (-c, c))
    assert found == pytest.approx(4.0 / 3.0 * np.pi * a * a * c / 1000.0, rel=1e-12)


def test_harmonics_add_half_their_square_to_the_area() -> None:
    outline = Outline(amplitudes=(0.1, 0.2), phases=(0.3, 1.1), twist=0.7)
    found = volume_between_ml(
        lambda theta, z: 0.0 * (theta + z),
        lambda theta, z: 10.0 * outline(theta, z / 30.0),
        (-np.pi, np.pi),
        (0.0, 30.0),
    )
    assert found == pytest.approx(np.pi * 100.0 * (1.0 + 0.5 * (0.1**2 + 0.2**2)) * 30.0 / 1000.0, rel=1e-10)


def test_bump_is_one_in_its_middle_and_periodic() -> None:
    bump = Bump(angle=3.0, sharpness=2.0, level=0.4, extent=0.2)
    assert bump(np.array(3.0), np.array(0.4)) == pytest.approx(1.0)
    assert bump(np.array(3.5 + 2.0 * np.pi), np.array(0.1)) == pytest.approx(float(bump(np.array(3.5), np.array(0.1))))
    # Von Mises shape opposite the middle: exp(-2 * sharpness).
    assert bump(np.array(3.0 + np.pi), np.array(0.4)) == pytest.approx(np.exp(-4.0))
