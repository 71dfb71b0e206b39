"""The two ventricles at one instant, as contours around the left ventricle's long axis.

Heart coordinates: the long axis of the left ventricle is z, in mm, 0 at the mitral plane of end-diastole and growing
towards the apex. Theta is the angle about it; 0 points to the lateral wall and pi to the septum.

The left ventricle is a truncated ellipsoid. The right ventricle is a crescent that lies on its epicardium.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_cardiac.phantom.region import Array, Bump, Outline, volume_between_ml

#: Density of myocardium, g/mL.
MYOCARDIAL_DENSITY = 1.05
TURN = (-np.pi, np.pi)
ROUND = Outline()


@dataclass(frozen=True)
class LeftVentricle:
    """Left ventricular cavity and wall.

    Attributes:
        base_mm: Level of the mitral plane (z); the descent of the base in systole.
        length_mm: Cavity, mitral plane to apex.
        radius_mm: Cavity radius at the equator at end-diastole, before outline and contraction.
        wall_mm: Wall thickness at the equator.
        apex_wall_mm: Wall thickness at the apex.
        equator: Level of the widest section, as a fraction of the length.
        contraction: Cavity radius as a fraction of the end-diastolic one.
        outline: Shape of the section.
        thickening: Relative change of wall thickness inside `patch`: negative in a scar, positive in hypertrophy.
        patch: Region of abnormal wall.
        akinesia: How far the patch fails to move, 0 to 1.
    """

    base_mm: float
    length_mm: float
    radius_mm: float
    wall_mm: float
    apex_wall_mm: float
    equator: float = 0.22
    contraction: float = 1.0
    outline: Outline = ROUND
    thickening: float = 0.0
    patch: Bump | None = None
    akinesia: float = 0.0

    @property
    def epicardial_apex_mm(self) -> float:
        """Level (z) of the outer apex."""
        return self.base_mm + self.length_mm + self.apex_wall_mm

    def endocardium(self, theta: Array, z: Array) -> Array:
        """Radius in mm of the cavity, 0 beyond the apex; levels above the base give the radius at the base."""
        level = self.level(z)
        return self._section(z, 0.0) * self.outline(theta, level) * self._cavity(theta, level)

    def epicardium(self, theta: Array, z: Array) -> Array:
        """Radius in mm of the outer wall, 0 beyond the apex; levels above the base give the radius at the base."""
        level = self.level(z)
        patch = 0.0 if self.patch is None else self.thickening * self.patch(theta, level)
        radius = self._cavity(theta, level) + self.wall_mm * (1.0 + patch)
        return self._section(z, self.apex_wall_mm) * self.outline(theta, level) * radius

    def cavity_ml(self, nodes: tuple[int, int] = (96, 48)) -> float:
        """Volume of the cavity in mL, papillary muscles counted as cavity."""
        end = self.base_mm + self.length_mm
        return volume_between_ml(_nothing, self.endocardium, TURN, (self.base_mm, end), nodes)

    def wall_ml(self, nodes: tuple[int, int] = (96, 48)) -> float:
        """Volume of the myocardium in mL, papillary muscles left out."""
        levels = (self.base_mm, self.epicardial_apex_mm)
        return volume_between_ml(_nothing, self.epicardium, TURN, levels, nodes) - self.cavity_ml(nodes)

    def level(self, z: Array) -> Array:
        """Relative level: 0 at the mitral plane, 1 at the apex of the cavity."""
        return np.maximum(z - self.base_mm, 0.0) / self.length_mm

    def _cavity(self, theta: Array, level: Array) -> Array:
        if self.patch is None or self.akinesia == 0.0:
            return np.full_like(theta + level, self.radius_mm * self.contraction)
        held = self.akinesia * self.patch(theta, level)
        return self.radius_mm * (self.contraction + (1.0 - self.contraction) * held)

    def _section(self, z: Array, extra_mm: float) -> Array:
        depth = np.maximum(z - self.base_mm, 0.0)
        half_axis = (1.0 - self.equator) * self.length_mm + extra_mm
        u = (depth - self.equator * self.length_mm) / half_axis
        return np.sqrt(np.maximum(1.0 - u * u, 0.0))


@dataclass(frozen=True)
class RightVentricle:
    """Right ventricular cavity and free wall, lying on the epicardium of `left`.

    Attributes:
        left: The left ventricle of the same instant.
        base_mm: Level (z) of the tricuspid plane.
        length_mm: Tricuspid plane to apex.
        width_mm: Greatest distance between septum and free wall at the base.
        wall_mm: Thickness of the free wall.
        half_angle: Half the angle that the crescent spans around the left ventricle, radians.
        direction: Middle of the crescent, radians.
        skew: Makes the inferior (positive) or the anterior half wider, -1 to 1.
        outline: Waviness of the free wall.
    """

    left: LeftVentricle
    base_mm: float
    length_mm: float
    width_mm: float
    wall_mm: float
    half_angle: float = 1.35
    direction: float = np.pi
    skew: float = 0.0
    outline: Outline = ROUND

    @property
    def angles(self) -> tuple[float, float]:
        """First and last angle of the crescent, radians."""
        return self.direction - self.half_angle, self.direction + self.half_angle

    def free_wall(self, theta: Array, z: Array) -> Array:
        """Radius in mm of the cavity's outer border; equals the left epicardium outside the crescent."""
        return self.left.epicardium(theta, z) + self.width_mm * self.crescent(theta, z)

    def outer_wall(self, theta: Array, z: Array) -> Array:
        """Radius in mm of the outside of the free wall; it fades out with the cavity."""
        crescent = self.crescent(theta, z)
        return self.left.epicardium(theta, z) + self.width_mm * crescent + self.wall_mm * np.sqrt(crescent)

    def cavity_ml(self, nodes: tuple[int, int] = (96, 48)) -> float:
        """Volume of the cavity in mL, trabeculae counted as cavity."""
        return volume_between_ml(self.left.epicardium, self.free_wall, self.angles, self._levels, nodes)

    def wall_ml(self, nodes: tuple[int, int] = (96, 48)) -> float:
        """Volume of the free wall in mL."""
        return volume_between_ml(self.free_wall, self.outer_wall, self.angles, self._levels, nodes)

    @property
    def _levels(self) -> tuple[float, float]:
        return self.base_mm, self.base_mm + self.length_mm

    def crescent(self, theta: Array, z: Array) -> Array:
        """Width of the cavity relative to `width_mm`; 0 outside the crescent."""
        turned = np.mod(theta - self.direction + np.pi, 2.0 * np.pi) - np.pi
        u = turned / self.half_angle
        level = np.maximum(z - self.base_mm, 0.0) / self.length_mm
        # theta grows clockwise in the image (y points down), so the inferior half is the one with negative `turned`.
        around = np.maximum(1.0 - u * u, 0.0) * (1.0 - self.skew * u) * self.outline(theta, level)
        return around * np.maximum(1.0 - level**2.2, 0.0)


def _nothing(theta: Array, z: Array) -> Array:
    return np.zeros_like(theta + z)
