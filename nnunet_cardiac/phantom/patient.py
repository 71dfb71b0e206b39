"""One drawn patient: everything that does not depend on how the heart is imaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.phantom.groups import GROUPS, Body, draw_body
from nnunet_cardiac.phantom.motion import HeartCycle, heart_cycle
from nnunet_cardiac.phantom.shape import MYOCARDIAL_DENSITY, LeftVentricle, RightVentricle
from nnunet_cardiac.phantom.study import VentricleIndices
from nnunet_cardiac.phantom.styles import STYLES, Style, find_style
from nnunet_cardiac.phantom.tissue import HeartTextures, HeartTissue

#: Nodes of the quadrature for reported volumes, twice those used while solving the shapes.
FINE = (192, 96)


@dataclass(frozen=True)
class Patient:
    """A patient.

    Attributes:
        seed: Seed it was drawn from.
        body: Body and heart as drawn.
        cycle: Shapes of every frame.
        style_name: Key of `STYLES`.
        textures: Textures of the heart.
    """

    seed: int
    body: Body
    cycle: HeartCycle
    style_name: str
    textures: HeartTextures

    @property
    def style(self) -> Style:
        """Contrast of the examination."""
        return find_style(self.style_name)

    def stream(self, purpose: int, index: int = 0) -> np.random.Generator:
        """Randomness for one purpose, independent of all others, so that images do not change the patient."""
        return np.random.default_rng([self.seed, purpose, index])

    def tissue(self, frame: int) -> HeartTissue:
        """The heart in one frame."""
        cycle = self.cycle
        return HeartTissue(cycle.left[frame], cycle.right[frame], cycle.systole[frame], self.style, self.textures)

    def rendered_frames(self, phases_only: bool) -> tuple[int, ...]:
        """Frames to image: end-diastole and end-systole, or all."""
        return (0, self.cycle.es_frame) if phases_only else tuple(range(len(self.cycle.left)))

    def left_indices(self) -> VentricleIndices:
        """Exact indices of the left ventricle."""
        return _indices(self.cycle.left, self.cycle.es_frame)

    def right_indices(self) -> VentricleIndices:
        """Exact indices of the right ventricle."""
        return _indices(self.cycle.right, self.cycle.es_frame)


def draw_patient(seed: int, group: str | None, frames: int, style: str | None) -> Patient:
    """Draw a patient.

    Args:
        seed: Seed, 0 or more.
        group: Key of `GROUPS`; None draws one.
        frames: Frames of the cycle, at least 2.
        style: Key of `STYLES`; None draws one.

    Raises:
        UserError: If group or style is unknown, the seed is negative or the frames are below 2.
    """
    if seed < 0 or frames < 2:
        raise UserError(
            f"A phantom needs a seed of at least 0 and at least 2 frames (ED and ES), got {seed} and {frames}."
        )
    rng = np.random.default_rng([seed, 0])
    drawn_group, drawn_style = str(rng.choice(list(GROUPS))), str(rng.choice(list(STYLES), p=[0.6, 0.25, 0.15]))
    style = drawn_style if style is None else style
    find_style(style)
    body = draw_body(rng, drawn_group if group is None else group)
    return Patient(seed, body, heart_cycle(body, frames), style, HeartTextures.draw(rng))


def _indices(ventricles: Sequence[LeftVentricle | RightVentricle], es_frame: int) -> VentricleIndices:
    curve = tuple(ventricle.cavity_ml(FINE) for ventricle in ventricles)
    return VentricleIndices(curve[0], curve[es_frame], MYOCARDIAL_DENSITY * ventricles[0].wall_ml(FINE), curve)
