"""Cine four-chamber studies: the same heart, cut along its long axis."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnunet_cardiac.phantom.acquisition import coil_sensitivity, magnitude_image
from nnunet_cardiac.phantom.axial import AxialBody
from nnunet_cardiac.phantom.patient import Patient, draw_patient
from nnunet_cardiac.phantom.region import Array
from nnunet_cardiac.phantom.sampling import average, decide_labels, subpixels, subslices
from nnunet_cardiac.phantom.short_axis import check_matrix
from nnunet_cardiac.phantom.study import ACDC_LABELS, CineStudy, check_labels, oblique_geometry, triple
from nnunet_cardiac.phantom.tissue import STRUCTURES

GEOMETRY, BODY, NOISE = 11, 12, 13  # purposes of the patient's random streams
#: Distance of the plane below the long axis at the mitral valve, and its angle to that axis in radians.
BELOW_AXIS_MM, DIP = 11.0, 0.12


def make_long_axis(
    seed: int,
    group: str | None = None,
    *,
    frames: int = 20,
    matrix: tuple[int, int] = (256, 256),
    spacing: float | None = None,
    style: str | None = None,
    label_order: Mapping[str, int] = ACDC_LABELS,
    phases_only: bool = False,
    patient: str | None = None,
) -> CineStudy:
    """Make a cine four-chamber study of one slice; its heart is that of `make_study` with the same seed and group.

    Args:
        seed: Seed, 0 or more.
        group: NOR, DCM, HCM, MINF or RV; None draws one.
        frames: Frames of the heart cycle, at least 2; end-diastole is frame 0.
        matrix: Pixels (y, x), at least 32 each.
        spacing: Pixel size in mm; None fits 300 to 350 mm, within 1.2 to 1.8 mm.
        style: bssfp, bssfp_3t or gre; None draws one.
        label_order: Label value of background, RV, MYO and LV.
        phases_only: Make only the images of end-diastole and end-systole.
        patient: Identifier; None makes one from the seed.

    Returns:
        A study whose arrays have the shape (T, 1, Y, X). The indices are those of the whole heart.

    Raises:
        UserError: If an argument is out of range.
    """
    check_labels(label_order, STRUCTURES)
    check_matrix(matrix, (spacing,))
    drawn = draw_patient(seed, group, frames, style)
    rng = drawn.stream(GEOMETRY)
    pixel = float(np.clip(rng.uniform(300.0, 350.0) / max(matrix), 1.2, 1.8)) if spacing is None else spacing
    angle, turn, thickness = 0.6 + rng.normal(0.0, 0.1), rng.normal(0.0, 0.15), float(rng.uniform(6.0, 8.0))
    plane = _Plane(matrix, pixel, angle, turn, thickness)
    rendered = drawn.rendered_frames(phases_only)
    pairs = [_render(drawn, plane, frame, label_order) for frame in rendered]
    spacing_mm = (thickness, pixel, pixel)
    centre = triple(rng.normal((20.0, -10.0, 20.0), 10.0))
    return CineStudy(
        patient=f"phantom{seed:06d}" if patient is None else patient,
        seed=seed,
        group=drawn.body.group,
        style=drawn.style_name,
        images=np.stack([image for image, _ in pairs]),
        labels=np.stack([label for _, label in pairs]),
        label_values=dict(label_order),
        geometry=oblique_geometry(spacing_mm, thickness, (1, *matrix), plane.direction(), centre),
        cycle_frames=frames,
        frame_numbers=rendered,
        es_frame=drawn.cycle.es_frame,
        left=drawn.left_indices(),
        right=drawn.right_indices(),
        height_cm=drawn.body.height_cm,
        weight_kg=drawn.body.weight_kg,
    )


class _Plane:
    """Four-chamber plane: the long axis points up and to the right, the septum lies up and to the left.

    Args:
        matrix: Pixels (y, x).
        pixel_mm: Pixel size.
        angle: Angle of the long axis against the vertical, radians.
        turn: Turn of the plane about the long axis, radians.
        thickness_mm: Slice thickness.
    """

    def __init__(
        self, matrix: tuple[int, int], pixel_mm: float, angle: float, turn: float, thickness_mm: float
    ) -> None:
        self.matrix, self.pixel_mm, self.angle, self.turn, self.thickness_mm = (
            matrix,
            pixel_mm,
            angle,
            turn,
            thickness_mm,
        )

    def picture(self, offsets: Array) -> tuple[Array, Array]:
        """Coordinates u (right) and v (down) in mm of the points of all pixels, the mitral valve in the middle."""
        u, v = (
            ((np.arange(size) - 0.5 * (size - 1))[:, None] * self.pixel_mm + offsets).ravel().astype(np.float32)
            for size in (self.matrix[1], self.matrix[0])
        )
        right, down = np.broadcast_arrays(u[None, :] + np.float32(15.0), v[:, None] - np.float32(8.0))
        return right, down

    def heart(self, u: Array, v: Array, w: Array) -> tuple[Array, Array, Array]:
        """Heart coordinates of points of the plane, `w` mm across it."""
        sine, cosine = np.sin(self.angle), np.cos(self.angle)
        along = sine * u - cosine * v
        across = cosine * u + sine * v
        x = np.cos(self.turn) * across - np.sin(self.turn) * w
        level = np.sin(self.turn) * across + np.cos(self.turn) * w
        # The plane meets both atria below the aortic root and leaves the heart at the apex.
        y = np.cos(DIP) * level - np.sin(DIP) * along + BELOW_AXIS_MM
        z = np.sin(DIP) * level + np.cos(DIP) * along
        x, y, z = (np.asarray(axis, np.float32) for axis in np.broadcast_arrays(x, y, z))
        return x, y, z

    def direction(self) -> Array:
        """Direction cosines of a plane a little steeper than transverse; columns for the x, y and z index."""
        tilt = 0.35 + self.turn
        down = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
        right = np.array([1.0, 0.0, 0.0])
        return np.stack([right, down, np.cross(right, down)], axis=1)


def _render(patient: Patient, plane: _Plane, frame: int, values: Mapping[str, int]) -> tuple[Array, Array]:
    """Image and label map of one frame, each of shape (1, Y, X)."""
    style = patient.style
    background = AxialBody.draw(patient.stream(BODY), style)
    u, v = plane.picture(np.zeros(1))
    body = background.paint(u, v, 0.0, plane.pixel_mm)
    fine_u, fine_v = plane.picture(subpixels(plane.pixel_mm))
    across = subslices(plane.thickness_mm)[:, None, None]
    voxels = average(patient.tissue(frame)(*plane.heart(fine_u[None], fine_v[None], across)))
    water = voxels.water + (1.0 - voxels.cover) * body.water
    fat = voxels.fat + (1.0 - voxels.cover) * body.fat
    coil = coil_sensitivity(u, v, style.coil, (-10.0, -135.0))
    noise = patient.stream(NOISE, frame)
    image = magnitude_image(water[None], fat[None], coil[None], style, plane.pixel_mm, noise)
    return image, decide_labels(voxels.occupancy, values)[None]
