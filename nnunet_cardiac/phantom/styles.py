"""Contrast styles: how bright each tissue is, and how the scanner treats it."""

from __future__ import annotations

from dataclasses import dataclass

from nnunet_cardiac.errors import UserError


@dataclass(frozen=True)
class Style:
    """Signals relative to arterial blood, and properties of the acquisition.

    Attributes:
        blood: Arterial blood.
        venous: Venous and right-heart blood.
        myocardium: Ventricular muscle.
        fat: Fat, before its phase.
        lung: Air-filled lung.
        liver: Liver.
        spleen: Spleen.
        muscle: Skeletal muscle.
        bowel: Content of stomach and bowel.
        scar: Enhanced fibrous tissue, for late enhancement; muscle elsewhere.
        fat_phase: Phase of fat against water; -1 makes them cancel in mixed voxels, the dark outline of bSSFP images.
        flow: Relative inhomogeneity of flowing blood.
        coil: Fall of the surface coils' sensitivity over the field of view, 0 to 1.
        noise: Standard deviation of the complex noise.
        blur_mm: Standard deviation of the in-plane point spread.
        scale: Intensity of a signal of 1.
    """

    blood: float
    venous: float
    myocardium: float
    fat: float
    lung: float
    liver: float
    spleen: float
    muscle: float
    bowel: float
    scar: float
    fat_phase: float
    flow: float
    coil: float
    noise: float
    blur_mm: float
    scale: float


STYLES: dict[str, Style] = {
    "bssfp": Style(1.0, 0.92, 0.3, 1.12, 0.03, 0.26, 0.38, 0.24, 0.62, 0.3, -1.0, 0.05, 0.55, 0.022, 0.75, 900.0),
    "bssfp_3t": Style(1.0, 0.86, 0.36, 0.82, 0.05, 0.22, 0.44, 0.30, 0.5, 0.36, -1.0, 0.13, 0.8, 0.032, 0.7, 620.0),
    "gre": Style(0.95, 0.8, 0.4, 0.72, 0.05, 0.4, 0.45, 0.38, 0.42, 0.4, 0.6, 0.12, 0.4, 0.03, 0.95, 480.0),
}

#: Late gadolinium enhancement at the inversion time that nulls healthy myocardium.
LATE_ENHANCEMENT = Style(0.55, 0.5, 0.12, 0.42, 0.05, 0.4, 0.42, 0.2, 0.3, 0.95, 0.5, 0.08, 0.5, 0.04, 0.7, 700.0)


def find_style(name: str) -> Style:
    """Return a cine style by name.

    Raises:
        UserError: If there is none of that name.
    """
    if name not in STYLES:
        raise UserError(f"Phantom style {name!r} is unknown; choose one of {', '.join(STYLES)}.")
    return STYLES[name]
