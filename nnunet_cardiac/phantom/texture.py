"""Random textures that stay with the tissue."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from nnunet_cardiac.phantom.region import Array


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float | tuple[float, ...]) -> Array:
    """Periodic Gaussian noise of zero mean and unit deviation, smoothed by `sigma` samples; float32."""
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap")
    return (noise - noise.mean()) / noise.std()


class Texture:
    """Periodic noise in space, looked up at points in mm.

    Args:
        rng: Source of randomness.
        grain_mm: Size of the grain (standard deviation of the smoothing).
        cell_mm: Sampling of the stored noise.
        size: Samples along each axis; the pattern repeats after `size * cell_mm`.
    """

    def __init__(self, rng: np.random.Generator, grain_mm: float, cell_mm: float = 1.0, size: int = 64) -> None:
        self.cell_mm = cell_mm
        self.table = smooth_noise(rng, (size, size, size), grain_mm / cell_mm)

    def __call__(self, x: Array, y: Array, z: Array | np.floating) -> Array:
        """Noise of unit deviation at points in mm; the arrays broadcast."""
        size = self.table.shape[0]
        i, j, k = (np.floor(axis / self.cell_mm).astype(np.int32) % size for axis in (x, y, z))
        return self.table[i, j, k]
