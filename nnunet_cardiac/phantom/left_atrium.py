"""Late gadolinium enhancement studies of the left atrium."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.phantom.acquisition import coil_sensitivity, magnitude_image
from nnunet_cardiac.phantom.axial import AxialBody
from nnunet_cardiac.phantom.canvas import Canvas
from nnunet_cardiac.phantom.region import Array
from nnunet_cardiac.phantom.sampling import pool_points, subpixels, subslices
from nnunet_cardiac.phantom.short_axis import check_matrix
from nnunet_cardiac.phantom.study import AtriumStudy, check_labels, oblique_geometry, triple
from nnunet_cardiac.phantom.styles import LATE_ENHANCEMENT as STYLE
from nnunet_cardiac.phantom.texture import Texture

ATRIUM_LABELS: Mapping[str, int] = MappingProxyType({"background": 0, "LA": 1})
#: Centre of the atrium in the plane of `nnunet_cardiac.phantom.axial`.
CENTRE = (-4.0, 30.0)
WALL_MM = 2.4


@dataclass(frozen=True)
class AtriumShape:
    """Cavity of a left atrium with an appendage and the stumps of four pulmonary veins.

    Coordinates: x to the patient's left, y to the back, z to the head, mm from the middle of the atrium.

    Attributes:
        radii: Half axes of the body.
        wave: Amplitude and phase of the surface's second and third harmonics, shape (2, 2).
        tubes: Start and end point (x, y, z) and radius of each vein and of the appendage, shape (5, 7).
    """

    radii: tuple[float, float, float]
    wave: Array
    tubes: Array

    @classmethod
    def draw(cls, rng: np.random.Generator) -> AtriumShape:
        """Draw an atrium of 50 to 140 mL."""
        radii = triple(np.array([34.0, 22.0, 26.0]) * rng.uniform(0.86, 1.12))
        ends = np.array([[-46, 14, 12], [-46, 15, -9], [46, 19, 14], [45, 20, -6], [36, -22, 10]], float)
        ends = ends * (radii[0] / 34.0) + rng.normal(0.0, 2.5, ends.shape)
        widths = np.array([7.0, 6.5, 6.5, 6.0, 7.5]) * rng.uniform(0.85, 1.15, 5)
        wave = np.column_stack([rng.uniform(0.02, 0.06, 2), rng.uniform(0.0, 2.0 * np.pi, 2)])
        return cls(radii, wave, np.column_stack([0.45 * ends, ends, widths]))

    def depth(self, x: Array, y: Array, z: Array | np.floating) -> Array:
        """Approximate depth below the surface in mm, negative outside; the arrays broadcast."""
        angle = np.arctan2(y / self.radii[1], x / self.radii[0])
        bulge = 1.0 + sum(a * np.cos(k * angle + p + 0.03 * z) for k, (a, p) in zip((2, 3), self.wave, strict=True))
        scaled = np.sqrt((x / self.radii[0]) ** 2 + (y / self.radii[1]) ** 2 + (z / self.radii[2]) ** 2)
        depth = (bulge - scaled) * min(self.radii)
        for tube in self.tubes:
            depth = _blend(depth, _tube_depth(tube, x, y, z))
        return depth

    def volume_ml(self, step_mm: float = 0.7) -> float:
        """Volume in mL by counting the points of a regular grid; the tests measure the error against finer grids."""
        x, y, z = (np.arange(-reach, reach, step_mm) + 0.5 * step_mm for reach in (64.0, 42.0, 40.0))
        inside = sum(int(np.count_nonzero(self.depth(x[None, :], y[:, None], np.float64(level)) > 0.0)) for level in z)
        return inside * step_mm**3 / 1000.0


def make_left_atrium(
    seed: int,
    *,
    matrix: tuple[int, int] = (192, 192),
    slices: int = 44,
    spacing: tuple[float, float] | None = None,
    label_order: Mapping[str, int] = ATRIUM_LABELS,
    patient: str | None = None,
) -> AtriumStudy:
    """Make a three-dimensional late-enhancement study with exact ground truth.

    Args:
        seed: Seed, 0 or more.
        matrix: Pixels (y, x), at least 32 each.
        slices: Slices, at least 8.
        spacing: Distance of slices and of pixels in mm; None covers 100 mm by 200 mm.
        label_order: Label value of background and LA.
        patient: Identifier; None makes one from the seed.

    Raises:
        UserError: If an argument is out of range.
    """
    check_labels(label_order, ("LA",))
    if seed < 0 or slices < 8:
        raise UserError(f"A phantom atrium needs a seed of at least 0 and at least 8 slices, got {seed} and {slices}.")
    check_matrix(matrix, spacing or ())
    distance, pixel = (100.0 / slices, 200.0 / max(matrix)) if spacing is None else spacing
    shape = AtriumShape.draw(np.random.default_rng([seed, 21]))
    levels = (np.arange(slices) - 0.5 * (slices - 1)) * distance
    body = AxialBody.draw(np.random.default_rng([seed, 25]), STYLE)
    scar = Texture(np.random.default_rng([seed, 22]), 7.0, 2.0)
    planes = [_render(body, shape, scar, matrix, pixel, float(level), distance) for level in levels]
    water, fat, coil, part = (np.stack(layers) for layers in zip(*planes, strict=True))
    values = np.array([label_order["background"], label_order["LA"]], np.uint8)
    centre = triple(np.random.default_rng([seed, 24]).normal((15.0, 20.0, 10.0), 10.0))
    return AtriumStudy(
        patient=f"phantom{seed:06d}" if patient is None else patient,
        seed=seed,
        image=magnitude_image(water, fat, coil, STYLE, pixel, np.random.default_rng([seed, 23])),
        label=values[(part > 0.5).astype(np.uint8)],
        label_values=dict(label_order),
        geometry=oblique_geometry((distance, pixel, pixel), distance, (slices, *matrix), np.eye(3), centre),
        volume_ml=shape.volume_ml(),
    )


def _render(
    body: AxialBody,
    shape: AtriumShape,
    scar: Texture,
    matrix: tuple[int, int],
    pixel: float,
    level: float,
    thickness: float,
) -> tuple[Array, Array, Array, Array]:
    """Water, fat, coil sensitivity and part of the cavity in each pixel of a slice, all of shape (Y, X)."""
    columns, rows = ((np.arange(size) - 0.5 * (size - 1)) * pixel for size in (matrix[1], matrix[0]))
    u, v = np.broadcast_arrays(
        (columns[None, :] + CENTRE[0]).astype(np.float32), (rows[:, None] + 12.0).astype(np.float32)
    )
    canvas = body.paint(u, v, level, pixel)
    _paint_chambers(canvas, level)
    offsets = subpixels(pixel)
    fine_x = (columns[:, None] + offsets).ravel()[None, None, :]
    fine_y = (rows[:, None] + offsets + 12.0 - CENTRE[1]).ravel()[None, :, None]
    depth = shape.depth(fine_x, fine_y, level + subslices(thickness)[:, None, None])
    cavity, shell = pool_points(depth > 0.0), pool_points((depth <= 0.0) & (depth > -WALL_MM))
    enhanced = np.clip(0.5 + 0.45 * scar(u, v, np.float32(level)), 0.25, 1.0)
    rest = 1.0 - cavity - shell
    pool = STYLE.blood * (1.0 + STYLE.flow * scar(u + 50.0, v, np.float32(level)))
    water = cavity * pool + shell * STYLE.scar * enhanced + rest * canvas.water
    return water, rest * canvas.fat, coil_sensitivity(u, v, STYLE.coil, (-10.0, -135.0)), cavity


def _paint_chambers(canvas: Canvas, level: float) -> None:
    """The other chambers, below, and the great vessels, above the middle of the atrium."""
    low = np.clip(0.5 - level / 30.0, 0.0, 1.0)
    chambers = (
        ((48.0, -28.0), (30.0, 46.0), 0.75, low, 11.0),  # left ventricle
        ((-18.0, -48.0), (48.0, 25.0), 0.55, low, 4.0),  # right ventricle
        ((-48.0, -4.0), (23.0, 30.0), 0.2, 1.0, 2.0),  # right atrium
        ((-12.0, -6.0), (15.0, 15.0), 0.0, 1.0 - low, 2.0),  # ascending aorta
        ((16.0, -28.0), (14.0, 17.0), 0.6, 1.0 - low, 2.0),  # pulmonary trunk
    )
    for centre, radii, angle, presence, wall in chambers:
        if presence > 0.05:
            inside = canvas.ellipse(centre, (radii[0] * presence**0.5, radii[1] * presence**0.5), angle)
            canvas.paint(inside + wall, water=STYLE.myocardium)
            canvas.paint(inside, water=STYLE.venous)


def _tube_depth(tube: Array, x: Array, y: Array, z: Array | np.floating) -> Array:
    """Depth below a tube with round ends."""
    start, along, radius = tube[:3], tube[3:6] - tube[:3], tube[6]
    point = (x - start[0], y - start[1], z - start[2])
    t = np.clip(sum(p * a for p, a in zip(point, along, strict=True)) / (along @ along), 0.0, 1.0)
    return radius - np.sqrt(sum((p - t * a) ** 2 for p, a in zip(point, along, strict=True)))


def _blend(a: Array, b: Array, width_mm: float = 5.0) -> Array:
    """Smooth union of two depths (polynomial smooth maximum)."""
    h = np.clip(0.5 + 0.5 * (a - b) / width_mm, 0.0, 1.0)
    return b + h * (a - b) + width_mm * h * (1.0 - h)
