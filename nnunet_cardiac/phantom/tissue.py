"""What lies at a point of the beating heart: signal of water, signal of fat, and the label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_cardiac.phantom.region import Array
from nnunet_cardiac.phantom.shape import LeftVentricle, RightVentricle
from nnunet_cardiac.phantom.styles import Style
from nnunet_cardiac.phantom.texture import Texture

#: Order of the occupancies in `Samples`.
STRUCTURES = ("RV", "MYO", "LV")

#: Chambers above the base: (x, y, z of the centre from the base plane, radii in mm, moves with the right heart?).
LEFT_ATRIUM = ((6.0, 8.0, -22.0), (26.0, 19.0, 28.0), False)
RIGHT_ATRIUM = ((-42.0, 19.0, -20.0), (24.0, 24.0, 30.0), True)
AORTIC_ROOT = ((-12.0, -11.0, -36.0), (14.0, 13.5, 44.0), False)
OUTFLOW_TRACT = ((-27.0, -31.0, -26.0), (19.0, 11.5, 40.0), True)
#: Angles of the contour tables.
TABLE_ANGLES = 1441

CHAMBERS = (LEFT_ATRIUM, RIGHT_ATRIUM, OUTFLOW_TRACT, AORTIC_ROOT)


@dataclass(frozen=True)
class Samples:
    """Heart at a set of points, all arrays of one shape.

    Attributes:
        water: Signal of water.
        fat: Signal of fat.
        cover: Whether the point belongs to the heart or its fat.
        structures: Masks in the order of `STRUCTURES`.
    """

    water: Array
    fat: Array
    cover: Array
    structures: tuple[Array, Array, Array]


@dataclass(frozen=True)
class HeartTextures:
    """Textures of one patient's heart."""

    flow: Texture
    trabeculae: Texture
    muscle: Texture

    @classmethod
    def draw(cls, rng: np.random.Generator) -> HeartTextures:
        """Draw the textures of one heart."""
        return cls(Texture(rng, 5.0, 2.0, 48), Texture(rng, 1.7), Texture(rng, 2.2))


