"""What a phantom study holds: images, labels, geometry and exact indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.phantom.region import Array

#: Label values of ACDC, and of M&Ms, which counts the other way round.
ACDC_LABELS: Mapping[str, int] = MappingProxyType({"background": 0, "RV": 1, "MYO": 2, "LV": 3})
MNMS_LABELS: Mapping[str, int] = MappingProxyType({"background": 0, "LV": 1, "MYO": 2, "RV": 3})


@dataclass(frozen=True)
class VentricleIndices:
    """Exact indices of one ventricle, from its shape and not from the label map.

    Attributes:
        edv_ml: End-diastolic volume.
        esv_ml: End-systolic volume.
        mass_g: Mass of the free and septal wall (left) or of the free wall (right); papillary muscles left out.
        curve_ml: Volume in every frame of the cycle.
    """

    edv_ml: float
    esv_ml: float
    mass_g: float
    curve_ml: tuple[float, ...]

    @property
    def ef_percent(self) -> float:
        """Ejection fraction in percent."""
        return 100.0 * (self.edv_ml - self.esv_ml) / self.edv_ml


@dataclass(frozen=True)
class Geometry:
    """Position of the voxels in the patient.

    Attributes:
        spacing_mm: Distance of neighbouring voxels (z, y, x).
        slice_thickness_mm: Thickness of the excited slice; the spacing along z adds the gap.
        direction: Columns are the directions of the x, y and z index in patient coordinates (left, posterior,
            superior), shape (3, 3).
        origin_mm: Patient coordinates of the centre of voxel (0, 0, 0), in the order left, posterior, superior.
    """

    spacing_mm: tuple[float, float, float]
    slice_thickness_mm: float
    direction: Array
    origin_mm: tuple[float, float, float]


@dataclass(frozen=True)
class CineStudy:
    """Cine study of one patient.

    Attributes:
        patient: Identifier.
        seed: Seed it was made from.
        group: Key of `nnunet_cardiac.phantom.groups.GROUPS`.
        style: Key of `nnunet_cardiac.phantom.styles.STYLES`.
        images: Magnitude images, float32, shape (T, Z, Y, X); slice 0 lies at the apex.
        labels: Label maps, uint8, same shape.
        label_values: Structure to label value.
        geometry: Position in the patient.
        cycle_frames: Frames of the whole heart cycle.
        frame_numbers: For each image, its frame of the cycle counted from 0.
        es_frame: End-systolic frame of the cycle counted from 0; end-diastole is frame 0.
        left: Exact indices of the left ventricle.
        right: Exact indices of the right ventricle.
        height_cm: Height of the patient.
        weight_kg: Weight of the patient.
    """

    patient: str
    seed: int
    group: str
    style: str
    images: Array
    labels: Array
    label_values: Mapping[str, int]
    geometry: Geometry
    cycle_frames: int
    frame_numbers: tuple[int, ...]
    es_frame: int
    left: VentricleIndices
    right: VentricleIndices
    height_cm: float
    weight_kg: float

    ed_frame = 0

    def phase(self, frame: int) -> tuple[Array, Array]:
        """Image and label map of a frame of the cycle, each of shape (Z, Y, X)."""
        index = self.frame_numbers.index(frame)
        return self.images[index], self.labels[index]


@dataclass(frozen=True)
class AtriumStudy:
    """Late-enhancement study of a left atrium.

    Attributes:
        patient: Identifier.
        seed: Seed it was made from.
        image: Magnitude image, float32, shape (Z, Y, X); slice 0 is the lowest.
        label: Label map, uint8, same shape.
        label_values: Structure to label value.
        geometry: Position in the patient.
        volume_ml: Volume of the cavity with the stumps of the pulmonary veins, from the shape.
    """

    patient: str
    seed: int
    image: Array
    label: Array
    label_values: Mapping[str, int]
    geometry: Geometry
    volume_ml: float


def triple(values: Iterable[float]) -> tuple[float, float, float]:
    """Three numbers as plain floats, such as a point or the half axes of an ellipsoid."""
    first, second, third = (float(value) for value in values)
    return first, second, third


def check_labels(labels: Mapping[str, int], structures: tuple[str, ...]) -> None:
    """Check that the label values name each structure once.

    Raises:
        UserError: If a structure is missing or values are not 0, 1, 2, ...
    """
    if set(labels) != {"background", *structures} or sorted(labels.values()) != list(range(len(structures) + 1)):
        raise UserError(
            f"Phantom labels {dict(labels)} must give background and {', '.join(structures)} the values 0 to "
            f"{len(structures)}, each once, background first; for example {dict(ACDC_LABELS)}."
        )
    if labels["background"] != 0:
        raise UserError(f"Phantom labels {dict(labels)}: background must be 0, as nnU-Net expects.")


def oblique_geometry(
    spacing_mm: tuple[float, float, float],
    slice_thickness_mm: float,
    shape: tuple[int, int, int],
    direction: Array,
    centre_mm: tuple[float, float, float],
) -> Geometry:
    """Geometry of a stack whose middle lies at a point of the patient.

    Args:
        spacing_mm: Spacing (z, y, x).
        slice_thickness_mm: Slice thickness.
        shape: Voxels (z, y, x).
        direction: Direction cosines, columns for the x, y and z index.
        centre_mm: Middle of the stack (left, posterior, superior).
    """
    half = 0.5 * (np.array(shape[::-1]) - 1) * np.array(spacing_mm[::-1])
    origin = np.array(centre_mm) - direction @ half
    return Geometry(spacing_mm, slice_thickness_mm, direction, triple(origin))
