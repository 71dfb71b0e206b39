"""From signals to a magnitude image: coil sensitivity, point spread and Rician noise."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from nnunet_cardiac.phantom.region import Array
from nnunet_cardiac.phantom.styles import Style


def coil_sensitivity(x: Array, y: Array, strength: float, source: tuple[float, float]) -> Array:
    """Sensitivity of a surface coil, 1 on average near the heart.

    Args:
        x: Coordinates in mm relative to the heart, shape (Y, X).
        y: Likewise.
        strength: Relative fall over the field of view, 0 to 1.
        source: Position of the coil in mm.
    """
    distance = np.hypot(x - source[0], y - source[1])
    centre = np.hypot(*source)
    return np.clip(1.0 + strength * (centre - distance) / 110.0, 0.25, 2.6).astype(np.float32)


def magnitude_image(
    water: Array, fat: Array, sensitivity: Array, style: Style, pixel_mm: float, rng: np.random.Generator
) -> Array:
    """Form the image of a stack of slices.

    Water and fat add as complex signals, so they cancel in mixed voxels where their phases oppose. The noise is complex
    and shaped by the same point spread as the signal, so that the magnitude is Rician.

    Args:
        water: Signal of water, shape (Z, Y, X).
        fat: Signal of fat, same shape.
        sensitivity: Coil sensitivity, same shape or broadcasting to it.
        style: Contrast and noise.
        pixel_mm: In-plane spacing.
        rng: Source of the noise.

    Returns:
        Magnitude, float32, same shape.
    """
    sigma = (0.0, style.blur_mm / pixel_mm, style.blur_mm / pixel_mm)
    signal = gaussian_filter((water + style.fat_phase * fat) * sensitivity, sigma)
    noise = rng.standard_normal((2, *signal.shape), dtype=np.float32)
    noise = np.stack([gaussian_filter(part, 0.45, axes=(1, 2)) for part in noise])
    noise *= style.noise / noise.std()
    return np.float32(style.scale) * np.hypot(signal + noise[0], noise[1])