@dataclass(frozen=True)
class HeartTissue:
    """The heart at one instant.

    Attributes:
        left: Left ventricle.
        right: Right ventricle.
        systole: Degree of contraction; the atria fill with it.
        style: Contrast.
        textures: Textures of this heart.
        fat_mm: Thickness of the fat on the ventricles.
    """

    left: LeftVentricle
    right: RightVentricle
    systole: float
    style: Style
    textures: HeartTextures
    fat_mm: float = 3.0

    def __call__(self, x: Array, y: Array, z: Array) -> Samples:
        """Sample points in heart coordinates.

        Args:
            x: To the lateral wall, mm, shape (P, Y, X).
            y: To the inferior wall, mm, same shape.
            z: To the apex, mm, same shape, or (P, 1, 1) for planes across the long axis, which is much faster.
        """
        rho, theta = np.hypot(x, y), np.arctan2(y, x)
        endo, epi, free_wall, outer, fat_reach = self._contours(theta, z)
        below_mitral, below_tricuspid = z >= self.left.base_mm, z >= self.right.base_mm
        lv = below_mitral & (rho < endo)
        myo = below_mitral & (rho < epi) & ~lv
        rv = below_tricuspid & (rho >= epi) & (rho < free_wall)
        muscle = (below_tricuspid & (rho >= free_wall) & (rho < outer)) | myo

        picture = _Picture.empty(rho.shape)
        self._paint_fat(picture, rho, fat_reach, z)
        if z.min() < max(self.left.base_mm, self.right.base_mm) + 14.0:
            self._paint_base(picture, x, y, z)
        # Between the planes of the two valves lies the outflow tract of the left ventricle, bounded by the annulus.
        between = below_tricuspid & ~below_mitral
        muscle |= between & (rho < epi) & (rho >= 0.93 * endo)
        pool = lv | (between & (rho < 0.93 * endo))
        z = np.broadcast_to(z, rho.shape)
        picture.paint(muscle, self._muscle(x[muscle], y[muscle], z[muscle]))
        picture.paint(pool, self._left_pool(x[pool], y[pool], z[pool], (rho / endo.clip(1.0))[pool]))
        depth = ((rho - epi) / (free_wall - epi).clip(1.0))[rv]
        picture.paint(rv, self._right_pool(x[rv], y[rv], z[rv], depth))
        return Samples(picture.water, picture.fat, picture.cover, (rv, myo, lv))

    def _contours(self, theta: Array, z: Array) -> tuple[Array, ...]:
        """Radius in mm of endocardium, epicardium, right cavity, right wall and fat."""
        if z.shape[1:] != (1, 1):
            return self._exact_contours(theta, z)
        # Across the long axis the radii depend on the angle alone; quarter degrees err by at most 0.2 mm.
        grid = np.linspace(-np.pi, np.pi, TABLE_ANGLES, dtype=np.float32)[None, :]
        tables = self._exact_contours(grid, z[:, :, 0])
        index = np.rint((theta + np.pi) * ((TABLE_ANGLES - 1) / (2.0 * np.pi))).astype(np.int32)
        planes = np.arange(z.shape[0])[:, None, None]
        return tuple(table[planes, index] for table in tables)

    def _exact_contours(self, theta: Array, z: Array) -> tuple[Array, ...]:
        endo = self.left.endocardium(theta, z)
        epi = self.left.epicardium(theta, z)
        crescent = self.right.crescent(theta, z)
        free_wall = epi + self.right.width_mm * crescent
        outer = free_wall + self.right.wall_mm * np.sqrt(crescent)
        return tuple(np.asarray(r, np.float32) for r in (endo, epi, free_wall, outer, outer + self._fat(theta, z)))

    def _fat(self, theta: Array, z: Array) -> Array:
        """Thickness of the epicardial fat: thick in the grooves and over the right heart, hardly any laterally."""
        groove = 4.5 * np.exp(-(((z - self.left.base_mm) / 9.0) ** 2))
        start, stop = self.right.angles
        corners = 4.5 * np.exp(7.0 * (np.cos(theta - start) - 1.0)) + 5.0 * np.exp(7.0 * (np.cos(theta - stop) - 1.0))
        patchy = 0.75 + 0.3 * np.cos(3.0 * theta + 0.05 * z) + 0.25 * np.cos(5.0 * theta - 0.09 * z + 1.0)
        medial = 0.12 + 0.88 * (0.5 - 0.5 * np.cos(theta)) ** 1.5
        return (self.fat_mm * medial + groove + corners) * patchy

    def _paint_fat(self, picture: _Picture, rho: Array, reach: Array, z: Array) -> None:
        """Fat inside the thin dark pericardium."""
        present = (z >= min(self.left.base_mm, self.right.base_mm)) & (z < self.left.epicardial_apex_mm)
        picture.paint(present & (rho < reach + 0.9), 0.6 * self.style.myocardium)
        picture.paint(present & (rho < reach), 0.0, 0.85 * self.style.fat)

    def _paint_base(self, picture: _Picture, x: Array, y: Array, z: Array) -> None:
        """Atria and great vessels above the base, in a bed of fat."""
        depth = [self._depth(chamber, x, y, z) for chamber in CHAMBERS]
        nearest = np.maximum.reduce(depth)
        bed = (nearest > -4.0) & (nearest < -1.6)
        picture.paint(bed & ~picture.cover, 0.06, 0.8 * self.style.fat)
        picture.paint(nearest >= -1.6, self.style.myocardium)
        z = np.broadcast_to(z, nearest.shape)
        for chamber, inside in zip(CHAMBERS, depth, strict=True):
            # A wall of 1.4 mm stays where two chambers meet.
            lumen = (inside > 0.0) & (inside > np.maximum.reduce([d for d in depth if d is not inside]) + 1.4)
            signal = self.style.venous if chamber[2] else self.style.blood
            flow = 1.6 * self.style.flow * self.textures.flow(x[lumen] + 20.0, y[lumen], z[lumen])
            picture.paint(lumen, signal * (0.97 + flow))

    def _depth(self, chamber: tuple, x: Array, y: Array, z: Array) -> Array:
        """Approximate depth below a chamber's surface in mm, negative outside."""
        (cx, cy, cz), radii, right = chamber
        base = self.right.base_mm if right else self.left.base_mm
        growth = 1.0 + 0.07 * self.systole
        angle = np.arctan2(y - cy, x - cx)
        wave = 1.0 + 0.06 * np.cos(2.0 * angle + cx) + 0.05 * np.cos(3.0 * angle + cy + 0.04 * z)
        u = ((x - cx) / (growth * radii[0]), (y - cy) / (growth * radii[1]), (z - cz - base) / radii[2])
        return (wave - np.sqrt(u[0] ** 2 + u[1] ** 2 + u[2] ** 2)) * min(radii)

    def _muscle(self, x: Array, y: Array, z: Array) -> Array:
        return self.style.myocardium * (1.0 + 0.07 * self.textures.muscle(x, y, z))

    def _blood(self, x: Array, y: Array, z: Array) -> Array:
        # The flow pattern is carried along the axis as the heart contracts.
        return self.style.blood * (1.0 + self.style.flow * self.textures.flow(x, y, z + 40.0 * self.systole))

    def _left_pool(self, x: Array, y: Array, z: Array, fraction: Array) -> Array:
        """Left cavity with papillary muscles and, in the apical half, trabeculae along the wall."""
        noise = self.textures.trabeculae(x, y, 0.5 * z)
        strength = np.clip((self.left.level(z) - 0.25) * 1.6, 0.0, 1.0)
        ragged = (fraction > 0.6) & (noise > 1.7 - 4.2 * strength * np.maximum(fraction - 0.64, 0.0))
        return np.where(ragged | self._papillary(x, y, z, noise), self._muscle(x, y, z), self._blood(x, y, z))

    def _right_pool(self, x: Array, y: Array, z: Array, fraction: Array) -> Array:
        """Right cavity; trabeculae grow from the free wall and towards the apex."""
        noise = self.textures.trabeculae(x + 31.0, y, 0.5 * z)
        level = np.clip((z - self.right.base_mm) / self.right.length_mm, 0.0, 1.0)
        ragged = noise > 2.5 - 1.3 * level - 1.3 * np.maximum(fraction - 0.3, 0.0)
        blood = self._blood(x, y, z) * (self.style.venous / self.style.blood)
        return np.where(ragged, self._muscle(x, y, z), blood)

    def _papillary(self, x: Array, y: Array, z: Array, noise: Array) -> Array:
        """Two papillary muscles, rising from the apical third to the middle of the cavity."""
        level = self.left.level(z)
        inside = np.zeros(x.shape, bool)
        swell = np.sqrt(np.maximum(1.0 - ((level - 0.52) / 0.27) ** 2, 0.0))
        for angle, size in ((-0.24 * np.pi, 5.4), (0.6 * np.pi, 6.0)):
            radius = self.left.radius_mm * self.left.contraction * np.sqrt(np.maximum(1.0 - level**2, 0.0))
            away = np.maximum(radius - 5.0 - 5.0 * (0.8 - level), 0.4 * radius)
            along = (x * np.cos(angle) + y * np.sin(angle) - away) / 1.25
            across = y * np.cos(angle) - x * np.sin(angle)
            inside |= np.hypot(along, across) + 0.9 * noise < size * swell * (0.8 + 0.15 * self.systole)
        return inside


@dataclass
class _Picture:
    water: Array
    fat: Array
    cover: Array

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> _Picture:
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, bool))

    def paint(self, mask: Array, water: Array | float, fat: float = 0.0) -> None:
        self.water[mask] = water
        self.fat[mask] = fat
        self.cover |= mask
