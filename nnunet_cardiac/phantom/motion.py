"""The heart cycle: shapes that pass exactly through the drawn volumes.

The cavity follows a smooth volume curve; the base descends towards a resting apex; the wall thickens by just as much as
keeps its volume constant, for myocardium is incompressible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.optimize import brentq

from nnunet_cardiac.phantom.groups import Body
from nnunet_cardiac.phantom.shape import LeftVentricle, RightVentricle

Shape = TypeVar("Shape")

#: End-systole as a fraction of the cycle.
SYSTOLE = 0.36


@dataclass(frozen=True)
class HeartCycle:
    """Shapes of the ventricles in every frame.

    Attributes:
        left: Left ventricle of each frame.
        right: Right ventricle of each frame.
        systole: Degree of contraction of each frame, 0 at end-diastole and 1 at end-systole.
    """

    left: tuple[LeftVentricle, ...]
    right: tuple[RightVentricle, ...]
    systole: tuple[float, ...]

    @property
    def es_frame(self) -> int:
        """Frame of end-systole, counted from 0; end-diastole is frame 0."""
        return int(np.argmax(self.systole))


def contraction_curve(frames: int) -> tuple[float, ...]:
    """Degree of contraction (0 to 1) over one cycle sampled at `frames` equal steps from end-diastole.

    Ejection is a raised cosine; the heart fills in an early wave, a plateau and a late wave by the atrial kick. Exactly
    one frame is 1.

    Args:
        frames: At least 2.
    """
    es = es_index(frames)
    frame = np.arange(frames)
    ejection = 0.5 - 0.5 * np.cos(np.pi * frame / es)
    filling = np.clip((frame - es) / (frames - es), 0.0, 1.0)
    early = _smoothstep(filling / 0.45)
    late = _smoothstep((filling - 0.72) / 0.28)
    curve = np.where(frame <= es, ejection, 1.0 - 0.78 * early - 0.22 * late)
    return tuple(float(value) for value in curve)


def es_index(frames: int) -> int:
    """Frame of end-systole, counted from 0, in a cycle of `frames`."""
    return max(1, round(SYSTOLE * frames))


def heart_cycle(body: Body, frames: int) -> HeartCycle:
    """Solve the shapes of every frame.

    Args:
        body: The patient.
        frames: Frames over one cycle, at least 2; end-diastole first.
    """
    systole = contraction_curve(frames)
    lefts, rights = [], []
    rest = _resting_left(body)
    rest_right = _resting_right(body, rest)
    for degree in systole:
        left = _contracted_left(body, rest, degree)
        lefts.append(left)
        rights.append(_contracted_right(body, rest_right, left, degree))
    return HeartCycle(tuple(lefts), tuple(rights), systole)


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _resting_left(body: Body) -> LeftVentricle:
    start = LeftVentricle(
        base_mm=0.0,
        length_mm=body.length_mm,
        radius_mm=25.0,
        wall_mm=body.wall_mm,
        apex_wall_mm=0.7 * body.wall_mm,
        outline=body.outline,
        thickening=body.thickening,
        patch=body.patch,
        akinesia=body.akinesia,
    )
    return replace(start, radius_mm=25.0 * float(np.sqrt(body.lv_edv / start.cavity_ml())))


def _resting_right(body: Body, left: LeftVentricle) -> RightVentricle:
    start = RightVentricle(
        left=left,
        base_mm=body.rv_base_mm,
        length_mm=0.9 * body.length_mm - body.rv_base_mm,
        width_mm=30.0,
        wall_mm=3.0,
        skew=body.rv_skew,
        outline=body.rv_outline,
    )
    return _solve(lambda width: replace(start, width_mm=width), body.rv_edv, RightVentricle.cavity_ml, (1.0, 120.0))


def _contracted_left(body: Body, rest: LeftVentricle, degree: float) -> LeftVentricle:
    descent = body.descent_mm * degree
    short = replace(rest, base_mm=descent, length_mm=body.length_mm - descent)
    volume = body.lv_edv * (1.0 - 0.01 * body.lv_ef * degree)
    pumped = _solve(lambda k: replace(short, contraction=k), volume, LeftVentricle.cavity_ml, (0.05, 1.2))
    return _solve(lambda wall: replace(pumped, wall_mm=wall), rest.wall_ml(), LeftVentricle.wall_ml, (1.0, 45.0))


def _contracted_right(body: Body, rest: RightVentricle, left: LeftVentricle, degree: float) -> RightVentricle:
    descent = body.rv_descent_mm * degree
    short = replace(rest, left=left, base_mm=rest.base_mm + descent, length_mm=rest.length_mm - descent)
    volume = body.rv_edv * (1.0 - 0.01 * body.rv_ef * degree)
    pumped = _solve(lambda width: replace(short, width_mm=width), volume, RightVentricle.cavity_ml, (0.5, 130.0))
    return _solve(lambda wall: replace(pumped, wall_mm=wall), rest.wall_ml(), RightVentricle.wall_ml, (0.5, 15.0))


def _solve(
    make: Callable[[float], Shape], target: float, measure: Callable[[Shape], float], bracket: tuple[float, float]
) -> Shape:
    """Return `make(x)` for the x at which `measure(make(x))` is `target`; the measure grows with x."""
    return make(brentq(lambda x: measure(make(x)) - target, *bracket, xtol=1e-9))
