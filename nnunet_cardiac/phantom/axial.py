"""The body around the heart in a transverse or four-chamber plane.

Plane coordinates: u to the right and v to the bottom of the picture, mm, with the origin at the mitral valve. The
sternum is at the top, the spine at the bottom, the left lung on the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_cardiac.phantom.canvas import Canvas
from nnunet_cardiac.phantom.region import Array
from nnunet_cardiac.phantom.styles import Style
from nnunet_cardiac.phantom.texture import Texture

#: Centre and radii of the chest in the plane.
CHEST = ((-28.0, 30.0), (198.0, 158.0))


@dataclass(frozen=True)
class AxialBody:
    """Body of one patient, as drawn.

    Attributes:
        style: Contrast.
        fat_mm: Thickness of the subcutaneous fat.
        fine: Fine texture.
        coarse: Coarse texture.
        vessels: Lung vessels: u, v, direction, radius across and along, shift of u and v per mm; shape (N, 7).
    """

    style: Style
    fat_mm: float
    fine: Texture
    coarse: Texture
    vessels: Array

    @classmethod
    def draw(cls, rng: np.random.Generator, style: Style) -> AxialBody:
        """Draw a body."""
        fat_mm = float(rng.uniform(10.0, 17.0))
        return cls(style, fat_mm, Texture(rng, 1.6, 1.5), Texture(rng, 10.0, 2.5, 80), _draw_vessels(rng, 150))

    def paint(self, u: Array, v: Array, w: float, pixel_mm: float) -> Canvas:
        """Paint chest wall, lungs, mediastinum, descending aorta and spine.

        Args:
            u: Plane coordinates of the pixels in mm, shape (Y, X).
            v: Likewise.
            w: Level across the plane in mm.
            pixel_mm: Size of a pixel.
        """
        canvas, style = Canvas(u, v, pixel_mm), self.style
        grain, waves = self.fine(u, v, np.float32(w)), self.coarse(u, v, np.float32(w))
        depth = canvas.ellipse(*CHEST, 0.05) + 1.5 * waves
        canvas.paint(depth, water=style.lung * (1.0 + 0.3 * waves))
        lines = np.column_stack([self.vessels[:, :2] + self.vessels[:, 5:] * w, self.vessels[:, 2]])
        canvas.vessels(lines, self.vessels[:, 3:5], 0.7 * style.blood)
        bed = canvas.ellipse((-18.0, 2.0), (66.0, 76.0), -0.5) + 4.0 * waves
        canvas.paint(bed, water=0.05, fat=style.fat * (0.62 + 0.05 * grain), edge_mm=3.0)
        front = np.minimum(canvas.ellipse((-35.0, -78.0), (52.0, 42.0), 0.1) + 3.0 * waves, depth)
        canvas.paint(front, fat=style.fat * (0.75 + 0.05 * grain))
        _paint_chest_wall(canvas, style, depth, self.fat_mm + 1.5 * waves, grain)
        _paint_back(canvas, style, grain)
        return canvas


def _draw_vessels(rng: np.random.Generator, count: int) -> Array:
    side = np.where(np.arange(count) % 2, 1.0, -1.0)
    away = 45.0 + rng.gamma(2.0, 22.0, count)
    across = 0.6 * rng.gamma(2.0, 0.75, count) + 0.4
    return np.column_stack([
        side * away - 20.0,
        rng.normal(22.0, 42.0, count),
        rng.uniform(0.0, np.pi, count),
        across,
        across * rng.uniform(1.0, 3.5, count),
        rng.normal(0.0, 0.25, count),
        rng.normal(0.0, 0.25, count),
    ])  # fmt: skip


def _paint_chest_wall(canvas: Canvas, style: Style, depth: Array, fat: Array, grain: Array) -> None:
    """Skin, subcutaneous fat of the given thickness, muscle and ribs."""
    shell = fat + 12.0 - depth
    canvas.paint(np.minimum(shell + 2.0, depth), fat=0.8 * style.fat)
    canvas.paint(np.minimum(shell, depth), water=style.muscle * (1.0 + 0.2 * grain))
    angle = np.arctan2(canvas.y - CHEST[0][1], canvas.x - CHEST[0][0])
    rib = (np.abs(np.mod(9.0 * angle, 2.0 * np.pi) - np.pi) - 1.6) * 14.0
    marrow = np.minimum(-np.abs(shell - 5.0) + 3.8, rib)
    canvas.paint(marrow + 1.6, water=0.04)
    canvas.paint(marrow, water=0.10, fat=0.45 * style.fat)
    canvas.paint(np.minimum(fat - depth, depth), fat=style.fat * (0.98 + 0.05 * grain))
    canvas.paint(np.minimum(1.8 - depth, depth), water=0.35)
    outside = depth < -canvas.pixel_mm
    canvas.water[outside], canvas.fat[outside] = 0.0, 0.0


def _paint_back(canvas: Canvas, style: Style, grain: Array) -> None:
    """Spine with its muscles, descending aorta and oesophagus."""
    canvas.paint(canvas.ellipse((-22.0, 128.0), (58.0, 34.0)), water=style.muscle * (1.0 + 0.2 * grain), edge_mm=3.0)
    body = canvas.ellipse((-22.0, 98.0), (22.0, 17.0))
    canvas.paint(body + 2.0, water=0.05)
    canvas.paint(body, water=0.2 + 0.05 * grain, fat=0.08 * style.fat)
    canvas.paint(canvas.ellipse((-22.0, 122.0), (10.0, 7.5)), water=0.9 * style.blood)
    canvas.paint(canvas.ellipse((-22.0, 122.0), (5.0, 4.0)), water=0.6 * style.blood)
    canvas.paint(canvas.ellipse((-22.0, 140.0), (4.0, 14.0)), water=0.1, fat=0.3 * style.fat)
    aorta = canvas.ellipse((16.0, 78.0), (12.0, 12.5))
    canvas.paint(aorta + 1.7, water=style.muscle)
    canvas.paint(aorta, water=0.97 * style.blood)
    canvas.paint(canvas.ellipse((-6.0, 66.0), (8.0, 5.0), 0.3), water=style.muscle * (1.0 + 0.2 * grain))
