"""Smooth perturbations of a contour, and volumes of regions between two contours.

A contour is star-shaped about the long axis: a radius as a function of angle and level. Harmonics and bumps multiply
that radius, so a contour stays closed and smooth, and its volume is an ordinary double integral.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

Array = np.ndarray
Radius = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Bump:
    """A smooth patch on the wall: 1 in the middle, falling to 0 around the circumference and along the axis.

    Attributes:
        angle: Middle of the patch, radians.
        sharpness: Concentration of the von Mises shape around the circumference.
        level: Middle of the patch on the long axis, 0 (base) to 1 (apex).
        extent: Standard deviation along the axis, in the unit of `level`.
    """

    angle: float
    sharpness: float
    level: float
    extent: float

    def __call__(self, theta: Array, level: Array) -> Array:
        """Height of the patch (0 to 1) at angles `theta` (radians) and levels; the arrays broadcast."""
        around = self.sharpness * (np.cos(theta - self.angle) - 1.0)
        return np.exp(around - 0.5 * ((level - self.level) / self.extent) ** 2)


@dataclass(frozen=True)
class Outline:
    """Factor on a radius that turns a circle into an anatomical contour.

    Attributes:
        amplitudes: Relative amplitude of the harmonics 2, 3, ...
        phases: Their phases at the base, radians.
        twist: Turn of all phases from level 0 to level 1, radians.
        flattening: Depth of a dent (relative), as of the septum under a pressure-loaded right ventricle.
        dent: Where the dent lies; needed when `flattening` is not 0.
    """

    amplitudes: tuple[float, ...] = ()
    phases: tuple[float, ...] = ()
    twist: float = 0.0
    flattening: float = 0.0
    dent: Bump | None = None

    def __call__(self, theta: Array, level: Array) -> Array:
        """Factor at angles `theta` (radians) and levels (0 base, 1 apex); the arrays broadcast."""
        factor = np.ones_like(theta + level)
        for order, (amplitude, phase) in enumerate(zip(self.amplitudes, self.phases, strict=True), start=2):
            factor += amplitude * np.cos(order * theta - phase - self.twist * level)
        return factor if self.dent is None else factor - self.flattening * self.dent(theta, level)


def volume_between_ml(
    inner: Radius,
    outer: Radius,
    angles: tuple[float, float],
    levels_mm: tuple[float, float],
    nodes: tuple[int, int] = (96, 48),
) -> float:
    r"""Integrate the volume between two contours by Gauss-Legendre quadrature.

    .. math:: V = \int\int \tfrac12 (r_o^2 - r_i^2) \, d\theta \, dz

    The integrand is smooth, so the error falls faster than any power of the nodes where the ends are smooth too; the
    tests measure a relative error below 1e-5 for every structure of the phantom at the default nodes.

    Args:
        inner: Radius in mm of the inner contour, called with `(theta, z)` arrays that broadcast.
        outer: Radius in mm of the outer contour.
        angles: Range of theta in radians; a full turn for a closed ring.
        levels_mm: Range of z in mm.
        nodes: Nodes over angle and level.

    Returns:
        Volume in mL.
    """
    theta, weight_theta = _gauss(nodes[0], *angles)
    z, weight_z = _gauss(nodes[1], *levels_mm)
    theta, z = theta[:, None], z[None, :]
    area = 0.5 * (outer(theta, z) ** 2 - inner(theta, z) ** 2)
    return float(weight_theta @ area @ weight_z) / 1000.0


def _gauss(nodes: int, start: float, stop: float) -> tuple[Array, Array]:
    x, weight = _leggauss(nodes)
    return 0.5 * (stop - start) * x + 0.5 * (stop + start), 0.5 * (stop - start) * weight


@cache
def _leggauss(nodes: int) -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(nodes)
