"""A picture of water and fat on which the body around the heart is painted with soft edges."""

from __future__ import annotations

import numpy as np

from nnunet_cardiac.phantom.region import Array


class Canvas:
    """Signals of water and fat on a pixel grid.

    Args:
        x: Coordinates of the pixels in mm, shape (Y, X).
        y: Coordinates of the pixels in mm, shape (Y, X).
        pixel_mm: Size of a pixel; the width of an edge.
    """

    def __init__(self, x: Array, y: Array, pixel_mm: float) -> None:
        self.x, self.y, self.pixel_mm = x, y, pixel_mm
        self.water = np.zeros(x.shape, np.float32)
        self.fat = np.zeros(x.shape, np.float32)

    def paint(
        self, inside_mm: Array, *, water: Array | float = 0.0, fat: Array | float = 0.0, edge_mm: float = 0.0
    ) -> None:
        """Cover a region.

        Args:
            inside_mm: Depth below the region's surface in mm, negative outside; shape (Y, X).
            water: Signal of water in the region.
            fat: Signal of fat in the region.
            edge_mm: Width over which an oblique surface fades, at least one pixel.
        """
        alpha = np.clip(inside_mm / max(edge_mm, self.pixel_mm) + 0.5, 0.0, 1.0)
        self.water += alpha * (water - self.water)
        self.fat += alpha * (fat - self.fat)

    def ellipse(self, centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0) -> Array:
        """Approximate depth below the surface of an ellipse, for `paint`; mm and radians, shape (Y, X)."""
        dx, dy = self.x - centre[0], self.y - centre[1]
        u = (np.cos(angle) * dx + np.sin(angle) * dy) / radii[0]
        v = (np.cos(angle) * dy - np.sin(angle) * dx) / radii[1]
        return (1.0 - np.hypot(u, v)) * min(radii)

    def vessels(self, starts: Array, sizes: Array, signal: float) -> None:
        """Add small bright elongated vessels.

        Args:
            starts: Centre x, centre y and direction (mm, mm, radians), shape (N, 3).
            sizes: Radius across and along, mm, shape (N, 2).
            signal: Signal of a vessel that fills its pixels.
        """
        origin = self.x[0, 0], self.y[0, 0]
        step = np.array([[self.x[0, 1] - origin[0], self.x[1, 0] - origin[0]],
                         [self.y[0, 1] - origin[1], self.y[1, 0] - origin[1]]])  # fmt: skip
        pixels = np.linalg.solve(step, (starts[:, :2] - origin).T).T
        for (column, row), (cx, cy, angle), radii in zip(pixels, starts, sizes, strict=True):
            reach = int(np.ceil(radii.max() / self.pixel_mm)) + 2
            rows, columns = _window(row, reach, self.x.shape[0]), _window(column, reach, self.x.shape[1])
            patch = Canvas(self.x[rows, columns], self.y[rows, columns], self.pixel_mm)
            if patch.water.size:
                # A vessel thinner than a pixel is dimmer, not narrower.
                depth = patch.ellipse((cx, cy), tuple(np.maximum(radii, 0.5 * self.pixel_mm)), angle)
                alpha = np.clip(depth / self.pixel_mm + 0.5, 0.0, 1.0) * min(1.0, radii[0] / self.pixel_mm)
                self.water[rows, columns] += alpha * (signal - self.water[rows, columns])


def _window(centre: float, reach: int, size: int) -> slice:
    middle = round(float(centre))
    return slice(min(max(middle - reach, 0), size), min(max(middle + reach + 1, 0), size))
