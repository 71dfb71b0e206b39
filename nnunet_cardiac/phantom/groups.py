"""The five patient groups, and the body and heart of one patient drawn from a group.

Group definitions follow ACDC (Bernard et al., IEEE TMI 2018): volumes per body surface area, ejection fraction and wall
thickness separate them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.phantom.region import Bump, Outline

Range = tuple[float, float]


@dataclass(frozen=True)
class Group:
    """Ranges a group is drawn from.

    Attributes:
        title: Name for readers.
        lv_edv: Left end-diastolic volume per body surface area, mL/m2.
        lv_ef: Left ejection fraction, percent.
        rv_edv: Right end-diastolic volume per body surface area, mL/m2.
        rv_ef: Right ejection fraction, percent.
        wall_mm: End-diastolic wall thickness.
        descent_mm: Descent of the mitral plane in systole.
        thickening: Relative change of wall thickness in the abnormal patch.
        akinesia: How far the patch fails to move, 0 to 1.
        flattening: Depth of the dent that the right ventricle presses into the septum.
    """

    title: str
    lv_edv: Range
    lv_ef: Range
    rv_edv: Range
    rv_ef: Range
    wall_mm: Range
    descent_mm: Range
    thickening: Range = (0.0, 0.0)
    akinesia: float = 0.0
    flattening: float = 0.0


GROUPS: dict[str, Group] = {
    "NOR": Group("normal", (62, 78), (56, 68), (62, 85), (52, 64), (7.0, 9.0), (12, 16)),
    "DCM": Group("dilated cardiomyopathy", (115, 165), (14, 34), (75, 100), (32, 50), (6.0, 8.0), (6.5, 9)),
    "HCM": Group(
        "hypertrophic cardiomyopathy", (58, 74), (62, 76), (55, 75), (55, 68), (11, 13.5), (9, 13), (0.45, 0.75)
    ),
    "MINF": Group("infarction", (92, 120), (24, 38), (65, 90), (42, 56), (8.0, 9.5), (8, 11), (-0.55, -0.4), 1.0),
    "RV": Group(
        "abnormal right ventricle", (58, 75), (52, 62), (118, 150), (22, 38), (7.0, 8.5), (10, 13), flattening=0.13
    ),
}


@dataclass(frozen=True)
class Body:
    """Body and heart of one patient, as drawn; end-systole is reached by motion.

    Volumes in mL, lengths in mm, angles in radians, ejection fractions in percent.
    """

    group: str
    height_cm: float
    weight_kg: float
    lv_edv: float
    lv_ef: float
    rv_edv: float
    rv_ef: float
    length_mm: float
    wall_mm: float
    descent_mm: float
    rv_descent_mm: float
    rv_base_mm: float
    outline: Outline
    rv_outline: Outline
    rv_skew: float
    thickening: float
    akinesia: float
    patch: Bump | None

    @property
    def surface_area_m2(self) -> float:
        """Body surface area in m2 (Mosteller, N Engl J Med 1987)."""
        return float(np.sqrt(self.height_cm * self.weight_kg / 3600.0))


def draw_body(rng: np.random.Generator, group: str) -> Body:
    """Draw one patient of a group.

    Args:
        rng: Source of randomness.
        group: Key of `GROUPS`.

    Raises:
        UserError: If the group is unknown.
    """
    if group not in GROUPS:
        raise UserError(f"Phantom group {group!r} is unknown; choose one of {', '.join(GROUPS)}.")
    facts = GROUPS[group]
    height = rng.normal(171.0, 8.0)
    weight = height**2 * 1e-4 * rng.uniform(21.0, 29.0)
    area = np.sqrt(height * weight / 3600.0)
    lv_edv = rng.uniform(*facts.lv_edv) * area
    return Body(
        group=group,
        height_cm=float(height),
        weight_kg=float(weight),
        lv_edv=float(lv_edv),
        lv_ef=float(rng.uniform(*facts.lv_ef)),
        rv_edv=float(rng.uniform(*facts.rv_edv) * area),
        rv_ef=float(rng.uniform(*facts.rv_ef)),
        # A ventricle dilates more in width than in length.
        length_mm=float(84.0 * (lv_edv / 135.0) ** 0.22 * rng.uniform(0.96, 1.05)),
        wall_mm=float(rng.uniform(*facts.wall_mm)),
        descent_mm=float(rng.uniform(*facts.descent_mm)),
        rv_descent_mm=float(rng.uniform(*facts.descent_mm) * 1.25),
        rv_base_mm=float(rng.uniform(-6.0, 1.0)),
        outline=_draw_outline(rng, (0.03, 0.02, 0.012, 0.006), facts.flattening),
        rv_outline=_draw_outline(rng, (0.06, 0.09, 0.06, 0.04), 0.0),
        rv_skew=float(rng.uniform(-0.1, 0.4)),
        thickening=float(rng.uniform(*facts.thickening)),
        akinesia=facts.akinesia,
        patch=_draw_patch(rng, facts),
    )


def _draw_outline(rng: np.random.Generator, sizes: tuple[float, ...], flattening: float) -> Outline:
    amplitudes = tuple(float(size * rng.uniform(0.5, 1.4)) for size in sizes)
    phases = tuple(float(phase) for phase in rng.uniform(0.0, 2.0 * np.pi, len(sizes)))
    dent = Bump(angle=np.pi, sharpness=2.2, level=0.3, extent=0.5) if flattening else None
    return Outline(amplitudes, phases, float(rng.uniform(0.2, 1.0)), flattening * float(rng.uniform(0.8, 1.2)), dent)


def _draw_patch(rng: np.random.Generator, facts: Group) -> Bump | None:
    """Scar in one of the three coronary territories, or the hypertrophied septum."""
    if facts.akinesia:
        angle = float(rng.choice([-0.65 * np.pi, 0.1 * np.pi, 0.55 * np.pi]) + rng.normal(0.0, 0.15))
        return Bump(angle, sharpness=2.5, level=float(rng.uniform(0.5, 0.8)), extent=0.3)
    if facts.thickening[1] > 0.0:
        return Bump(
            float(np.pi + rng.normal(0.0, 0.3)), sharpness=1.6, level=float(rng.uniform(0.25, 0.45)), extent=0.35
        )
    return None
