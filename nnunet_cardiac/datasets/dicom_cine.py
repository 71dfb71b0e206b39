"""A short-axis cine series of single-frame DICOM files, addressed by instance number.

Contours of old challenges name an instance and nothing else, so the number decides here which image is which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_cardiac.dicom.headers import DicomImage, read_images
from nnunet_cardiac.dicom.pixels import PixelReader
from nnunet_cardiac.dicom.places import places_of
from nnunet_cardiac.errors import UserError


@dataclass(frozen=True)
class CineStack:
    """Slices of one series, each with the same number of frames.

    Attributes:
        slices: For each slice, in the order of the normal, its frames in the order of their instance numbers.
        steps_mm: Distances of neighbouring slices.
    """

    slices: tuple[tuple[DicomImage, ...], ...]
    steps_mm: tuple[float, ...]

    @property
    def frames(self) -> int:
        """Frames of the cycle."""
        return len(self.slices[0])

    def places(self) -> dict[int, tuple[int, int]]:
        """Return instance number -> slice and frame, both from 0."""
        return {image.number: (z, t) for z, images in enumerate(self.slices) for t, image in enumerate(images)}

    def image(self, frame: int, first: int = 0, last: int | None = None) -> sitk.Image:
        """Read one frame of the slices `first` to `last` (excluded)."""
        column = [images[frame] for images in self.slices[first:last]]
        pixels = PixelReader()
        image = sitk.GetImageFromArray(np.stack([pixels.read(instance) for instance in column]))
        x, y = np.reshape(column[0].orientation, (2, 3))
        image.SetSpacing((*column[0].pixel_mm[::-1], self.slice_distance_mm()))
        image.SetOrigin(column[0].position)
        image.SetDirection(np.column_stack([x, y, np.cross(x, y)]).ravel().tolist())
        return image

    def slice_distance_mm(self) -> float:
        """Return the usual distance of slices; the thickness if there is one slice only."""
        return float(np.median(self.steps_mm)) if self.steps_mm else self.slices[0][0].thickness_mm or 1.0


def read_instances(paths: Sequence[Path]) -> list[DicomImage]:
    """Read the headers of single-frame DICOM images; other files, such as reports, are left out.

    Raises:
        UserError: If pydicom is not installed or a file is damaged.
    """
    return [image for image in read_images(paths) if image.frame is None]


def find_cine(instances: Sequence[DicomImage], numbers: set[int], folder: Path) -> CineStack:
    """Find the short-axis cine series that has certain instances.

    Args:
        instances: All images of a patient.
        numbers: Instance numbers that it has to have.
        folder: For the message.

    Raises:
        UserError: If no series, or more than one, fits.
    """
    by_series = _grouped(instances, lambda image: image.series)
    if all(len(images) == 1 for images in by_series.values()):  # some tools give every file a series of its own
        by_series = _grouped(instances, lambda image: f"{image.path.parent}/{image.path.name.rpartition('-')[0]}")
    stacks = {key: stack for key, images in by_series.items() if (stack := stack_of(images, numbers)) is not None}
    fitting = [key for key, stack in stacks.items() if numbers <= set(stack.places())]
    named = [key for key in fitting if "SAX" in by_series[key][0].description.upper().replace(" ", "")]
    chosen = named if len(fitting) > 1 and named else fitting
    if len(chosen) != 1:
        shown = "; ".join(_describe(images) for images in by_series.values()) or "no image"
        raise UserError(
            f"{folder}: {len(chosen)} series fit the contours, which need a cine stack with the instances "
            f"{min(numbers)} to {max(numbers)}; expected one. Found {shown}. Remove what is not short axis, or leave "
            "the patient out with --skip."
        )
    return stacks[chosen[0]]


def _grouped(instances: Sequence[DicomImage], key: Callable[[DicomImage], str]) -> dict[str, list[DicomImage]]:
    groups: dict[str, list[DicomImage]] = defaultdict(list)
    for instance in instances:
        groups[key(instance)].append(instance)
    return groups


def stack_of(images: Sequence[DicomImage], numbers: set[int]) -> CineStack | None:
    """Sort a series into slices and frames; None if it is no cine stack.

    A slice that was taken twice has a multiple of the others' frames. The take that holds most of `numbers` counts, or
    the last one, as on the scanner.
    """
    if len({image.number for image in images}) < len(images):
        return None
    if any(not np.allclose(image.orientation, images[0].orientation, atol=1e-3) for image in images):
        return None
    heights, columns = zip(*places_of(images), strict=True)
    counts = [len(column) for column in columns]
    frames = max(set(counts), key=counts.count)
    if frames < 2 or any(count % frames for count in counts):
        return None
    slices = [_best_take(column, frames, numbers) for column in columns]
    return CineStack(tuple(map(tuple, slices)), tuple(float(step) for step in np.diff(heights)))


def _best_take(column: Sequence[DicomImage], frames: int, numbers: set[int]) -> list[DicomImage]:
    ordered = sorted(column, key=lambda image: image.number)
    takes = [ordered[start : start + frames] for start in range(0, len(ordered), frames)]
    return max(reversed(takes), key=lambda take: sum(image.number in numbers for image in take))


def _describe(images: Sequence[DicomImage]) -> str:
    numbers = [image.number for image in images]
    places = len({tuple(np.round(image.position, 1)) for image in images})
    name = images[0].description or images[0].path.parent.name
    return f"{name!r} ({len(images)} images at {places} places, instances {min(numbers)} to {max(numbers)})"
