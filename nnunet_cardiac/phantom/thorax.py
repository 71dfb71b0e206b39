"""The body around the heart in a short-axis slice: chest wall, lung, liver, stomach, spleen, aorta and spine.

Scene coordinates: x to the lateral wall, y to the inferior wall, z to the apex, mm, with the origin on the long axis of
the left ventricle at the mitral plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_cardiac.phantom.canvas import Canvas
from nnunet_cardiac.phantom.region import Array
from nnunet_cardiac.phantom.shape import LeftVentricle
from nnunet_cardiac.phantom.styles import Style
from nnunet_cardiac.phantom.texture import Texture

#: Radius of the chest's curve.
RADIUS_MM = 215.0


@dataclass(frozen=True)
class Thorax:
    """Body of one patient, as drawn.

    Attributes:
        left: Left ventricle at end-diastole; it rests on the diaphragm.
        style: Contrast.
        skin_mm: x of the skin at the level of the mitral plane.
        fat_mm: Thickness of the subcutaneous fat.
        diaphragm_mm: Extra distance of the diaphragm below the heart.
        aorta: Centre of the descending aorta (x, y).
        fine: Fine texture.
        coarse: Coarse texture.
        vessels: Lung vessels: x, y, direction, radius across and along, shift of x and y per mm of z; shape (N, 7).
        hepatic: Liver vessels, likewise.
    """

    left: LeftVentricle
    style: Style
    skin_mm: float
    fat_mm: float
    diaphragm_mm: float
    aorta: tuple[float, float]
    fine: Texture
    coarse: Texture
    vessels: Array
    hepatic: Array

    @classmethod
    def draw(
        cls, rng: np.random.Generator, left: LeftVentricle, rv_reach_mm: float, body_mass_index: float, style: Style
    ) -> Thorax:
        """Draw the body around a heart whose right ventricle reaches `rv_reach_mm` from the long axis."""
        fat = float(np.clip(0.9 * (body_mass_index - 12.0), 7.0, 18.0) * rng.uniform(0.8, 1.2))
        return cls(
            left=left,
            style=style,
            skin_mm=float(-rv_reach_mm - fat - rng.uniform(14.0, 20.0)),
            fat_mm=fat,
            diaphragm_mm=float(rng.uniform(3.0, 8.0)),
            aorta=(float(rng.uniform(52.0, 66.0)), float(rng.uniform(38.0, 50.0))),
            fine=Texture(rng, 1.6, 1.5),
            coarse=Texture(rng, 10.0, 2.5, 80),
            vessels=_draw_vessels(rng, 150, (-40.0, 170.0), (-170.0, 40.0), 0.55),
            hepatic=_draw_vessels(rng, 45, (-110.0, 60.0), (45.0, 150.0), 0.8),
        )

    def paint(self, x: Array, y: Array, z: float, pixel_mm: float) -> Canvas:
        """Paint one slice.

        Args:
            x: Scene coordinates of the pixels in mm, shape (Y, X).
            y: Likewise.
            z: Level of the slice in mm.
            pixel_mm: Size of a pixel.
        """
        canvas = Canvas(x, y, pixel_mm)
        depth = self._depth(x, y, z)
        self._lung(canvas, depth, z)
        self._mediastinum(canvas, z)
        self._back(canvas, z)
        self._abdomen(canvas, z)
        self._aorta(canvas, z)
        self._wall(canvas, depth, z)
        return canvas

    def _depth(self, x: Array, y: Array, z: float) -> Array:
        """Depth below the skin in mm; the chest wall slants towards the apex."""
        centre = np.array([self.skin_mm + RADIUS_MM + 0.42 * max(z, -20.0), 15.0])
        wave = 5.0 * self.coarse(x, y, np.float32(0.3 * z))
        dx, dy = x - centre[0], 0.9 * (y - centre[1])
        angle = np.arctan2(dy, dx)
        return RADIUS_MM - np.hypot(dx, dy) + 7.0 * np.cos(5.0 * angle + self.aorta[0]) + 0.3 * wave

    def _lung(self, canvas: Canvas, depth: Array, z: float) -> None:
        air = self.style.lung * (1.0 + 0.35 * self.coarse(canvas.x, canvas.y, np.float32(z)))
        canvas.paint(depth, water=air)
        centre = self.vessels[:, :2] + self.vessels[:, 5:] * z
        lines = np.column_stack([centre, self.vessels[:, 2]])
        canvas.vessels(lines, self.vessels[:, 3:5], 0.75 * self.style.blood)

    def _mediastinum(self, canvas: Canvas, z: float) -> None:
        """Fat around the heart, towards the chest wall and around the great vessels."""
        style, size = self.style, self._heart_radius(max(z, 0.0))
        wave = 3.5 * self.coarse(canvas.x, canvas.y, np.float32(z))
        near = canvas.ellipse((-0.75 * size - 16.0, -2.0), (size + 18.0, size + 8.0), 0.2) + wave
        canvas.paint(near, fat=style.fat * (0.8 + 0.08 * self.fine(canvas.x, canvas.y, np.float32(z))), edge_mm=3.0)
        if z < 12.0:
            hilum = canvas.ellipse((4.0, -12.0), (58.0, 50.0), -0.3) + wave
            canvas.paint(hilum, water=0.16, fat=0.55 * style.fat, edge_mm=4.0)
            for centre, radii in (
                ((34.0, -34.0), (8.0, 6.0)),
                ((42.0, 2.0), (12.0, 7.0)),
                ((14.0, -52.0), (15.0, 9.0)),
            ):
                depth = canvas.ellipse(centre, radii, 0.1 * z)
                canvas.paint(depth + 1.2, water=style.myocardium)
                canvas.paint(depth, water=0.95 * style.blood)

    def _back(self, canvas: Canvas, z: float) -> None:
        """Spine and the muscles beside it."""
        x, y, style = canvas.x, canvas.y, self.style
        fine = self.fine(x, y, np.float32(z))
        ax, ay = self._aorta_centre(z)
        bed = canvas.ellipse((ax + 52.0, ay + 42.0), (68.0, 44.0), 0.75) + 3.0 * self.coarse(x, y, np.float32(z))
        canvas.paint(bed, fat=0.75 * style.fat)
        canvas.paint(
            canvas.ellipse((ax + 62.0, ay + 50.0), (46.0, 22.0), 0.75),
            water=style.muscle * (1 + 0.15 * fine),
            edge_mm=3.0,
        )
        spine = canvas.ellipse((ax + 34.0, ay + 24.0), (22.0, 17.0), 0.75)
        canvas.paint(spine + 2.0, water=0.05)
        canvas.paint(spine, water=0.22 + 0.05 * fine, fat=0.08 * style.fat)
        canal = canvas.ellipse((ax + 52.0, ay + 40.0), (8.0, 7.0))
        canvas.paint(canal, water=0.9 * style.blood)

    def _aorta(self, canvas: Canvas, z: float) -> None:
        """Descending aorta behind the left atrium."""
        style, (ax, ay) = self.style, self._aorta_centre(z)
        vessel = canvas.ellipse((ax, ay), (11.5, 13.0 + 0.03 * abs(z)), 0.4)
        canvas.paint(vessel + 1.6, water=style.muscle)
        canvas.paint(vessel, water=0.97 * style.blood)

    def _abdomen(self, canvas: Canvas, z: float) -> None:
        """Organs under the diaphragm: liver below the right heart, stomach and spleen below the left."""
        x, y, style = canvas.x, canvas.y, self.style
        fine, coarse = self.fine(x, y, np.float32(z)), self.coarse(x, y, np.float32(z))
        top = self._diaphragm(x, z) - y
        canvas.paint(-top, water=style.muscle, edge_mm=4.0)
        canvas.paint(-top - 2.5, fat=style.fat * (0.68 + 0.05 * coarse + 0.04 * fine), water=0.06, edge_mm=3.0)
        under = np.minimum(-top - 4.0, 200.0)
        liver = np.minimum(under, (24.0 - 0.45 * z) - x + 4.0 * coarse - 0.35 * (y - 60.0))
        canvas.paint(liver, water=style.liver * (1.0 + 0.07 * fine), edge_mm=3.0)
        keep = canvas.water.copy(), canvas.fat.copy()
        canvas.vessels(np.column_stack([self.hepatic[:, :2] + self.hepatic[:, 5:] * z, self.hepatic[:, 2]]),
                       self.hepatic[:, 3:5], 0.6 * style.blood)  # fmt: skip
        outside = liver < 5.0
        canvas.water[outside], canvas.fat[outside] = keep[0][outside], keep[1][outside]
        stomach = np.minimum(
            under - 3.0, canvas.ellipse((58.0 - 0.3 * z, 78.0 - 0.1 * z), (32.0, 26.0), 0.4) + 2.5 * coarse
        )
        canvas.paint(stomach + 3.5, water=style.muscle)
        canvas.paint(stomach, water=style.bowel * (0.7 + 0.25 * fine + 0.25 * coarse), edge_mm=2.0)
        spleen = np.minimum(under - 3.0, canvas.ellipse((112.0 - 0.2 * z, 96.0), (34.0, 24.0), 0.9) + 2.0 * coarse)
        canvas.paint(spleen, water=style.spleen * (1.0 + 0.05 * fine))

    def _wall(self, canvas: Canvas, depth: Array, z: float) -> None:
        """Skin, subcutaneous fat, muscle and ribs."""
        x, y, style = canvas.x, canvas.y, self.style
        fine, coarse = self.fine(x, y, np.float32(z)), self.coarse(x, y, np.float32(z))
        fat = self.fat_mm + 2.0 * coarse + 0.05 * np.abs(y)
        muscle = fat + 11.0
        shell = muscle - depth  # depth measured from the inside of the wall
        canvas.paint(np.minimum(shell + 2.0, depth), fat=0.8 * style.fat)
        canvas.paint(np.minimum(shell, depth), water=style.muscle * (1.0 + 0.2 * fine))
        rib = np.abs(np.mod(y + 0.25 * x + 0.5 * z, 31.0) - 15.5) - 9.5
        marrow = np.minimum(-np.abs(shell - 5.0) + 3.8, rib)
        canvas.paint(marrow + 1.6, water=0.04)
        canvas.paint(marrow, water=0.10, fat=0.45 * style.fat)
        canvas.paint(np.minimum(fat - depth, depth), fat=style.fat * (0.98 + 0.05 * fine))
        septa = 1.1 - np.abs(depth - 0.55 * fat - 2.5 * coarse)
        canvas.paint(np.minimum(septa, fat - depth - 1.0) * (coarse > -0.2), water=0.3, fat=0.4)
        canvas.paint(np.minimum(1.8 - depth, depth), water=0.35)
        outside = depth < -canvas.pixel_mm
        canvas.water[outside], canvas.fat[outside] = 0.0, 0.0

    def _aorta_centre(self, z: float) -> tuple[float, float]:
        return self.aorta[0] + 0.15 * z, self.aorta[1] + 0.12 * z

    def _diaphragm(self, x: Array, z: float) -> Array:
        """y of the dome; the heart rests on it and it falls away to the back."""
        top = self._heart_radius(z) + self.diaphragm_mm
        return (
            top
            + 0.006 * np.maximum(x - 5.0, 0.0) ** 2
            + 0.0012 * np.minimum(x + 30.0, 0.0) ** 2
            - 0.08 * np.minimum(x, 0)
        )

    def _heart_radius(self, z: float) -> float:
        """Inferior epicardial radius, not below what the domes allow beyond the apex."""
        level = np.asarray(min(max(z, 0.0), self.left.epicardial_apex_mm), np.float64)
        return max(float(self.left.epicardium(np.asarray(0.5 * np.pi), level)), 14.0)


def _draw_vessels(
    rng: np.random.Generator, count: int, x: tuple[float, float], y: tuple[float, float], size: float
) -> Array:
    across = size * rng.gamma(2.0, 0.75, count) + 0.4
    return np.column_stack([
        rng.uniform(*x, count),
        rng.uniform(*y, count),
        rng.uniform(0.0, np.pi, count),
        across,
        across * rng.uniform(1.0, 3.2, count),
        rng.normal(0.0, 0.25, count),
        rng.normal(0.0, 0.25, count),
    ])  # fmt: skip
