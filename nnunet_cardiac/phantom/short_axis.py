"""Cine short-axis studies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.phantom.acquisition import coil_sensitivity, magnitude_image
from nnunet_cardiac.phantom.patient import Patient, draw_patient
from nnunet_cardiac.phantom.region import Array
from nnunet_cardiac.phantom.sampling import IN_PLANE, average, decide_labels, subpixels, subslices
from nnunet_cardiac.phantom.shape import RightVentricle
from nnunet_cardiac.phantom.study import ACDC_LABELS, CineStudy, Geometry, check_labels, oblique_geometry, triple
from nnunet_cardiac.phantom.thorax import Thorax
from nnunet_cardiac.phantom.tissue import STRUCTURES

GEOMETRY, BODY, NOISE = 1, 2, 3  # purposes of the patient's random streams
MIN_SLICES, MAX_SLICES = 6, 14
MIN_PIXELS = 32


@dataclass(frozen=True)
class Stack:
    """How a stack of slices lies in the scene.

    Attributes:
        matrix: Pixels (y, x).
        pixel_mm: In-plane spacing.
        spacing_mm: Distance of slices.
        thickness_mm: Thickness of a slice.
        level_mm: Level z of each slice, apex first, with the error of its breath-hold, shape (Z,).
        shift_mm: In-plane error of each slice's breath-hold (x, y), shape (Z, 2).
        centre_mm: Scene point (x, y) in the middle of the image.
        rotation: Turn of the scene in the image, radians.
        tilt: In-plane walk (x, y) of the heart's axis per mm of z.
    """

    matrix: tuple[int, int]
    pixel_mm: float
    spacing_mm: float
    thickness_mm: float
    level_mm: Array
    shift_mm: Array
    centre_mm: tuple[float, float]
    rotation: float
    tilt: tuple[float, float]

    def scene(self, rows: Array, columns: Array, index: int) -> tuple[Array, Array]:
        """Scene coordinates (x, y) in mm of points given in mm from the first pixel of slice `index`."""
        v = rows - 0.5 * (self.matrix[0] - 1) * self.pixel_mm - self.shift_mm[index, 1]
        u = columns - 0.5 * (self.matrix[1] - 1) * self.pixel_mm - self.shift_mm[index, 0]
        cosine, sine = np.cos(self.rotation), np.sin(self.rotation)
        x = cosine * u[None, :] + sine * v[:, None] + self.centre_mm[0]
        y = cosine * v[:, None] - sine * u[None, :] + self.centre_mm[1]
        return x.astype(np.float32), y.astype(np.float32)


def make_study(
    seed: int,
    group: str | None = None,
    *,
    frames: int = 20,
    matrix: tuple[int, int] = (256, 256),
    slices: int | None = None,
    spacing: tuple[float, float] | None = None,
    style: str | None = None,
    label_order: Mapping[str, int] = ACDC_LABELS,
    phases_only: bool = False,
    patient: str | None = None,
) -> CineStudy:
    """Make a cine short-axis study with exact ground truth.

    The same arguments give the same bytes. Matrix and style do not change the heart.

    Args:
        seed: Seed, 0 or more.
        group: NOR, DCM, HCM, MINF or RV; None draws one.
        frames: Frames of the heart cycle, at least 2; end-diastole is frame 0.
        matrix: Pixels (y, x), at least 32 each.
        slices: Slices, 6 to 14; None covers the heart.
        spacing: Distance of slices and of pixels in mm; None draws 5 to 10 mm thick slices and pixels of 1.2 to 1.8 mm.
        style: bssfp, bssfp_3t or gre; None draws one.
        label_order: Label value of background, RV, MYO and LV.
        phases_only: Make only the images of end-diastole and end-systole.
        patient: Identifier; None makes one from the seed.

    Raises:
        UserError: If an argument is out of range.
    """
    check_labels(label_order, STRUCTURES)
    drawn = draw_patient(seed, group, frames, style)
    stack = draw_stack(drawn, matrix, slices, spacing)
    reach = max(_reach(right) for right in drawn.cycle.right)
    thorax = Thorax.draw(drawn.stream(BODY), drawn.cycle.left[0], reach, _body_mass_index(drawn), drawn.style)
    background = _paint_background(thorax, stack)
    rendered = drawn.rendered_frames(phases_only)
    pairs = [_render(drawn, stack, background, reach, frame, label_order) for frame in rendered]
    return CineStudy(
        patient=f"phantom{seed:06d}" if patient is None else patient,
        seed=seed,
        group=drawn.body.group,
        style=drawn.style_name,
        images=np.stack([image for image, _ in pairs]),
        labels=np.stack([label for _, label in pairs]),
        label_values=dict(label_order),
        geometry=_geometry(stack, drawn),
        cycle_frames=frames,
        frame_numbers=rendered,
        es_frame=drawn.cycle.es_frame,
        left=drawn.left_indices(),
        right=drawn.right_indices(),
        height_cm=drawn.body.height_cm,
        weight_kg=drawn.body.weight_kg,
    )


def draw_stack(
    patient: Patient, matrix: tuple[int, int], slices: int | None, spacing: tuple[float, float] | None
) -> Stack:
    """Draw how a patient's short-axis stack is planned.

    Raises:
        UserError: If matrix, slices or spacing is out of range.
    """
    check_matrix(matrix, spacing or ())
    if slices is not None and not MIN_SLICES <= slices <= MAX_SLICES:
        raise UserError(f"A phantom stack has {MIN_SLICES} to {MAX_SLICES} slices, got {slices}.")
    rng = patient.stream(GEOMETRY)
    span = patient.cycle.left[0].epicardial_apex_mm + 14.0
    thickness, gap, field = rng.uniform(5.0, 10.0), rng.uniform(0.0, 2.0), rng.uniform(280.0, 340.0)
    if spacing is None:
        wanted = max(thickness + gap, 8.0) if slices is None else span / slices
        distance = float(np.clip(wanted, span / MAX_SLICES, 12.0))
        pixel = float(np.clip(field / max(matrix), 1.2, 1.8))
    else:
        distance, pixel = spacing
    count = int(np.clip(np.ceil(span / distance), MIN_SLICES, MAX_SLICES)) if slices is None else slices
    first = rng.uniform(-0.95, -0.55) * distance
    level = first + distance * np.arange(count)[::-1] + np.clip(rng.normal(0.0, 0.6, count), -1.2, 1.2)
    # A small field of view is centred so that the right ventricle stays inside.
    room = 0.5 * min(matrix) * pixel - _reach(patient.cycle.right[0]) - 12.0
    return Stack(
        matrix=matrix,
        pixel_mm=pixel,
        spacing_mm=distance,
        thickness_mm=min(float(thickness), distance),
        level_mm=level,
        shift_mm=np.clip(rng.normal(0.0, 1.1, (count, 2)), -2.5, 2.5),
        centre_mm=(min(float(rng.normal(14.0, 8.0)), room), float(rng.normal(2.0, 6.0))),
        rotation=float(np.clip(rng.normal(0.0, 0.35), -0.9, 0.9)),
        tilt=(float(rng.normal(0.0, 0.05)), float(rng.normal(0.0, 0.05))),
    )


def check_matrix(matrix: tuple[int, int], spacing: tuple[float | None, ...]) -> None:
    """Check pixels and spacing.

    Raises:
        UserError: If the matrix is too small or a spacing is not positive.
    """
    if min(matrix) < MIN_PIXELS:
        raise UserError(f"Phantom matrix {matrix} is too small; give at least {MIN_PIXELS} pixels along both axes.")
    if any(value is not None and value <= 0.0 for value in spacing):
        raise UserError(f"Phantom spacing must be positive mm, got {spacing}.")


def _paint_background(thorax: Thorax, stack: Stack) -> tuple[Array, Array, Array]:
    """Water, fat and coil sensitivity of every slice, each of shape (Z, Y, X)."""
    water, fat, coil = [], [], []
    rows, columns = (np.arange(size) * stack.pixel_mm for size in stack.matrix)
    for index, level in enumerate(stack.level_mm):
        x, y = stack.scene(rows, columns, index)
        canvas = thorax.paint(x, y, float(level), stack.pixel_mm)
        water.append(canvas.water)
        fat.append(canvas.fat)
        coil.append(coil_sensitivity(x, y, thorax.style.coil, (thorax.skin_mm - 15.0, -25.0)))
    return np.stack(water), np.stack(fat), np.stack(coil)


def _render(
    patient: Patient,
    stack: Stack,
    background: tuple[Array, Array, Array],
    reach: float,
    frame: int,
    values: Mapping[str, int],
) -> tuple[Array, Array]:
    """Image and label map of one frame, each of shape (Z, Y, X)."""
    water, fat, coil = background[0].copy(), background[1].copy(), background[2]
    labels = np.full(water.shape, values["background"], np.uint8)
    tissue = patient.tissue(frame)
    planes = subslices(stack.thickness_mm)
    offsets = subpixels(stack.pixel_mm)
    for index, level in enumerate(stack.level_mm):
        z = (level + planes).astype(np.float32)[:, None, None]
        window = _heart_window(stack, index, reach)
        rows, columns = (_points(part, offsets, stack.pixel_mm) for part in window)
        x, y = stack.scene(rows, columns, index)
        voxels = average(tissue(x[None] - np.float32(stack.tilt[0]) * z, y[None] - np.float32(stack.tilt[1]) * z, z))
        area = (index, *window)
        water[area] = voxels.water + (1.0 - voxels.cover) * water[area]
        fat[area] = voxels.fat + (1.0 - voxels.cover) * fat[area]
        labels[area] = decide_labels(voxels.occupancy, values)
    image = magnitude_image(water, fat, coil, patient.style, stack.pixel_mm, patient.stream(NOISE, frame))
    return image, labels


def _points(part: slice, offsets: Array, pixel_mm: float) -> Array:
    centres = np.arange(part.start, part.stop) * pixel_mm
    return (centres[:, None] + offsets[None, :]).reshape(centres.size * IN_PLANE)


def _heart_window(stack: Stack, index: int, reach: float) -> tuple[slice, slice]:
    """Smallest rows and columns that hold every point the heart can reach."""
    rows, columns = (np.arange(size) * stack.pixel_mm for size in stack.matrix)
    x, y = stack.scene(rows, columns, index)
    level = float(stack.level_mm[index])
    inside = (x > -reach - 16.0) & (x < 62.0) & (np.abs(y) < max(62.0, 0.72 * reach) + abs(stack.tilt[1] * level))
    return _extent(inside.any(axis=1)), _extent(inside.any(axis=0))


def _extent(used: Array) -> slice:
    indices = np.flatnonzero(used)
    return slice(int(indices[0]), int(indices[-1]) + 1)


def _reach(right: RightVentricle) -> float:
    """Greatest distance of the right ventricle from the long axis in mm."""
    theta = np.linspace(*right.angles, 61)
    return float(right.outer_wall(theta, np.asarray(right.base_mm)).max())


def _body_mass_index(patient: Patient) -> float:
    return patient.body.weight_kg / (0.01 * patient.body.height_cm) ** 2


def _geometry(stack: Stack, patient: Patient) -> Geometry:
    """Double-oblique orientation of a short-axis stack: from the apex to the base, right-handed."""
    to_base = np.array([-0.62, 0.60, 0.50])
    to_base /= np.linalg.norm(to_base)
    lateral = np.array([0.60, 0.75, -0.20])
    lateral -= (lateral @ to_base) * to_base
    lateral /= np.linalg.norm(lateral)
    inferior = np.cross(to_base, lateral)
    cosine, sine = np.cos(stack.rotation), np.sin(stack.rotation)
    columns = (cosine * lateral - sine * inferior, sine * lateral + cosine * inferior, to_base)
    shape = (stack.level_mm.size, *stack.matrix)
    spacing = (stack.spacing_mm, stack.pixel_mm, stack.pixel_mm)
    centre = triple(patient.stream(GEOMETRY, 1).normal((45.0, -20.0, 30.0), 12.0))
    return oblique_geometry(spacing, stack.thickness_mm, shape, np.stack(columns, axis=1), centre)
